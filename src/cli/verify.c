/* ods-sink verify: does the target have what the source has? verify/ compares; here the comparison
 * is started and reported, and a connector is asked for rows (signals.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/signals.h"
#include "cli/verify_derived.h"
#include "cli/verify_report.h"
#include "core/hash.h"
#include "verify/verify.h"

struct verify_arguments {
    const char *config, *source, *pipeline, *report, *state, *connector;
    struct strings tables;
    bool full, counts, watch, resume, json, repair, delete_extra, derived;
    int64_t sample, since_us, wait_ms, settle_ms, limit, every_ms;
};

struct session {
    const struct verify_arguments *arguments;
    const struct terminal *terminal;
    struct verify_report report;
    struct columns table;
    struct progress progress;
};

/* --- telling -------------------------------------------------------------------------------- */

static void begins(void *context, const struct verify_table *table)
{
    struct session *session = context;
    progress_show(&session->progress, "%s …", table->source);
}

static void goes_on(void *context, const struct verify_table *table)
{
    struct session *session = context;
    progress_show(&session->progress, "%s: %lld rows of the source, %lld of the target",
                  table->source, (long long) table->source_rows, (long long) table->target_rows);
}

static void put_values(struct buffer *line, const struct verify_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_printf(line, "%s%s=%s", i ? ", " : " ", values[i].column,
                      values[i].source ? values[i].source : "[redacted]");
}

static void put_columns(struct buffer *line, const struct verify_difference *difference)
{
    for (size_t i = 0; i < difference->column_count; i++) {
        const struct verify_value *value = &difference->columns[i];
        if (value->source)
            buffer_printf(line, "; %s: source %s, target %s", value->column, value->source,
                          value->target);
        else
            buffer_printf(line, "; %s: [redacted]", value->column);
    }
    if (difference->refusal)
        buffer_printf(line, "; the sink would not write it: %s", difference->refusal);
    if (difference->source_copies || difference->target_copies)
        buffer_printf(line, "; %lld times in the source, %lld in the target",
                      (long long) difference->source_copies,
                      (long long) difference->target_copies);
}

static void put_traces(struct buffer *line, const struct verify_difference *difference)
{
    if (*difference->operation || *difference->timestamp)
        buffer_printf(line, "; last written %s %s", difference->operation, difference->timestamp);
    if (*difference->topic || *difference->offset)
        buffer_printf(line, "%s topic %s partition %s offset %s",
                      *difference->operation || *difference->timestamp ? "," : "; last record:",
                      difference->topic,
                      difference->partition, difference->offset);
}

static void differs(void *context, const struct verify_table *table,
                    const struct verify_difference *difference)
{
    struct session *session = context;
    struct buffer line;
    verify_report_difference(&session->report, difference);
    if (session->arguments->json)
        return;
    buffer_init(&line);
    buffer_printf(&line, "%s %s:", verify_kind_name(difference->kind), table->source);
    put_values(&line, difference->key, difference->key_count);
    put_columns(&line, difference);
    put_traces(&line, difference);
    progress_done(&session->progress);
    terminal_line(stdout, "%s", buffer_text(&line));
    buffer_done(&line);
}

/* What is left as it was, and why. */
static void mended(void *context, const struct verify_table *table, int64_t number,
                   enum verify_outcome outcome, const char *why)
{
    struct session *session = context;
    struct buffer line;
    const json_t *difference = verify_report_mended(&session->report, number, outcome, why);
    if (session->arguments->json || outcome != VERIFY_LEFT)
        return;
    buffer_init(&line);
    buffer_printf(&line, "left %s:", table->source);
    const char *column;
    json_t *value;
    size_t count = 0;
    json_object_foreach(json_object_get(difference, "key"), column, value)
        buffer_printf(&line, "%s%s=%s", count++ ? ", " : " ", column, json_string_value(value));
    buffer_printf(&line, ": %s", why);
    progress_done(&session->progress);
    terminal_line(stdout, "%s", buffer_text(&line));
    buffer_done(&line);
}

static bool puts_right(const struct verify_arguments *arguments)
{
    return arguments->repair || arguments->delete_extra;
}

static enum paint paint_of(enum verify_verdict verdict)
{
    return verdict == VERIFY_EQUAL     ? PAINT_GOOD
           : verdict == VERIFY_DIFFERS ? PAINT_BAD
                                       : PAINT_WARN;
}

