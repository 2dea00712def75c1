/* ods-sink skip-until: move the stored offsets of one table of a running group forward.
 *
 * The table is paused, its offsets move by compare-and-swap like those of any batch, here one
 * without records, and it goes on. One that was paused before stays so.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/table.h"

#define TRIES 3

struct skip_goal {
    bool is_time;
    int64_t offset, time_us;
    const char *text;
};

struct skip_options {
    struct table_options table;
    struct skip_goal goal;
    int64_t partition; /* -1: all */
};

struct skip {
    struct table table; /* first */
    const struct skip_options *options;
    int64_t *olds, *news;
    bool was_paused;
    struct buffer details;
};

/* --- where to -------------------------------------------------------------------------------- */

static int find_goal(struct skip *skip, size_t i, int64_t *new, struct error *error)
{
    struct table *table = &skip->table;
    const struct skip_goal *goal = &skip->options->goal;
    const struct position *position = &table->positions[i];
    *new = goal->offset;
    if (!goal->is_time)
        return CLI_OK;
    if (kafka_tool_offset_at(table->tool, position->topic, position->partition,
                             goal->time_us / 1000, new, error) != ODS_OK)
        return CLI_SOURCE;
    if (*new < 0)
        *new = table->highs[i]; /* nothing is as new as that */
    return CLI_OK;
}

static int refuse_place(const struct skip *skip, size_t i, const char *why, struct error *error)
{
    const struct position *position = &skip->table.positions[i];
    error_set(error, ODS_FATAL,
              "topic %s partition %d has the offsets %lld to %lld, and stands at %lld: %s",
              position->topic, (int) position->partition, (long long) skip->table.lows[i],
              (long long) skip->table.highs[i], (long long) position->offset, why);
    return CLI_USAGE;
}

/* A partition that is further already stays where it is, if a time was given. */
static int find_goals(struct skip *skip, struct error *error)
{
    const struct table *table = &skip->table;
    for (size_t i = 0; i < table->count; i++) {
        const struct position *position = &table->positions[i];
        int64_t new;
        skip->olds[i] = skip->news[i] = position->offset;
        if (skip->options->partition >= 0 && position->partition != skip->options->partition)
            continue;
        int code = find_goal(skip, i, &new, error);
        if (code != CLI_OK)
            return code;
        if (new > table->highs[i] || (new < table->lows[i] && !skip->options->goal.is_time))
            return refuse_place(skip, i, "the offset is none of these", error);
        if (new < position->offset && !skip->options->goal.is_time)
            return refuse_place(skip, i, "skip-until goes forward only (see resync, and reset)",
                                error);
        if (new > position->offset)
            skip->news[i] = new;
    }
    return CLI_OK;
}

/* Where only one partition can be meant. */
static int check_partition(const struct skip *skip, struct error *error)
{
    const struct table *table = &skip->table;
    int64_t partition = skip->options->partition;
    bool there = partition < 0;
    int32_t most = 0;
    for (size_t i = 0; i < table->topic_count; i++) {
        there |= partition < table->topics[i].partitions;
        most = table->topics[i].partitions > most ? table->topics[i].partitions : most;
    }
    if (!there)
        error_set(error, ODS_FATAL, "topic %s has %d partitions, counted from 0",
                  table->topics[0].name, (int) most);
    else if (!skip->options->goal.is_time &&
             (table->topic_count > 1 || (partition < 0 && most > 1)))
        error_set(error, ODS_FATAL,
                  "%s has %zu topic%s, with up to %d partitions, and an offset is that of one: "
                  "name it by its topic and with --partition, or give a time",
                  table->options->name, table->topic_count, table->topic_count == 1 ? "" : "s",
                  (int) most);
    else
        return CLI_OK;
    return CLI_USAGE;
}

/* --- moving ---------------------------------------------------------------------------------- */

static int64_t passed_over(const struct skip *skip, size_t i)
{
    int64_t low = skip->table.lows[i], old = skip->olds[i];
    int64_t from = old < low ? low : old;
    return skip->news[i] > from ? skip->news[i] - from : 0;
}

