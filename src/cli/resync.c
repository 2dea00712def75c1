/* ods-sink resync: make one table anew from the beginning of its topic, or from a snapshot that its
 * connector is asked for, while the group goes on.
 *
 *   read the topic into a table beside it          as far as the group stands, again and again
 *   hold the table                                 as `pause` does
 *   read what is left, up to the stored offsets    a moment's worth
 *   exchange the tables, and let it go on          one transaction
 *
 * Until the last step readers see the old table, which the group keeps up to date. What has been
 * read is kept, rows and offsets together: a resync that was stopped or killed goes on there.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/resync.h"
#include "core/time.h"

#define ROUNDS 30 /* of catching up, each shorter than the one before, before the table is held */

/* Behind an order's reason, for the one who takes over what a killed resync has left held. */
#define PAUSED_BEFORE "it was paused before"

struct resync_options {
    struct table_options table;
    const char *connector;
    bool again, cancel, in_place, force, snapshot;
};

/* --- what can't be --------------------------------------------------------------------------- */

/* What a topic's beginning fills and what a snapshot fills are different tables: one that was begun
 * in one way is not continued in the other. */
static bool name_shadow(struct resync *resync, bool snapshot)
{
    char *group = NULL;
    const struct table *table = &resync->table;
    if (asprintf(&group, "%s.%s.%s", table->pipeline->group_id, snapshot ? "snapshot" : "resync",
                 table->target) >= 0)
        resync->shadow.group = arena_strndup(&resync->texts, group, strlen(group));
    free(group);
    resync->shadow.schema = resync->table.goes_to->target_schema;
    resync->shadow.table = resync->table.goes_to->target_table;
    return resync->shadow.group;
}

static int check_topics(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    if (!table->goes_to) {
        error_set(error, ODS_FATAL,
                  "%s has not been moved yet, as far as is known: ods-sink attach takes it up; one "
                  "that only an older ods-sink has moved is known after its next record",
                  table->options->name);
        return CLI_NEGATIVE;
    }
    for (size_t i = 0; i < table->known.count; i++) {
        const struct topic_table *row = &table->known.items[i];
        char target[sizeof table->target];
        bool there = false;
        snprintf(target, sizeof target, "%s.%s", row->target_schema, row->target_table);
        for (size_t k = 0; k < table->topic_count; k++)
            there |= strcmp(table->topics[k].name, row->topic) == 0;
        if (there || strcmp(target, table->target) != 0)
            continue;
        error_set(error, ODS_FATAL,
                  "rows of %s come from topic %s as well: name the table as the target does, so "
                  "that all of its topics are read",
                  table->target, row->topic);
        return CLI_NEGATIVE;
    }
    return CLI_OK;
}

static int check_whole(const struct resync *resync, bool force, struct error *error)
{
    const struct table *table = &resync->table;
    for (size_t i = 0; i < table->count && !force; i++)
        if (table->lows[i] > 0) {
            error_set(error, ODS_FATAL,
                      "topic %s partition %d begins at %lld: what was before it is gone from "
                      "Kafka, and with it rows that no later record brings; --force makes the "
                      "table anew from what is there",
                      table->positions[i].topic, (int) table->positions[i].partition,
                      (long long) table->lows[i]);
            return CLI_NEGATIVE;
        }
    return CLI_OK;
}

static int check_count(struct resync *resync, bool force, int64_t *old, int64_t *new,
                       struct error *error)
{
    struct table *table = &resync->table;
    if (table->sink->ops->control->shadow_count(table->sink, &resync->shadow, old, new, error) !=
        ODS_OK)
        return CLI_TARGET;
    if (force || *new >= *old / 2)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "the %s gives %lld rows, and the table has %lld: it does not seem to hold all of "
              "them; --force takes them even so, --cancel forgets what was read",
              resync->by_snapshot ? "snapshot" : "topic", (long long) *new, (long long) *old);
    return CLI_NEGATIVE;
}

/* --- steps ----------------------------------------------------------------------------------- */

static int make(struct resync *resync, bool again, bool *begun, struct error *error)
{
    struct table *table = &resync->table;
    const struct control_ops *ops = table->sink->ops->control;
    bool there;
    if (again && ops->shadow_drop(table->sink, &resync->shadow, &there, error) != ODS_OK)
        return CLI_TARGET;
    enum ods_status status = ops->shadow_make(table->sink, &resync->shadow, begun, error);
    if (status == ODS_REJECT)
        error_prefix(error, "%s can't be made anew%s: ", table->target,
                     resync->shadow.in_place ? "" : " and exchanged (--in-place may do)");
    return status == ODS_OK ? CLI_OK : status == ODS_REJECT ? CLI_NEGATIVE : CLI_TARGET;
}