static void ends(void *context, const struct verify_table *table)
{
    struct session *session = context;
    char seconds[32];
    verify_report_table(&session->report, table);
    if (session->arguments->json)
        return;
    snprintf(seconds, sizeof seconds, "%.1f", table->seconds);
    columns_add(&session->table, table->source);
    columns_add(&session->table, *table->target ? table->target : "-");
    columns_number(&session->table, table->source_rows);
    columns_number(&session->table, table->target_rows);
    columns_number(&session->table, table->missing);
    columns_number(&session->table, table->extra);
    columns_number(&session->table, table->changed);
    columns_number(&session->table, table->unsettled);
    if (puts_right(session->arguments)) {
        columns_number(&session->table, table->repaired);
        columns_number(&session->table, table->deleted);
    }
    columns_add(&session->table, seconds);
    columns_add(&session->table, verify_verdict_name(table->verdict));
    columns_paint(&session->table, paint_of(table->verdict));
    progress_done(&session->progress);
    if (*table->why)
        terminal_line(stderr, "ods-sink verify: %s: %s: %s", table->source,
                      verify_verdict_name(table->verdict), table->why);
    if (*table->notes)
        terminal_line(stderr, "ods-sink verify: %s: %s", table->source, table->notes);
}

static void notice(void *context, const char *text)
{
    struct session *session = context;
    verify_report_notice(&session->report, text);
    if (session->arguments->json)
        return;
    progress_done(&session->progress);
    terminal_line(stdout, "%s", text);
}

/* --- asking for rows again ------------------------------------------------------------------ */

static enum cli_exit open_channel(void *context, const struct pipeline_settings *pipeline,
                                  const char *schema, const char *table, struct error *error)
{
    return (enum cli_exit) signals_choose(context, pipeline, schema, table, error);
}

static size_t room(void *context)
{
    return signals_room(context);
}

static enum cli_exit ask(void *context, const char *condition, struct error *error)
{
    return (enum cli_exit) signals_ask(context, condition, error);
}

static enum cli_exit await(void *context, bool *sent, struct error *error)
{
    return (enum cli_exit) signals_await(context, sent, error);
}

/* --- where the state is kept ---------------------------------------------------------------- */

static bool make_folders(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *at = '/';
        if (!made)
            return false;
    }
    return true;
}

/* ~/.local/state/ods-sink/verify-<of the configuration>.json; NULL: there is no home. */
static char *default_state(const char *config)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *whole = realpath(config, NULL), *path = NULL;
    uint64_t name = whole ? hash_bytes(whole, strlen(whole), 0) : 0;
    if (!whole || (!(state && *state) && !(home && *home)))
        path = NULL;
    else if (asprintf(&path, "%s%s/ods-sink/verify-%016llx.json", state && *state ? state : home,
                      state && *state ? "" : "/.local/state", (unsigned long long) name) < 0)
        path = NULL;
    free(whole);
    if (path && !make_folders(path)) {
        free(path);
        path = NULL;
    }
    return path;
}

/* --- running -------------------------------------------------------------------------------- */

static int print(struct session *session, enum cli_exit code, const struct error *error)
{
    const struct verify_arguments *arguments = session->arguments;
    verify_report_end(&session->report, code, error->text);
    progress_done(&session->progress);
    if (arguments->json) {
        json_dumpf(session->report.root, stdout, arguments->watch ? JSON_COMPACT : JSON_INDENT(2));
        putchar('\n');
    } else if (session->table.count > session->table.width && !columns_print(&session->table)) {
        return CLI_INTERNAL;
    }
    if (*error->text && code != CLI_CANT_TELL)
        terminal_line(stderr, "ods-sink verify: %s", error->text);
    if (arguments->report && !verify_report_html(&session->report, arguments->report)) {
        terminal_line(stderr, "ods-sink verify: cannot write %s: %s", arguments->report,
                      strerror(errno));
        return CLI_INTERNAL;
    }
    return (int) code;
}

static bool interrupted(void *context)
{
    (void) context;
    return interrupt_came();
}

static int once(const struct call *call, const struct verify_arguments *arguments,
                const struct verify_options *options)
{
    static const char *const names[] = {"TABLE", "TARGET",  "SOURCE ROWS", "TARGET ROWS", "MISSING",
                                        "EXTRA", "CHANGED", "UNSETTLED",   "SECONDS",     "RESULT"};
    static const char *const more[] = {"TABLE",    "TARGET",  "SOURCE ROWS", "TARGET ROWS",
                                       "MISSING",  "EXTRA",   "CHANGED",     "UNSETTLED",
                                       "REPAIRED", "DELETED", "SECONDS",     "RESULT"};
    bool rights = puts_right(arguments);
    struct session session = {.arguments = arguments, .terminal = call->terminal};
    const struct verify_listener listener = {.begins = begins,
                                             .differs = differs,
                                             .mended = mended,
                                             .goes_on = goes_on,
                                             .ends = ends,
                                             .notice = notice,
                                             .context = &session};
    struct error error;
    int code = CLI_INTERNAL;
    error_init(&error);
    columns_init(&session.table, call->terminal, rights ? more : names,
                 rights ? sizeof more / sizeof *more : sizeof names / sizeof *names);
    progress_init(&session.progress, call->terminal);
    if (verify_report_init(&session.report))
        code = print(&session, verify_run(options, &listener, &error), &error);
    verify_report_done(&session.report);
    columns_done(&session.table);
    if (interrupt_came())
        fprintf(stderr, "ods-sink verify: interrupted%s\n",
                options->state ? "; --resume goes on from there" : "");
    return code;
}

