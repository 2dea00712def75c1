/* ods-sink pause and resume: hold one table of a running group, and let it go on. */
#include <string.h>

#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/table.h"
#include "core/time.h"

struct pause_options {
    struct table_options table;
};

/* "2026-11-26 21:30:05 UTC" */
static const char *moment(struct buffer *text, int64_t us)
{
    buffer_init(text);
    time_format_timestamp(text, us - us % 1000000, false);
    return buffer_text(text);
}

static void print_since(const struct table *table, const struct order *order)
{
    struct buffer since;
    terminal_line(stdout, "%s is %s since %s UTC, by %s%s%s", table->options->name,
                  order->state == ORDER_PAUSED ? "paused" : "held for a resync",
                  moment(&since, order->at_us), order->by, *order->reason ? ": " : "",
                  order->reason);
    buffer_done(&since);
    if (*table->others)
        terminal_line(stdout, "with it, since they share its topic: %s", table->others);
}

static void print(const struct table *table, const struct orders *orders, const char *action)
{
    const struct order *order = orders->count ? &orders->items[0] : NULL;
    if (!table->options->json) {
        if (order)
            print_since(table, order);
        else
            terminal_line(stdout, "%s goes on", table->options->name);
        table_print_obeying(table);
        putchar('\n');
        table_print_topics(table);
        return;
    }
    json_t *root = json_pack(
        "{s:o, s:o, s:s, s:s, s:o, s:o, s:I}", "table", cli_json(table->options->name), "pipeline",
        cli_json(table->pipeline->name), "action", action, "state",
        order_state_name(order ? order->state : ORDER_RUNNING), "topics", table_topics_json(table),
        "obeyed_by", table_obeying_json(table), "waiting", (json_int_t) table_backlog(table));
    if (order) {
        json_object_set_new(root, "since", json_real((double) order->at_us / 1e6));
        json_object_set_new(root, "by", cli_json(order->by));
        json_object_set_new(root, "reason", cli_json(order->reason));
    }
    cli_print_json(root);
}

/* Give the order unless it stands already, and wait until it is obeyed. */
static int give(struct table *table, const struct table_order *order, struct error *error)
{
    struct orders orders;
    int64_t number;
    int code = table_look(table, &orders, error);
    number = orders.number;
    bool stands = order->state == ORDER_RUNNING ? !orders.count
                                                : orders.count == table->topic_count &&
                                                      orders.items[0].state == order->state;
    orders_done(&orders);
    if (code == CLI_OK && !stands)
        code = table_give(table, order, &number, error);
    if (code == CLI_OK)
        code = table_await(table, number, error);
    return code;
}

static int carry_out(struct table *table, const struct table_order *order, struct error *error)
{
    struct orders orders = {0};
    interrupt_catch();
    int code = give(table, order, error);
    if (code == CLI_OK)
        code = table_measure(table, error);
    if (code == CLI_OK)
        code = table_look(table, &orders, error);
    if (code == CLI_OK)
        print(table, &orders, order->action);
    orders_done(&orders);
    return code;
}

static int run(const struct call *call, void *given)
{
    const struct pause_options *options = given;
    bool pauses = strcmp(call->command->name, "pause") == 0;
    const struct table_order order = {.from_running = pauses,
                                      .from_paused = true,
                                      .from_resync = !pauses,
                                      .state = pauses ? ORDER_PAUSED : ORDER_RUNNING,
                                      .action = call->command->name,
                                      .reason = options->table.reason};
    struct table table;
    struct error error;
    int code = table_open(&table, call, &options->table, &error);
    if (code == CLI_OK)
        code = carry_out(&table, &order, &error);
    table_failed(&table, code, &error);
    table_close(&table);
    return cli_finish(code);
}

static const struct pause_options defaults = {.table.wait_ms = TABLE_WAIT_MS};

static const struct parameter pause_rows[] = {
    OPTIONS_TABLE(struct pause_options),
    OPTION(struct pause_options, table.reason, "reason", &argument_text,
           "why, for whoever finds it paused", .flags = PARAMETER_REQUIRED, .value = "TEXT"),
    {0}};

static const struct parameter resume_rows[] = {
    OPTIONS_TABLE(struct pause_options),
    OPTION(struct pause_options, table.reason, "reason", &argument_text,
           "for the history of orders", .value = "TEXT"),
    {0}};

static const struct parameter operands[] = {OPERAND_TABLE(struct pause_options), {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE,
     "A process has not confirmed in time that it obeys; the order stands all the same. Or it is "
     "refused: the table shares its topic, another order stands, the target keeps no orders."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    {CLI_INTERRUPTED, "^C ended the wait; the order stands."},
    {0}};

static const struct example pause_examples[] = {
    {"ods-sink pause -c ods-sink.conf shop.orders --reason 'index is being built'",
     "Hold one table while all others go on."},
    {0}};

static const struct example resume_examples[] = {
    {"ods-sink resume -c ods-sink.conf shop.orders", "Let it go on where it stands."}, {0}};

const struct command cli_pause = {
    .name = "pause",
    .chapter = "One table at a time",
    .summary = "hold one table while the others go on",
    .description =
        "The order stands in the target: every process of the group obeys it, on whatever machine, "
        "and those that start later too. When `pause` comes back with 0, all processes have "
        "confirmed that nothing of the table is on its way any more, and no row of it is written "
        "until `resume`. A batch that is on its way is applied first; one that can't be applied, "
        "which may be why the table is to be paused, is given up and read again.\n\n"
        "What is held is the table's topic: nothing of it is read, and it must keep its records "
        "for as long as the pause lasts (see Kafka's `retention.ms`). Where a topic carries "
        "several tables, all of them stand or none; `--whole-topic` says that this is meant.\n\n"
        "`status` and the metrics tell what is paused, and how many records wait.",
    .options = {{.options = pause_rows}},
    .operands = operands,
    .exits = exits,
    .examples = pause_examples,
    .options_size = sizeof(struct pause_options),
    .defaults = &defaults,
    .run = run,
};

const struct command cli_resume = {
    .name = "resume",
    .summary = "let a table go on that was paused",
    .description = "It goes on where the target stands. Also ends what a `resync` that was killed "
                   "has left held: what that has read so far is kept, and another `resync` goes on "
                   "from there.",
    .options = {{.options = resume_rows}},
    .operands = operands,
    .exits = exits,
    .examples = resume_examples,
    .options_size = sizeof(struct pause_options),
    .defaults = &defaults,
    .run = run,
};