/* As far as the group stands by then: what is left is a moment's worth. */
static int approach(struct resync *resync, struct error *error)
{
    int64_t near = resync->table.settings->batch.max_events;
    int code = CLI_OK;
    for (int round = 0; code == CLI_OK && round < ROUNDS; round++) {
        code = resync_catch_up(resync, error);
        if (code == CLI_OK)
            code = table_measure(&resync->table, error);
        if (code == CLI_OK && resync_behind(resync) <= near)
            break;
    }
    return code;
}

static int order(struct resync *resync, const struct table_order *order, int64_t *number,
                 struct error *error)
{
    return table_give(&resync->table, order, number, error);
}

/* Is, or was, a topic of the table paused? */
static bool says_paused(const struct orders *orders)
{
    bool paused = false;
    for (size_t i = 0; i < orders->count; i++)
        paused |= orders->items[i].state == ORDER_PAUSED ||
                  (orders->items[i].state == ORDER_RESYNC &&
                   strstr(orders->items[i].reason, PAUSED_BEFORE));
    return paused;
}

/* Also takes over what a resync that was killed has left held. */
static int hold(struct resync *resync, bool *was_paused, int64_t *number, struct error *error)
{
    const char *reason = resync->table.options->reason;
    char noted[1100];
    struct table_order held = {.from_running = true,
                               .from_paused = true,
                               .from_resync = true,
                               .state = ORDER_RESYNC,
                               .action = "resync",
                               .details = "held until the table is exchanged",
                               .reason = reason};
    struct orders orders;
    int code = table_look(&resync->table, &orders, error);
    *was_paused = says_paused(&orders);
    orders_done(&orders);
    if (*was_paused) {
        snprintf(noted, sizeof noted, "%.1000s%s%s", reason ? reason : "", reason ? "; " : "",
                 PAUSED_BEFORE);
        held.reason = noted;
    }
    if (code == CLI_OK)
        code = order(resync, &held, number, error);
    return code == CLI_OK ? table_await(&resync->table, *number, error) : code;
}

static void let_go(struct resync *resync, bool paused)
{
    const struct table_order go = {.from_resync = true,
                                   .state = paused ? ORDER_PAUSED : ORDER_RUNNING,
                                   .action = "resync",
                                   .details = "nothing was exchanged",
                                   .reason = resync->table.options->reason};
    struct error ignored;
    int64_t number;
    error_init(&ignored);
    int code = order(resync, &go, &number, &ignored);
    if (code != CLI_OK && code != CLI_NEGATIVE) /* negative: a person has let it go */
        terminal_line(stderr, "ods-sink resync: %s stays held; ods-sink resume lets it go on: %s",
                      resync->table.options->name, ignored.text);
}

static int exchange(struct resync *resync, int64_t held, bool paused, int64_t *number,
                    struct error *error)
{
    struct table *table = &resync->table;
    const char *reason = table->options->reason;
    const struct control_request request = {.topics = table->names,
                                            .state = paused ? ORDER_PAUSED : ORDER_RUNNING,
                                            .table = table->options->name,
                                            .action = "resync",
                                            .details = "",
                                            .reason = reason ? reason : "",
                                            .by = table->by};
    enum exchange how = EXCHANGE_BEHIND;
    int code = CLI_OK;
    for (int tries = 0; code == CLI_OK && how == EXCHANGE_BEHIND && tries < 3; tries++) {
        code = table_measure(table, error);
        if (code == CLI_OK)
            code = resync_catch_up(resync, error);
        if (code == CLI_OK && resync->by_snapshot)
            code = resync_keep_deleted(resync, error);
        if (code != CLI_OK)
            break;
        enum ods_status status = table->sink->ops->control->shadow_exchange(
            table->sink, &resync->shadow, &request, held, &how, number, error);
        code = status == ODS_OK ? CLI_OK : status == ODS_REJECT ? CLI_NEGATIVE : CLI_TARGET;
    }
    if (code == CLI_OK && how == EXCHANGE_BEHIND) {
        error_set(error, ODS_RETRY,
                  "the stored offsets of %s move although it is held, or were set back: see who "
                  "writes to it; resync --again starts over",
                  table->options->name);
        code = CLI_NEGATIVE;
    }
    return code;
}

/* --- the command ----------------------------------------------------------------------------- */

struct outcome {
    int64_t old_rows, new_rows, held_ms;
    bool begun, paused;
};