static int again_and_again(const struct call *call, const struct verify_arguments *arguments,
                           const struct verify_options *options)
{
    int code = CLI_OK;
    while (!interrupt_came()) {
        code = once(call, arguments, options);
        fflush(stdout);
        for (int64_t ms = 0; ms < arguments->every_ms && !interrupt_came(); ms += 100)
            usleep(100000);
    }
    return code;
}

static int check(const struct call *call, const struct verify_arguments *arguments)
{
    if (arguments->watch && arguments->resume)
        return cli_usage(call->name, "--watch starts over each time: it has nothing to --resume");
    if (arguments->since_us != INT64_MIN && (arguments->counts || arguments->sample))
        return cli_usage(call->name, "--since goes with neither --counts nor --sample");
    if (puts_right(arguments) && arguments->counts)
        return cli_usage(call->name, "--counts finds no single rows, so none can be repaired");
    if (arguments->derived && (arguments->counts || arguments->sample || arguments->watch ||
                               arguments->resume || puts_right(arguments)))
        return cli_usage(call->name, "--derived compares derived tables with their queries, whole "
                                     "and once, and repairs nothing");
    if (arguments->connector && !arguments->repair)
        return cli_usage(call->name, "--connector is for --repair");
    return CLI_OK;
}

static int run(const struct call *call, void *given)
{
    const struct verify_arguments *arguments = given;
    struct config *config = NULL;
    char *state = NULL;
    int code = check(call, arguments);
    if (code == CLI_OK)
        code = cli_load(&config, arguments->config);
    if (code == CLI_OK && arguments->derived) {
        interrupt_catch();
        code = verify_derived(call, config_settings(config), &arguments->tables, arguments->limit,
                              arguments->json);
    } else if (code == CLI_OK) {
        interrupt_catch();
        if (!arguments->watch && !arguments->state)
            state = default_state(arguments->config);
        struct signals signals = {.settings = config_settings(config),
                                  .wanted = arguments->connector,
                                  .wait_ms = arguments->wait_ms,
                                  .stops = interrupt_came};
        const struct verify_channel channel = {
            .open = open_channel, .room = room, .ask = ask, .await = await, .context = &signals};
        const struct verify_options options = {
            .settings = config_settings(config),
            .database = arguments->source,
            .pipeline = arguments->pipeline,
            .tables = arguments->tables.items,
            .table_count = arguments->tables.count,
            .mode = arguments->counts   ? VERIFY_COUNTS
                    : arguments->sample ? VERIFY_SAMPLE
                                        : VERIFY_FULL,
            .sample = arguments->sample,
            .since_us = arguments->since_us,
            .wait_ms = arguments->wait_ms,
            .settle_ms = arguments->settle_ms,
            .limit = arguments->limit,
            .state = arguments->state ? arguments->state : state,
            .resume = arguments->resume,
            .channel = arguments->repair ? &channel : NULL,
            .delete_extra = arguments->delete_extra,
            .stops = interrupted,
        };
        code = arguments->watch ? again_and_again(call, arguments, &options)
                                : once(call, arguments, &options);
        signals_close(&signals);
    }
    free(state);
    config_free(config);
    return cli_finish(code);
}