static void describe(struct skip *skip)
{
    const struct table *table = &skip->table;
    buffer_reset(&skip->details);
    buffer_printf(&skip->details, "until %s:", skip->options->goal.text);
    for (size_t i = 0; i < table->count; i++)
        if (skip->news[i] != skip->olds[i])
            buffer_printf(&skip->details, " %s [%d] %lld to %lld", table->positions[i].topic,
                          (int) table->positions[i].partition, (long long) skip->olds[i],
                          (long long) skip->news[i]);
}

/* A writer that had a batch on its way may have been faster. */
static int move(struct skip *skip, struct error *error)
{
    int code = CLI_NEGATIVE;
    for (int tries = 0; code == CLI_NEGATIVE && tries < TRIES; tries++) {
        error_init(error);
        code = table_measure(&skip->table, error);
        if (code == CLI_OK)
            code = find_goals(skip, error);
        if (code == CLI_OK)
            code = table_move(&skip->table, skip->news, error);
    }
    return code;
}

static int order(struct skip *skip, enum order_state state, const char *action, int64_t *number,
                 struct error *error)
{
    const struct table_order order = {.from_running = true,
                                      .from_paused = true,
                                      .state = state,
                                      .action = action,
                                      .details = buffer_text(&skip->details),
                                      .reason = skip->options->table.reason};
    return table_give(&skip->table, &order, number, error);
}

/* The table goes back to the state it was in. The error that led here stays the one to report. */
static int give_up(struct skip *skip, int code)
{
    struct error ignored;
    int64_t number;
    error_init(&ignored);
    buffer_reset(&skip->details);
    buffer_puts(&skip->details, "nothing was moved");
    if (!skip->was_paused)
        order(skip, ORDER_RUNNING, "skip-until", &number, &ignored);
    return code;
}

static int look(struct skip *skip, struct error *error)
{
    struct orders orders;
    int code = table_look(&skip->table, &orders, error);
    skip->was_paused = orders.count && orders.items[0].state == ORDER_PAUSED;
    orders_done(&orders);
    return code;
}

static int carry_out(struct skip *skip, struct error *error)
{
    struct table *table = &skip->table;
    int64_t number;
    int code = table_measure(table, error);
    skip->olds = calloc(table->count + 1, sizeof *skip->olds);
    skip->news = calloc(table->count + 1, sizeof *skip->news);
    if (code == CLI_OK && (!skip->olds || !skip->news)) {
        error_out_of_memory(error);
        code = CLI_INTERNAL;
    }
    if (code == CLI_OK)
        code = find_goals(skip, error); /* what can't be is refused before anything stands */
    if (code == CLI_OK)
        code = look(skip, error);
    if (code != CLI_OK)
        return code;
    interrupt_catch();
    buffer_printf(&skip->details, "for skip-until %s", skip->options->goal.text);
    if (!skip->was_paused) {
        code = order(skip, ORDER_PAUSED, "pause", &number, error);
        if (code != CLI_OK)
            return code;
        code = table_await(table, number, error);
    }
    if (code == CLI_OK && interrupt_came())
        code = interrupt_code();
    if (code == CLI_OK)
        code = move(skip, error);
    if (code != CLI_OK)
        return give_up(skip, code);
    describe(skip);
    code = order(skip, skip->was_paused ? ORDER_PAUSED : ORDER_RUNNING, "skip-until", &number,
                 error);
    if (code == CLI_OK)
        code = table_await(table, number, error);
    return code;
}

/* --- telling --------------------------------------------------------------------------------- */

static void print_table(const struct skip *skip)
{
    static const char *const names[] = {"TOPIC", "PARTITION", "OLD", "NEW", "PASSED OVER"};
    const struct table *table = &skip->table;
    struct columns columns;
    columns_init(&columns, table->call->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < table->count; i++) {
        columns_add(&columns, table->positions[i].topic);
        columns_number(&columns, table->positions[i].partition);
        if (skip->olds[i] == OFFSET_NONE)
            columns_add(&columns, "none");
        else
            columns_number(&columns, skip->olds[i]);
        if (skip->news[i] == OFFSET_NONE)
            columns_add(&columns, "none");
        else
            columns_number(&columns, skip->news[i]);
        columns_number(&columns, passed_over(skip, i));
    }
    columns_print(&columns);
    columns_done(&columns);
    if (skip->was_paused)
        puts("it was paused before, and stays so");
}

