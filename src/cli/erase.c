/* ods-sink erase: a person's row, taken out of the target and of what the sink keeps beside it.
 *
 * The source is asked first: while it has the row, whatever is erased comes back. Then everything
 * that is in the topics now has to be applied, since a change of the row among it would make it
 * again. Then its letters are found and erased, and last its rows, in a transaction that holds the
 * offsets: no batch can be in the middle of the row's changes, and none of those before can come
 * later.
 */
#include "cli/erase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <ods/pipeline.h>

#include "cli/confirm.h"
#include "cli/interrupt.h"
#include "core/log.h"
#include "core/time.h"
#include "pipeline/worker.h"

#define LOOK_AGAIN_US 250000

/* --- the key and the tables ------------------------------------------------------------------- */

static const char *key_column(const struct trace *trace, const char *name)
{
    const char *renamed = NULL;
    for (size_t i = 0; !name && trace->table && i < trace->table->column_count; i++)
        if (trace->table->columns[i].key)
            return trace->table->columns[i].name;
    if (!name && !trace->reader && trace->choice.table->key.count == 1)
        name = trace->choice.table->key.items[0]; /* as tables.yaml has it */
    if (name && (!trace->table || !read_column(trace->table, name)))
        renamed = properties_find(&trace->choice.table->renames, name);
    return renamed ? renamed : name;
}

/* Where the row's changes are: PostgreSQL knows the table's history, others name it. */
static int name_history(struct erase *erase, const char **schema, const char **name,
                        struct error *error)
{
    const struct table_choice *choice = &erase->trace.choice;
    bool kept = false;
    if (!erase->trace.reader) {
        const struct shape shape = {.topic = "",
                                    .database = choice->qualifier,
                                    .schema = choice->qualifier,
                                    .table = choice->source};
        if (erase->sink->ops->name_history(choice->table, &shape, &erase->history_schema,
                                           &erase->history, error) != ODS_OK)
            return CLI_CONFIG;
        *schema = erase->history_schema;
        *name = erase->history;
        return CLI_OK;
    }
    if (asprintf(&erase->history, "%s_cdc", choice->name) < 0) {
        erase->history = NULL;
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    if (reader_history(erase->trace.reader, choice->schema, choice->name, &erase->past, &kept,
                       error) != ODS_OK)
        return CLI_TARGET;
    *schema = kept ? erase->past.schema : choice->schema;
    *name = kept ? erase->past.name : erase->history;
    return CLI_OK;
}

static int name_rows(struct erase *erase, struct error *error)
{
    const struct trace *trace = &erase->trace;
    size_t count = trace->key.count;
    const char *history_schema = NULL, *history = NULL;
    erase->columns = calloc(count + 1, sizeof *erase->columns);
    erase->values = calloc(count + 1, sizeof *erase->values);
    if (!erase->columns || !erase->values) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    int code = name_history(erase, &history_schema, &history, error);
    if (code != CLI_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        erase->columns[i] = key_column(trace, trace->key.items[i].name);
        erase->values[i] = trace->key.items[i].value;
        if (!erase->columns[i]) {
            error_set(error, ODS_REJECT,
                      "%s.%s %s, so the key's column has to be named: --key COLUMN=VALUE",
                      trace->choice.schema, trace->choice.name,
                      trace->reader ? "is not there" : "is a lake's, whose key is not asked for");
            return CLI_USAGE;
        }
    }
    cli_operator(erase->by, sizeof erase->by);
    erase->erasing = (struct erasing){.schema = trace->choice.schema,
                                      .table = trace->choice.name,
                                      .history_schema = history_schema,
                                      .history_table = history,
                                      .columns = erase->columns,
                                      .values = erase->values,
                                      .key_count = count,
                                      .by = erase->by};
    return CLI_OK;
}

static int open_target(struct erase *erase, struct error *error)
{
    struct sink_config config;
    const struct trace *trace = &erase->trace;
    const struct sink_ops *ops =
        worker_target(trace->settings, trace->choice.pipeline, &config);
    if (!ops->erase) {
        error_set(error, ODS_FATAL, "target \"%s\" is of type %s, in which no rows can be erased",
                  trace->choice.target->name, ops->type);
        return CLI_USAGE;
    }
    return ops->open(&erase->sink, &config, error) == ODS_OK ? CLI_OK : CLI_CONFIG;
}

/* --- what has to be so before ----------------------------------------------------------------- */

static int ask_source(struct erase *erase, struct error *error)
{
    struct trace *trace = &erase->trace;
    int code = trace_read_source(trace, error);
    if (code != CLI_OK && erase->force) {
        trace->source_why = "it does not answer";
        error_init(error);
        code = CLI_OK;
    }
    erase->source = !trace->source                ? SOURCE_UNKNOWN
                    : json_is_null(trace->source) ? SOURCE_HAS_NONE
                                                  : SOURCE_HAS_ROW;
    return code;
}

/* Where the topics end now: what is before has to be applied. */
static int set_reached(struct erase *erase, struct error *error)
{
    struct trace *trace = &erase->trace;
    int code = trace_ask_ends(trace, error);
    if (code != CLI_OK)
        return code;
    erase->reached = calloc(trace->place_count + 1, sizeof *erase->reached);
    if (!erase->reached) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < trace->place_count; i++)
        if (trace->places[i].high > trace->places[i].low)
            erase->reached[erase->erasing.reached_count++] =
                (struct position){.topic = trace->places[i].topic,
                                  .partition = trace->places[i].partition,
                                  .offset = trace->places[i].high};
    erase->erasing.reached = erase->reached;
    return CLI_OK;
}

