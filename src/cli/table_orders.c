/* Orders about a table's topics, and what stands there. See table.h. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/table.h"
#include "core/time.h"

#define ASK_MS 50

static int code_of(enum ods_status status)
{
    return status == ODS_OK ? CLI_OK : status == ODS_REJECT ? CLI_NEGATIVE : CLI_TARGET;
}

/* The history of orders has it too, so that an order is given even where the audit can't be kept:
 * by a role without the right, in a schema that an older version made. 0 then. */
static int64_t begin_audit(struct table *table, const struct table_order *order)
{
    const struct audit audit = {.who = table->by,
                                .origin = "command",
                                .action = order->action,
                                .pipeline = table->pipeline->name,
                                .table = table->options->name,
                                .topics = &table->names,
                                .reason = order->reason ? order->reason : ""};
    struct error error;
    int64_t id = 0;
    error_init(&error);
    if (table->sink->ops->control->audit_begin(table->sink, &audit, &id, &error) == ODS_OK)
        return id;
    terminal_line(stderr, "ods-sink %s: it is not in the audit: %s", table->call->name, error.text);
    return 0;
}

static void end_audit(struct table *table, int64_t id, enum ods_status status, int64_t number,
                      const struct error *why)
{
    char answer[ERROR_TEXT_BYTES + 40];
    struct error ignored;
    error_init(&ignored);
    if (status == ODS_OK)
        snprintf(answer, sizeof answer, "order %lld", (long long) number);
    else
        snprintf(answer, sizeof answer, "%s: %s", status == ODS_REJECT ? "refused" : "failed",
                 why->text);
    if (id)
        table->sink->ops->control->audit_end(table->sink, id, answer, &ignored);
}

int table_give(struct table *table, const struct table_order *order, int64_t *number,
               struct error *error)
{
    const struct control_request request = {
        .topics = table->names,
        .allowed = {[ORDER_RUNNING] = order->from_running,
                    [ORDER_PAUSED] = order->from_paused,
                    [ORDER_RESYNC] = order->from_resync},
        .state = order->state,
        .table = table->options->name,
        .action = order->action,
        .details = order->details ? order->details : "",
        .reason = order->reason ? order->reason : "",
        .by = table->by};
    int64_t audit = begin_audit(table, order);
    enum ods_status status =
        table->sink->ops->control->order(table->sink, &request, number, error);
    end_audit(table, audit, status, status == ODS_OK ? *number : 0, error);
    return code_of(status);
}

int table_look(struct table *table, struct orders *orders, struct error *error)
{
    struct orders all = {0};
    enum ods_status status = table->sink->ops->control->orders(table->sink, &all, error);
    *orders = (struct orders){.number = all.number};
    for (size_t i = 0; status == ODS_OK && i < table->topic_count; i++) {
        const struct order *order = orders_find(&all, table->topics[i].name);
        if (order && !orders_add(orders, order))
            status = error_out_of_memory(error);
    }
    orders_done(&all);
    return code_of(status);
}

/* --- waiting --------------------------------------------------------------------------------- */

static enum ods_status ask_members(struct table *table, struct error *error)
{
    free(table->obeying.items);
    table->obeying = (struct control_members){0};
    return table->sink->ops->control->members(table->sink, &table->obeying, error);
}

int table_await(struct table *table, int64_t number, struct error *error)
{
    int64_t wait_ms = table->options->wait_ms;
    int64_t until_us = time_monotonic_us() + wait_ms * 1000;
    for (;;) {
        enum ods_status status = ask_members(table, error);
        if (status != ODS_OK)
            return CLI_TARGET;
        const struct control_member *late = control_members_late(&table->obeying, number);
        if (!late)
            break;
        bool given_up = interrupt_came();
        if (given_up || time_monotonic_us() >= until_us) {
            char waited[40] = "";
            snprintf(waited, sizeof waited, " within %lld s", (long long) (wait_ms / 1000));
            error_set(error, ODS_RETRY,
                      "%s (%d lane%s) has not confirmed%s that it obeys: what it took before may "
                      "still be written; the order stands, and is obeyed as soon as it can be",
                      late->name, (int) late->lanes, late->lanes == 1 ? "" : "s",
                      given_up ? "" : waited);
            return given_up ? interrupt_code() : CLI_NEGATIVE;
        }
        poll(NULL, 0, ASK_MS);
    }
    return code_of(table->sink->ops->control->settle(table->sink, &table->names, error));
}

/* --- where it stands ------------------------------------------------------------------------- */

static bool make_room(struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->topic_count; i++)
        count += (size_t) table->topics[i].partitions;
    if (!table->positions) {
        table->positions = calloc(count + 1, sizeof *table->positions);
        table->lows = calloc(count + 1, sizeof *table->lows);
        table->highs = calloc(count + 1, sizeof *table->highs);
    }
    table->count = 0;
    return table->positions && table->lows && table->highs;
}