static void print(const struct skip *skip)
{
    const struct table *table = &skip->table;
    if (!table->options->json) {
        print_table(skip);
        return;
    }
    json_t *moves = json_array();
    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(
            moves,
            json_pack("{s:o, s:i, s:o, s:o, s:I}", "topic", cli_json(table->positions[i].topic),
                      "partition", (int) table->positions[i].partition, "old",
                      skip->olds[i] < 0 ? json_null() : json_integer(skip->olds[i]), "new",
                      skip->news[i] < 0 ? json_null() : json_integer(skip->news[i]),
                      "passed_over", (json_int_t) passed_over(skip, i)));
    cli_print_json(json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "table",
                             cli_json(table->options->name), "pipeline",
                             cli_json(table->pipeline->name), "action", "skip-until", "state",
                             skip->was_paused ? "paused" : "running", "by", cli_json(table->by),
                             "reason", cli_json(table->options->reason), "moved", moves,
                             "obeyed_by", table_obeying_json(table)));
}

static int run(const struct call *call, void *given)
{
    const struct skip_options *options = given;
    struct skip skip = {.options = options};
    struct error error;
    buffer_init(&skip.details);
    int code = table_open(&skip.table, call, &options->table, &error);
    if (code == CLI_OK)
        code = check_partition(&skip, &error);
    if (code == CLI_OK)
        code = carry_out(&skip, &error);
    if (code == CLI_OK)
        print(&skip);
    table_failed(&skip.table, code, &error);
    free(skip.olds);
    free(skip.news);
    buffer_done(&skip.details);
    table_close(&skip.table);
    return cli_finish(code);
}

static bool parse_goal(const struct parameter *row, const char *text, void *member)
{
    struct skip_goal *goal = member;
    (void) row;
    goal->text = text;
    if (cli_parse_number(text, INT64_MAX - 1, &goal->offset))
        return true;
    goal->is_time = cli_parse_moment(text, &goal->time_us);
    return goal->is_time;
}

static const struct argument argument_goal = {
    "OFFSET|TIME",
    "an offset, a time such as 2026-01-31T12:00:00Z, or how long ago such as 15m",
    COMPLETE_NOTHING, parse_goal};

static const struct skip_options defaults = {.table.wait_ms = TABLE_WAIT_MS, .partition = -1};

static const struct parameter options[] = {
    OPTIONS_TABLE(struct skip_options),
    OPTION(struct skip_options, partition, "partition", &argument_number,
           "only this partition (default: all; an offset needs one, unless the topic has no other)",
           .max = INT32_MAX),
    OPTION(struct skip_options, table.reason, "reason", &argument_text, "why, for the history",
           .flags = PARAMETER_REQUIRED, .value = "TEXT"),
    {0}};

static const struct parameter operands[] = {
    OPERAND_TABLE(struct skip_options),
    OPERAND(struct skip_options, goal, "OFFSET|TIME", &argument_goal,
            "the next record that counts: its offset, or the moment from which on records count",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE,
     "A process has not confirmed in time that it obeys, another order stands, or the target keeps "
     "no orders. Unless it says otherwise nothing was moved."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink skip-until -c ods-sink.conf shop.orders 10m --reason 'bad load, will be sent again'",
     "Pass over what one table has not taken yet and is older than ten minutes."},
    {0}};

const struct command cli_skip_until = {
    .name = "skip-until",
    .summary = "pass over records of one table, while all go on",
    .description =
        "The table is paused, its stored offsets move forward, all in one transaction and only "
        "from where they were seen to be, and it goes on; one that was paused before stays so. "
        "What is passed over is applied nowhere and is not a dead letter: it is as if it had never "
        "been sent. With a time, partitions that are further already stay where they are.\n\n"
        "Who did it, why, and from where to where stands in `ods_sink.control_history`.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct skip_options),
    .defaults = &defaults,
    .run = run,
};