static int carry_out(struct resync *resync, const struct resync_options *options,
                     struct outcome *outcome, struct error *error)
{
    struct table *table = &resync->table;
    int64_t number;
    int code = CLI_OK;
    if (options->snapshot)
        code = resync_find_connector(resync, options->connector, error);
    if (code == CLI_OK)
        code = make(resync, options->again, &outcome->begun, error);
    if (code == CLI_OK)
        code = resync_open(resync, error);
    if (code == CLI_OK && options->snapshot)
        code = resync_take_snapshot(resync, error);
    if (code == CLI_OK)
        code = approach(resync, error);
    if (code == CLI_OK)
        code = check_count(resync, options->force, &outcome->old_rows, &outcome->new_rows, error);
    if (code == CLI_OK)
        code = approach(resync, error);
    if (code != CLI_OK)
        return code;
    int64_t began_us = time_monotonic_us();
    code = hold(resync, &outcome->paused, &number, error);
    if (code == CLI_OK)
        code = exchange(resync, number, outcome->paused, &number, error);
    outcome->held_ms = (time_monotonic_us() - began_us) / 1000;
    if (code != CLI_OK) {
        let_go(resync, outcome->paused);
        return code;
    }
    return table_await(table, number, error);
}

static int cancel(struct resync *resync, struct error *error)
{
    struct table *table = &resync->table;
    struct orders orders = {0};
    bool there;
    int code = table_look(table, &orders, error);
    bool held = false;
    for (size_t i = 0; code == CLI_OK && i < orders.count; i++)
        held |= orders.items[i].state == ORDER_RESYNC;
    if (held)
        let_go(resync, says_paused(&orders));
    orders_done(&orders);
    if (code == CLI_OK && table->sink->ops->control->shadow_drop(table->sink, &resync->shadow,
                                                                 &there, error) != ODS_OK)
        code = CLI_TARGET;
    if (code != CLI_OK)
        return code;
    if (table->options->json)
        cli_print_json(json_pack("{s:o, s:s, s:b}", "table", cli_json(table->target), "action",
                                 "cancel", "forgotten", there));
    else
        terminal_line(stdout, there ? "what was read for %s is forgotten"
                                    : "nothing was read for %s",
                      table->target);
    return CLI_OK;
}

static void print(const struct resync *resync, const struct outcome *outcome)
{
    const struct table *table = &resync->table;
    if (table->options->json) {
        cli_print_json(json_pack(
            "{s:o, s:o, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:o}", "table",
            cli_json(table->target), "pipeline", cli_json(table->pipeline->name), "action",
            "resync", "state", outcome->paused ? "paused" : "running", "begun", outcome->begun,
            "records", (json_int_t) resync->records, "refused",
            (json_int_t) resync->refused, "rows_before",
            (json_int_t) outcome->old_rows, "rows", (json_int_t) outcome->new_rows, "held_ms",
            (json_int_t) outcome->held_ms, "obeyed_by", table_obeying_json(table)));
        return;
    }
    terminal_line(stdout, "%s is made anew from %llu records%s: %lld rows, before %lld",
                  table->target, (unsigned long long) resync->records,
                  outcome->begun ? "" : ", besides those of an earlier resync",
                  (long long) outcome->new_rows, (long long) outcome->old_rows);
    printf("it was held for %.1f s%s\n", (double) outcome->held_ms / 1000,
           outcome->paused ? "; it was paused before, and stays so" : "");
    if (resync->refused)
        terminal_line(stdout, "%llu record%s could not be applied, as when first read: %s",
                      (unsigned long long) resync->refused, resync->refused == 1 ? "" : "s",
                      resync->refusal.text);
    table_print_obeying(table);
}

static int run(const struct call *call, void *given)
{
    const struct resync_options *options = given;
    struct resync resync = {.shadow.in_place = options->in_place,
                            .by_snapshot = options->snapshot};
    struct outcome outcome = {0};
    struct error error;
    arena_init(&resync.texts);
    if (options->connector && !options->snapshot)
        return cli_usage(call->name, "--connector is for --snapshot");
    int code = table_open(&resync.table, call, &options->table, &error);
    if (code == CLI_NEGATIVE && options->snapshot && !options->cancel) {
        code = resync_rows(&resync, options->connector, &error);
        table_failed(&resync.table, code, &error);
        goto out;
    }
    if (code == CLI_OK)
        code = check_topics(&resync, &error);
    if (code == CLI_OK && !name_shadow(&resync, options->snapshot)) {
        error_out_of_memory(&error);
        code = CLI_INTERNAL;
    }
    if (code == CLI_OK)
        code = table_measure(&resync.table, &error);
    if (code == CLI_OK && !options->cancel && !options->snapshot)
        code = check_whole(&resync, options->force, &error);
    if (code == CLI_OK) {
        interrupt_catch();
        code = options->cancel ? cancel(&resync, &error)
                               : carry_out(&resync, options, &outcome, &error);
    }
    progress_done(&resync.progress);
    if (code == CLI_OK && !options->cancel)
        print(&resync, &outcome);
    if (interrupt_came() && code != CLI_OK)
        terminal_line(stderr, "ods-sink resync: nothing was exchanged; what was read is kept, and "
                              "resync goes on there (--cancel forgets it)");
    else
        table_failed(&resync.table, code, &error);
out:
    resync_close(&resync);
    table_close(&resync.table);
    return cli_finish(code);
}