static const struct verify_arguments defaults = {
    .since_us = INT64_MIN, .wait_ms = 60000, .limit = 1000, .every_ms = 60000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct verify_arguments),
    OPTION(struct verify_arguments, source, "source", &argument_text,
           "only pipelines of this database", .value = "NAME"),
    OPTION(struct verify_arguments, pipeline, "pipeline", &argument_pipeline, "only this pipeline"),
    SWITCH(struct verify_arguments, full, "full", "every row (the default)", .either = 1),
    OPTION(struct verify_arguments, sample, "sample", &argument_number,
           "about this many rows of each side of each table, chosen at random", .min = 1,
           .max = 1000000, .either = 1),
    SWITCH(struct verify_arguments, counts, "counts", "only how many rows there are", .either = 1),
    SWITCH(struct verify_arguments, derived, "derived",
           "compare derived tables with their queries in place of tables with their source"),
    OPTION(struct verify_arguments, since_us, "since", &argument_moment,
           "only rows that the target got from then on, by its `cdc_timestamp`"),
    OPTION(struct verify_arguments, wait_ms, "wait", &argument_seconds,
           "how long to wait for a pipeline that is behind, at each look (default: 60)",
           .max = 86400),
    OPTION(struct verify_arguments, settle_ms, "settle", &argument_seconds,
           "count what differs for this long, even where it can't be told whether the connector is "
           "up to date",
           .min = 1, .max = 86400),
    OPTION(struct verify_arguments, limit, "limit", &argument_number,
           "show at most this many differences of each table, and count the others (default: 1000)",
           .max = INT64_C(1000000)),
    SWITCH(struct verify_arguments, repair, "repair",
           "ask for rows that are missing or changed again, through their connector, and compare "
           "them once more"),
    SWITCH(struct verify_arguments, delete_extra, "delete-extra",
           "delete rows that only the target has, each unless it has changed since it was "
           "compared"),
    OPTION(struct verify_arguments, connector, "connector", &argument_text,
           "with `--repair`: the connector that is asked (default: the one whose topic.prefix "
           "tells that it writes the table's topic)",
           .value = "NAME"),
    OPTION(struct verify_arguments, report, "report", &argument_file, "also write a page of HTML",
           .value = "FILE.html"),
    SWITCH(struct verify_arguments, watch, "watch", "again and again, until ^C"),
    OPTION(struct verify_arguments, every_ms, "every", &argument_seconds,
           "with `--watch`, the pause between two times (default: 60)", .min = 1, .max = 86400),
    SWITCH(struct verify_arguments, resume, "resume",
           "go on where an earlier run ended or failed"),
    OPTION(struct verify_arguments, state, "state", &argument_file,
           "where that is kept (default: a file in ~/.local/state/ods-sink)"),
    OPTION_JSON(struct verify_arguments),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct verify_arguments, tables, "TABLE", &argument_table,
            "only these tables, by the source's name or the target's, with or without what stands "
            "before the dot",
            .flags = PARAMETER_MANY),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "All that was compared is equal, or was repaired."},
    {CLI_NEGATIVE, "Something differs, and has stayed different."},
    {CLI_CONFIG, "The configuration is wrong, or the connector's lacks what a repair needs."},
    {CLI_SOURCE, "The source database failed, or Kafka, Kafka Connect or the connector did."},
    EXIT_IS_TARGET,
    {CLI_CANT_TELL,
     "Nothing is known to differ, and of some rows or tables it can't be told yet: standard error "
     "says why. Also after ^C."},
    {0}};

static const struct example examples[] = {
    {"ods-sink verify -c ods-sink.conf", "Every row of every table."},
    {"ods-sink verify -c ods-sink.conf customers --sample 10000", "A quick look at one table."},
    {"ods-sink verify -c ods-sink.conf --counts --json", "For a program."},
    {"ods-sink verify -c ods-sink.conf orders --repair --delete-extra",
     "Repair everything that differs."},
    {0}};

static const struct section sections[] = {
    {"NOTES",
     "Equal means: what ods-sink would have written. A row of the source goes through the "
     "pipeline's transforms, names and types, and is then held against the target's by meaning. "
     "Columns that only the target has are not looked at, and rows that are marked deleted count "
     "as absent.\n\n"
     "Nothing has to stand still. What differs is looked at again after the pipeline has come past "
     "the place in the source's log at which it was read, until it is equal or has stayed "
     "different.\n\n"
     "`--repair` has rows that are missing or changed sent again by their connector, in order with "
     "all other changes, and `--delete-extra` deletes those that only the target has; both end by "
     "comparing these rows once more, and what is not repaired is listed with the reason. The "
     "stream goes on meanwhile. What the connector must have for it is checked first, and stands "
     "in docs/cli/verify.md.\n\n"
     "`--derived` looks at the target alone: in one snapshot, while everything runs, each derived "
     "table is held against its query. Keys that wait to be computed, and those that are set "
     "aside, are left out; anything else that differs is a fault.\n\n"
     "Tables of a lake (targets of type delta and iceberg) are compared whole, or by `--counts`: "
     "both sides are read, and read again where something differs.\n\n"
     "The source databases are named in `databases` of ods-sink.conf; see docs/cli/verify.md for "
     "the rights that they take and for what can't be seen."},
    {0}};

const struct command cli_verify = {
    .name = "verify",
    .summary = "compare the target with the source",
    .description = "Compares the rows of a pipeline's tables with those of its source database, "
                   "and says of each that differs whether it is missing, extra or changed, in "
                   "which columns, and what wrote it last where the target knows. Changes nothing, "
                   "on either side, unless it is told to repair what differs.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .sections = sections,
    .options_size = sizeof(struct verify_arguments),
    .defaults = &defaults,
    .run = run,
};