static int look(struct erase *erase, struct error *error)
{
    enum ods_status status = erase->sink->ops->erase(erase->sink, &erase->erasing, true, error);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

/* Until the pipeline has applied what was there, or the wait is over. */
static int await_applied(struct erase *erase, struct error *error)
{
    int64_t until_us = time_monotonic_us() + erase->wait_ms * 1000;
    int code = look(erase, error);
    while (code == CLI_OK && erase->erasing.behind > 0 && !erase->force && !erase->dry_run &&
           time_monotonic_us() < until_us && !interrupt_came()) {
        progress_show(&erase->trace.progress, "waiting until %lld records are applied",
                      (long long) erase->erasing.behind);
        usleep(LOOK_AGAIN_US);
        code = look(erase, error);
    }
    progress_done(&erase->trace.progress);
    return interrupt_came() ? interrupt_code() : code;
}

static int refuse(const struct erase *erase, struct error *error)
{
    if (erase->force || erase->dry_run)
        return CLI_OK;
    if (erase->source == SOURCE_HAS_ROW) {
        error_set(error, ODS_REJECT,
                  "the source database \"%s\" has the row, and its next change would bring it "
                  "back: delete it there first; --force erases it all the same",
                  erase->trace.choice.pipeline->database);
        return CLI_NEGATIVE;
    }
    if (erase->erasing.behind > 0) {
        error_set(error, ODS_REJECT,
                  "%lld records of the table's topics are not applied yet, and one of the row "
                  "among them would bring it back: does the pipeline run (ods-sink status)? Then "
                  "try again or give a longer --wait; --force erases it all the same",
                  (long long) erase->erasing.behind);
        return CLI_NEGATIVE;
    }
    return CLI_OK;
}

/* --- the command ------------------------------------------------------------------------------ */

/* Letters first: the transaction's row of what was done counts them. */
static int do_it(struct erase *erase, struct error *error)
{
    interrupt_catch();
    int code = erase_letters(erase, error);
    if (code == CLI_OK)
        code = erase_in_files(erase, error);
    if (code != CLI_OK)
        return code;
    if (interrupt_came()) {
        error_set(error, ODS_FATAL, "interrupted: the row's dead letters are erased, its rows are "
                                    "not; the same command goes on from there");
        return interrupt_code();
    }
    erase->erasing.letters = (int64_t) erase->letter_count;
    int64_t behind = erase->erasing.behind;
    for (size_t i = 0; erase->force && i < erase->erasing.reached_count; i++)
        erase->reached[i].offset = 0; /* not waited for, but held like the others */
    if (erase->sink->ops->erase(erase->sink, &erase->erasing, false, error) != ODS_OK) {
        error_prefix(error, "the rows are not erased: ");
        return CLI_TARGET;
    }
    if (erase->force)
        erase->erasing.behind = behind;
    code = refuse(erase, error);
    erase->erased = code == CLI_OK;
    return code;
}

static int find_all(struct erase *erase, struct error *error)
{
    int code = trace_open(&erase->trace, error);
    if (code == CLI_OK)
        code = open_target(erase, error);
    if (code == CLI_OK)
        code = name_rows(erase, error);
    if (code == CLI_OK)
        code = ask_source(erase, error);
    if (code == CLI_OK)
        code = set_reached(erase, error);
    if (code == CLI_OK)
        code = await_applied(erase, error);
    if (code == CLI_OK)
        code = refuse(erase, error);
    if (code == CLI_OK)
        code = erase_find_letters(erase, error);
    return code == CLI_OK ? erase_find_in_files(erase, error) : code;
}

static int run_erase(struct erase *erase, const struct call *call, struct error *error)
{
    int code = find_all(erase, error);
    if (code != CLI_OK)
        return code;
    error_init(error); /* of keys that had to be asked for twice */
    if (!erase->trace.json)
        erase_print_plan(erase);
    if (!erase->dry_run) {
        code = confirm(call->name, "Erase that? It can't be undone.", NULL, erase->yes);
        if (code == CLI_OK)
            code = do_it(erase, error);
        if (code != CLI_OK)
            return code;
    }
    if (erase->trace.json)
        erase_print_json(erase);
    else
        puts(erase->dry_run ? "nothing was changed" : "erased");
    return CLI_OK;
}

static void done(struct erase *erase)
{
    if (erase->sink)
        erase->sink->ops->close(erase->sink);
    for (size_t i = 0; i < erase->letter_count; i++)
        free(erase->letters[i].key);
    free(erase->letters);
    free(erase->files);
    free(erase->columns);
    free(erase->values);
    free(erase->history);
    free(erase->history_schema);
    read_history_done(&erase->past);
    free(erase->reached);
    trace_done(&erase->trace);
}

static int run(const struct call *call, void *options)
{
    struct erase *erase = options;
    struct trace *trace = &erase->trace;
    struct error error;
    error_init(&error);
    trace->terminal = call->terminal;
    progress_init(&trace->progress, call->terminal);
    buffer_init(&trace->sentence);
    int code = cli_load(&trace->loaded, trace->config);
    if (code == CLI_OK) {
        trace->settings = config_settings(trace->loaded);
        log_configure(&trace->settings->log);
        code = run_erase(erase, call, &error);
    }
    progress_done(&trace->progress);
    if (code != CLI_OK && *error.text)
        terminal_line(stderr, "ods-sink erase: %s", error.text);
    done(erase);
    return cli_finish(code);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct erase defaults = {.trace = {.timeout_ms = 30000, .to_erase = true},
                                      .wait_ms = 30000};

static const struct parameter options[] = {
    OPTION(struct erase, trace.config, "config", &argument_file, "ods-sink.conf", .letter = 'c',
           .flags = PARAMETER_REQUIRED),
    OPTION(struct erase, trace.given_key, "key", &argument_text,
           "the row's key: `42`, or `id=42,region=eu`; may be given once for each column",
           .flags = PARAMETER_MANY | PARAMETER_REQUIRED, .value = "KEY"),
    OPTION(struct erase, trace.pipeline, "pipeline", &argument_pipeline,
           "whose table, when several move one of that name"),
    OPTION(struct erase, trace.key_files, "private-key", &argument_file,
           "a private key (PEM) by which encrypted dead letters are looked through; may be given "
           "several times",
           .flags = PARAMETER_MANY),
    OPTION(struct erase, file_names, "letters", &argument_file,
           "a file of dead letters, as `replay --dead-letter` writes it: the row's lines are taken "
           "out of it; may be given several times",
           .flags = PARAMETER_MANY),
    OPTION(struct erase, wait_ms, "wait", &argument_seconds,
           "how long to wait until the pipeline has applied what is in the topics (default: 30)"),
    SWITCH(struct erase, dry_run, "dry-run", "only say what would be erased"),
    SWITCH(struct erase, yes, "yes", "do not ask"),
    SWITCH(struct erase, force, "force",
           "also while the source has the row, or records are not applied yet"),
    SWITCH(struct erase, trace.json, "json", "for programs"),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct erase, trace.text, "TABLE", &argument_table,
            "the source's name for it, `db.table`, or the target's, `schema.table`; the last part "
            "is enough where it is clear",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "The source still has the row, records are not applied yet, or the answer was "
                   "no: nothing is erased."},
    EXIT_IS_CONFIG, EXIT_IS_SOURCE, EXIT_IS_TARGET, EXIT_IS_INTERRUPTED, {0}};

static const struct example examples[] = {
    {"ods-sink erase -c ods-sink.conf shop.customers --key 42 --dry-run",
     "What is there of customer 42, and what can't be reached."},
    {"ods-sink erase -c ods-sink.conf shop.customers --key 42 --private-key letters.pem",
     "Erase it, encrypted dead letters included."},
    {0}};

const struct command cli_erase = {
    .name = "erase",
    .summary = "erase a person's row from the target, its history and the dead letters",
    .description =
        "The row goes from its table, from the table of its history (`<table>_cdc`) and from one "
        "that `resync` is making; a row that was only marked as deleted goes too. Its dead letters "
        "in a table are deleted, those in a topic get a tombstone each: `dlq` and `trace` do not "
        "know them any more, nor does `dlq replay` apply them. Files of letters that `--letters` "
        "names are written anew without the row's lines, and take the old ones' places whole; a "
        "file that has changed meanwhile stays as it is. What is found is shown first, with what "
        "can't be reached. A row of "
        "`ods_sink.erasures` keeps when, by whom and how many, without the key; of a lake it is a "
        "row of the pipeline's own table, `_ods_sink/<group>`.\n\n"
        "Delete the row in the source first. Where `databases` names it, the command asks there "
        "and refuses while it has the row, since its next change would bring the row back; it also "
        "refuses while records that are in the topics now are not applied. The daemon may run: the "
        "rows go in one transaction, during which no batch of the pipeline is applied. A change of "
        "that key that comes later makes the row again, as does a `reset`, `resync` or `replay` "
        "that reads the topic's old records.\n\n"
        "In a lake the files that have the row are written anew without it, a commit a table; "
        "older versions have it until they expire (`maintenance.expire`, `maintenance.vacuum`). "
        "There the key's columns are named, unless tables.yaml names one.\n\n"
        "Works on targets of type `postgres`, `delta` and `iceberg`.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct erase),
    .defaults = &defaults,
    .run = run,
};