static const struct resync_options defaults = {.table.wait_ms = TABLE_WAIT_MS};

static const struct parameter options[] = {
    OPTIONS_TABLE(struct resync_options),
    OPTION(struct resync_options, table.reason, "reason", &argument_text,
           "for the history of orders", .value = "TEXT"),
    SWITCH(struct resync_options, snapshot, "snapshot",
           "from a fresh snapshot of the source's table, which its connector is asked for while it "
           "streams, and not from the topic's beginning"),
    OPTION(struct resync_options, connector, "connector", &argument_text,
           "with `--snapshot`: the connector that is asked (default: the one whose topic.prefix "
           "tells that it writes the table's topic)",
           .value = "NAME"),
    SWITCH(struct resync_options, again, "again",
           "from the beginning, whatever an earlier resync has read", .either = 1),
    SWITCH(struct resync_options, cancel, "cancel", "forget what an earlier resync has read",
           .either = 1),
    SWITCH(struct resync_options, in_place, "in-place",
           "exchange the table's rows and not the table, which costs more and lets views, foreign "
           "keys and triggers be"),
    SWITCH(struct resync_options, force, "force",
           "also from a topic that does not seem to hold all rows"),
    {0}};

static const struct parameter operands[] = {OPERAND_TABLE(struct resync_options), {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE,
     "The table can't be exchanged as it is, its topic is not whole, a process does not obey in "
     "time, another order stands, the target keeps no orders. Nothing was exchanged."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink resync -c ods-sink.conf shop.orders",
     "Make a table anew that somebody has changed by hand, while it is read and all go on."},
    {"ods-sink resync -c ods-sink.conf shop.orders --snapshot",
     "The same where Kafka does not have all of its records any more."},
    {0}};

static const struct section sections[] = {
    {"WHAT BECOMES OF THE TABLE",
     "The new table is made as the old one is: columns, defaults, checks, indexes under the same "
     "names, identity and serial columns, storage, comments, owner, grants. Foreign keys, "
     "triggers, rules, row security, publications that name the table, and whatever depends on it "
     "(views, its row type) would stay with the old one: such a table is refused, and the message "
     "names them. `--in-place` leaves the table as it is and changes only the rows that differ, in "
     "the transaction that would exchange the tables; the table is held for as long as that takes, "
     "and its triggers see those changes.\n\n"
     "Rows that no record brings are gone afterwards: those that were put in by hand, and those "
     "whose records are gone from the topic. Records that could not be applied are passed over as "
     "they were at first; their letters stay. It needs room for a second table and its indexes."},
    {0}};

const struct command cli_resync = {
    .name = "resync",
    .summary = "make a table anew from the beginning of its topic, while all go on",
    .description =
        "The topic is read from its beginning into a table beside the one that is read, which the "
        "group meanwhile keeps up to date. When the new one has come as far, the table is held for "
        "a moment as by `pause`, and one transaction exchanges the two at the same stored offsets. "
        "The topic must be whole, or compacted: each row's last record must be there.\n\n"
        "With `--snapshot` it need not be: the connector is asked to send all rows of the source's "
        "table again, in between the changes that it streams (Debezium's incremental snapshot), "
        "and the topic is read from where it ends at that moment. The group applies these records "
        "too. What the connector must have for that, `verify --repair` needs as well: see "
        "docs/cli/verify.md; besides, it must tell when it is done (notification.enabled.channels "
        "with sink, and notification.sink.topic.name). Rows that are marked deleted are taken over "
        "from the old table.\n\n"
        "A target of type `delta` or `iceberg` keeps no orders, and no tables are exchanged there: "
        "with `--snapshot` the rows that the connector sends are applied in place by the daemon, "
        "which must run. What was missing or wrong is right then; rows that the source does not "
        "have stay (`verify` names them, `erase` takes one out).\n\n"
        "It may be stopped at any time, and goes on from there when it is called again. `status` "
        "shows a table that a killed one has left held; `resync` or `resume` lets it go on.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .sections = sections,
    .options_size = sizeof(struct resync_options),
    .defaults = &defaults,
    .run = run,
};