int table_measure(struct table *table, struct error *error)
{
    if (!make_room(table)) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < table->topic_count; i++)
        for (int32_t k = 0; k < table->topics[i].partitions; k++)
            table->positions[table->count++] =
                (struct position){.topic = table->topics[i].name, .partition = k};
    enum ods_status status =
        table->sink->ops->resume(table->sink, table->positions, table->count, error);
    if (status != ODS_OK)
        return CLI_TARGET;
    for (size_t i = 0; i < table->count; i++)
        if (kafka_tool_ends(table->tool, table->positions[i].topic, table->positions[i].partition,
                            &table->lows[i], &table->highs[i], error) != ODS_OK)
            return CLI_SOURCE;
    return CLI_OK;
}

static int64_t waiting(const struct table *table, size_t i)
{
    int64_t stored = table->positions[i].offset;
    int64_t from = stored < table->lows[i] ? table->lows[i] : stored;
    return table->highs[i] > from ? table->highs[i] - from : 0;
}

int64_t table_backlog(const struct table *table)
{
    int64_t sum = 0;
    for (size_t i = 0; i < table->count; i++)
        sum += waiting(table, i);
    return sum;
}

int table_move(struct table *table, const int64_t *news, struct error *error)
{
    struct apply_result result = {0};
    struct batch *batch = batch_new();
    bool good = batch != NULL;
    for (size_t i = 0; good && i < table->count; i++)
        if (news[i] != table->positions[i].offset)
            good = batch_cover(batch, table->positions[i].topic, table->positions[i].partition,
                               table->positions[i].offset, news[i] - 1);
    enum ods_status status = good ? ODS_OK : error_out_of_memory(error);
    if (good && batch->claim_count)
        status = table->sink->ops->apply(table->sink, batch, NULL, &result, error);
    batch_free(batch);
    if (status == ODS_FENCED)
        error_prefix(error, "a writer has moved an offset meanwhile, nothing was changed: ");
    return status == ODS_FENCED ? CLI_NEGATIVE : code_of(status);
}

/* --- telling --------------------------------------------------------------------------------- */

/* The place of a topic's first partition among all of them. */
static size_t first_of(const struct table *table, size_t topic)
{
    size_t at = 0;
    for (size_t i = 0; i < topic; i++)
        at += (size_t) table->topics[i].partitions;
    return at;
}

json_t *table_topics_json(const struct table *table)
{
    json_t *list = json_array();
    for (size_t i = 0; i < table->topic_count; i++) {
        json_t *partitions = json_array();
        size_t first = first_of(table, i);
        for (size_t k = first; k < first + (size_t) table->topics[i].partitions; k++)
            json_array_append_new(
                partitions,
                json_pack("{s:i, s:o, s:I, s:I, s:I}", "partition",
                          (int) table->positions[k].partition, "offset",
                          table->positions[k].offset < 0
                              ? json_null()
                              : json_integer(table->positions[k].offset),
                          "begin", (json_int_t) table->lows[k], "end",
                          (json_int_t) table->highs[k], "waiting", (json_int_t) waiting(table, k)));
        json_array_append_new(list, json_pack("{s:o, s:o}", "topic",
                                              cli_json(table->topics[i].name), "partitions",
                                              partitions));
    }
    return list;
}

json_t *table_obeying_json(const struct table *table)
{
    json_t *list = json_array();
    for (size_t i = 0; i < table->obeying.count; i++)
        json_array_append_new(list, json_pack("{s:o, s:i}", "process",
                                              cli_json(table->obeying.items[i].name), "lanes",
                                              (int) table->obeying.items[i].lanes));
    return list;
}

void table_print_topics(const struct table *table)
{
    static const char *const names[] = {"TOPIC", "PARTITIONS", "WAITING"};
    struct columns columns;
    columns_init(&columns, table->call->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < table->topic_count; i++) {
        int64_t sum = 0;
        size_t first = first_of(table, i);
        for (size_t k = first; k < first + (size_t) table->topics[i].partitions; k++)
            sum += waiting(table, k);
        columns_add(&columns, table->topics[i].name);
        columns_number(&columns, table->topics[i].partitions);
        columns_number(&columns, sum);
    }
    columns_print(&columns);
    columns_done(&columns);
}

/* Members of the group that watch for no orders: of an older version, or not yet or no longer
 * there. */
static void print_strangers(const struct table *table)
{
    char first[256];
    int members, lanes = 0;
    for (size_t i = 0; i < table->obeying.count; i++)
        lanes += table->obeying.items[i].lanes;
    if (kafka_tool_members(table->tool, &members, first, sizeof first, NULL) == ODS_OK &&
        members > lanes)
        terminal_line(stderr,
                      "note: group %s has %d members, and %d lane%s told: one that was killed "
                      "counts until session.timeout.ms has passed; an ods-sink that is too old to "
                      "know of orders does not obey them",
                      table->pipeline->group_id, members, lanes, lanes == 1 ? " has" : "s have");
}

void table_print_obeying(const struct table *table)
{
    int lanes = 0;
    for (size_t i = 0; i < table->obeying.count; i++)
        lanes += table->obeying.items[i].lanes;
    if (table->obeying.count)
        printf("obeyed by %zu process%s, %d lane%s\n", table->obeying.count,
               table->obeying.count == 1 ? "" : "es", lanes, lanes == 1 ? "" : "s");
    else
        puts("no process of the group runs; those that start obey");
    print_strangers(table);
}
