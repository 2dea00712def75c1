/* ods-sink attach: take up a table that was not moved so far, from the beginning of its topic,
 * while the group goes on.
 *
 * Its topic may be new, or have been passed over by an earlier configuration, so that its stored
 * offsets are at the end. It is held, its offsets become the oldest there are, and it goes on.
 * Every process that hears of an order looks for topics that are new.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include <ods/pipeline.h>

#include "cli/json.h"
#include "cli/table.h"
#include "core/time.h"

#define ASK_MS 100

struct attach_options {
    struct table_options table;
};

static bool is_noted(const struct table *table, const struct topic_table **row)
{
    for (size_t i = 0; i < table->known.count; i++)
        for (size_t k = 0; k < table->topic_count; k++)
            if (strcmp(table->known.items[i].topic, table->topics[k].name) == 0) {
                *row = &table->known.items[i];
                return true;
            }
    return false;
}

/* Does the configuration leave the topic's table out? The table is that of the topic's name, whose
 * last two parts are "database.table"; the records may name another one. */
static bool is_skipped(const struct table *table)
{
    char topic[600];
    snprintf(topic, sizeof topic, "%s", table->topics[0].name);
    const struct table_settings *other,
        *settings = pipeline_table_of_topic(table->pipeline, topic, &other);
    char *last = strrchr(topic, '.');
    if (!settings && last) {
        *last = '\0';
        const char *before = strrchr(topic, '.');
        settings = pipeline_table(table->pipeline, before ? before + 1 : topic, last + 1);
    }
    return settings && settings->skip;
}

static int check(const struct table *table, struct error *error)
{
    const struct topic_table *row;
    if (is_noted(table, &row)) {
        error_set(error, ODS_FATAL,
                  "%s is moved already: topic %s has brought rows of %s.%s; resync reads it again "
                  "from its beginning",
                  table->options->name, row->topic, row->target_schema, row->target_table);
        return CLI_NEGATIVE;
    }
    if (!is_skipped(table))
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "the configuration still says skip: true for %s: take it out, restart the daemons, "
              "and attach it then",
              table->options->name);
    return CLI_NEGATIVE;
}

static int order(struct table *table, enum order_state state, int64_t *number, struct error *error)
{
    const struct table_order order = {.from_running = state == ORDER_PAUSED,
                                      .from_paused = state == ORDER_RUNNING,
                                      .state = state,
                                      .action = "attach",
                                      .details = state == ORDER_PAUSED
                                                     ? "held while its offsets are set"
                                                     : "goes on from the beginning of its topic",
                                      .reason = table->options->reason};
    return table_give(table, &order, number, error);
}

/* lows: where it was moved to, for whoever called to free. */
static int move(struct table *table, int64_t **lows, struct error *error)
{
    int code = table_measure(table, error);
    if (code != CLI_OK)
        return code;
    *lows = calloc(table->count + 1, sizeof **lows);
    if (!*lows) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    memcpy(*lows, table->lows, table->count * sizeof **lows);
    return table_move(table, *lows, error);
}

/* Somebody reads it: an offset has moved. Where there is nothing to read nothing tells. */
static int await_reader(struct table *table, const int64_t *lows, struct error *error)
{
    int64_t until_us = time_monotonic_us() + table->options->wait_ms * 1000;
    while (table->obeying.count && table_backlog(table)) {
        int code = table_measure(table, error);
        if (code != CLI_OK)
            return code;
        for (size_t i = 0; i < table->count; i++)
            if (table->positions[i].offset > lows[i])
                return CLI_OK;
        if (interrupt_came() || time_monotonic_us() >= until_us) {
            error_set(error, ODS_RETRY,
                      "it is attached, and no process has applied a record of it yet: see "
                      "ods-sink status --partitions");
            return interrupt_came() ? interrupt_code() : CLI_NEGATIVE;
        }
        poll(NULL, 0, ASK_MS);
    }
    return CLI_OK;
}

static int carry_out(struct table *table, int64_t **lows, struct error *error)
{
    struct error ignored;
    int64_t number;
    int code = check(table, error);
    if (code != CLI_OK)
        return code;
    interrupt_catch();
    code = order(table, ORDER_PAUSED, &number, error);
    if (code != CLI_OK)
        return code;
    code = table_await(table, number, error);
    if (code == CLI_OK)
        code = move(table, lows, error);
    error_init(&ignored);
    int after = order(table, ORDER_RUNNING, &number, code == CLI_OK ? error : &ignored);
    if (code == CLI_OK)
        code = after;
    if (code == CLI_OK)
        code = table_await(table, number, error);
    if (code == CLI_OK)
        code = table_measure(table, error);
    return code == CLI_OK ? await_reader(table, *lows, error) : code;
}

static void print(const struct table *table)
{
    if (table->options->json) {
        cli_print_json(json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:I}", "table",
                                 cli_json(table->options->name), "pipeline",
                                 cli_json(table->pipeline->name), "action", "attach", "state",
                                 "running", "topics", table_topics_json(table), "obeyed_by",
                                 table_obeying_json(table), "waiting",
                                 (json_int_t) table_backlog(table)));
        return;
    }
    terminal_line(stdout, "%s is read from the beginning of its topic", table->options->name);
    table_print_obeying(table);
    putchar('\n');
    table_print_topics(table);
}

static int run(const struct call *call, void *given)
{
    const struct attach_options *options = given;
    struct table table = {0};
    int64_t *lows = NULL;
    struct error error;
    int code = table_open(&table, call, &options->table, &error);
    if (code == CLI_OK)
        code = carry_out(&table, &lows, &error);
    if (code == CLI_OK)
        print(&table);
    table_failed(&table, code, &error);
    free(lows);
    table_close(&table);
    return cli_finish(code);
}

static const struct attach_options defaults = {.table.wait_ms = TABLE_WAIT_MS};

static const struct parameter options[] = {
    OPTIONS_TABLE(struct attach_options),
    OPTION(struct attach_options, table.reason, "reason", &argument_text,
           "for the history of orders", .value = "TEXT"),
    {0}};

static const struct parameter operands[] = {OPERAND_TABLE(struct attach_options), {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE,
     "The table is moved already, or the configuration leaves it out; a process has not confirmed "
     "in time that it obeys; another order stands; the target keeps no orders."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink attach -c ods-sink.conf shop.returns",
     "Take up a table whose records an earlier configuration passed over."},
    {0}};

const struct command cli_attach = {
    .name = "attach",
    .summary = "take up a table that was not moved so far, while all others go on",
    .description =
        "Its topic is read from the oldest record that Kafka has, even where the group has passed "
        "it by: because the configuration left the table out (`skip`), or because "
        "`auto_offset_reset` is `latest`. A topic that has just appeared is looked for at once. "
        "The configuration must match the topic already; where it was changed for that, restart "
        "the daemons first.\n\n"
        "A table that has been moved already is refused: see `resync`.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct attach_options),
    .defaults = &defaults,
    .run = run,
};
