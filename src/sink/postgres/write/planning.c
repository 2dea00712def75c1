/* A batch's changes and the plans of their tables. See planning.h. */
#include "sink/postgres/write/planning.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/fold/fold.h"
#include "sink/postgres/tables/origin.h"
#include "sink/rows/aside.h"

static void notice(void *context, const char *text)
{
    const struct attempt *attempt = context;
    if (attempt->hooks && attempt->hooks->notice)
        attempt->hooks->notice(attempt->hooks->context, text);
}

/* The change, and what follows it in its partition, goes into a later transaction: when changes
 * name one row by different keys, the fold can't tell their order. False: the change has no
 * partition, as a dead letter that is replayed by itself. */
static bool wait_for_other_key(struct attempt *attempt, const struct change *change)
{
    batch_hold(attempt->batch, change->record);
    bool waits = !batch_reaches(attempt->batch, &attempt->batch->records[change->record]);
    attempt->part_waits |= waits;
    return waits;
}

/* *plan is NULL for a change that waits, because its table gets another key than the changes before
 * it have. It is also NULL for one whose plan is asked for again, as *changed says. */
static enum ods_status find_plan(struct attempt *attempt, struct plan_listener *listener,
                                 uint32_t index, struct plan **plan, bool *changed)
{
    struct postgres *postgres = attempt->postgres;
    const struct change *change = &attempt->batch->changes[index];
    listener->plans = postgres->change_plans;
    listener->count = index;
    listener->waits = listener->later = false;
    enum ods_status status =
        plan_find(&postgres->plans, change, listener, plan, changed, attempt->error);
    if (status != ODS_REJECT || (!listener->waits && !listener->later))
        return status;
    error_init(attempt->error);
    *plan = NULL;
    *changed |= listener->later;
    if (listener->later || wait_for_other_key(attempt, change))
        return ODS_OK;
    listener->count = 0;
    listener->waits = false;
    return plan_find(&postgres->plans, change, listener, plan, changed, attempt->error);
}

/* Do earlier changes of the batch identify the rows of this table by another key? */
static bool has_other_key(const struct plan *plan, const struct change *change, unsigned pass)
{
    struct pg_table *table = plan->table;
    size_t bytes = plan->key_count * sizeof *plan->key_target;
    if (!table || plan->skip || change->op == OP_TRUNCATE)
        return false;
    if (table->key_seen.pass == pass)
        return table->key_seen.count != plan->key_count ||
               memcmp(table->key_seen.columns, plan->key_target, bytes) != 0;
    table->key_seen.pass = pass;
    table->key_seen.count = plan->key_count;
    memcpy(table->key_seen.columns, plan->key_target, bytes);
    return false;
}

/* The plan of one of the two changes before this one, where it is of the same rows: a history's
 * rows alternate with those of their table. NULL: it is neither's. */
static const struct plan *plan_before(const struct batch *batch, const struct plan *const *plans,
                                      uint32_t index)
{
    const struct change *change = &batch->changes[index];
    for (uint32_t back = 1; back <= 2 && back <= index; back++) {
        const struct change *other = change - back;
        const struct plan *plan = plans[index - back];
        if (other->shape == change->shape && plan && (plan->complete || !change->after) &&
            batch->records[other->record].topic == batch->records[change->record].topic)
            return plan;
    }
    return NULL;
}

enum ods_status planning_find(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    struct batch *batch = attempt->batch;
    struct plan_listener listener = {
        .notice = notice, .context = attempt, .batch = batch, .result = attempt->result};
    if (batch->change_count > postgres->change_plan_capacity) {
        size_t larger = batch->change_capacity;
        const struct plan **moved =
            realloc(postgres->change_plans, larger * sizeof *postgres->change_plans);
        if (!moved)
            return error_out_of_memory(attempt->error);
        postgres->change_plans = moved;
        postgres->change_plan_capacity = larger;
    }
    bool changed;
    postgres->plans.epoch++;
    do {
        changed = false;
        unsigned pass = ++postgres->plans.passes;
        for (uint32_t i = 0; i < batch->change_count; i++) {
            const struct change *change = &batch->changes[i];
            struct plan *plan = NULL;
            if ((batch->partial && !batch_reaches(batch, &batch->records[change->record])) ||
                (batch->delivers && change->rejected)) {
                postgres->change_plans[i] = NULL;
                continue;
            }
            if (!changed &&
                (postgres->change_plans[i] = plan_before(batch, postgres->change_plans, i)))
                continue;
            enum ods_status status = find_plan(attempt, &listener, i, &plan, &changed);
            if (status != ODS_OK)
                return status;
            if (plan && has_other_key(plan, change, pass) && wait_for_other_key(attempt, change))
                plan = NULL;
            postgres->change_plans[i] = plan;
        }
    } while (changed);
    return ODS_OK;
}

/* Why a value of the row has no column to go to; NULL: all have, or need none. */
static const struct error *without_place(const struct plan *plan, const struct change *change)
{
    for (uint32_t i = 0; change->after && i < plan->column_count; i++)
        if (plan->meets[i] && change->after[i].kind != VALUE_ABSENT &&
            change->after[i].kind != VALUE_NULL)
            return plan->meets[i];
    return NULL;
}

/* Refuses the changes of tables that can't be made to hold them. */
static enum ods_status refuse_tables(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct plan *plan = attempt->postgres->change_plans[i];
        if (!plan || (!plan->refusal && !plan->meets))
            continue;
        const struct error *why =
            plan->refusal ? plan->refusal : without_place(plan, &batch->changes[i]);
        if (!why)
            continue;
        if (!batch->changes[i].rejected)
            status = attempt_refuse(attempt, i, why);
        attempt->postgres->change_plans[i] = NULL;
    }
    return status;
}

/* Sets *why to the reason why a truncate can't be applied; without text it can. A truncate comes in
 * one partition, but means the rows of all. With several partitions, later rows may have been
 * written already, and earlier rows may still come: applying it would lose the first, and keep the
 * second. It also must not remove rows of other sources. */
static enum ods_status look_at_truncate(struct attempt *attempt, const struct plan *plan,
                                        const char *topic, struct error *why)
{
    const struct apply_hooks *hooks = attempt->hooks;
    int32_t count = 1;
    bool shared = false;
    enum ods_status status = ODS_OK;
    if (hooks && hooks->partitions)
        status = hooks->partitions(hooks->context, topic, &count, attempt->error);
    if (status == ODS_OK && plan->table)
        status = origin_is_shared(plan, &attempt->postgres->conn, &shared, attempt->error);
    if (status != ODS_OK)
        return status;
    if (shared)
        error_set(why, ODS_REJECT,
                  "table %s: a truncate is not applied to %s.%s, which has the rows of other "
                  "tables of the source too: delete its rows by hand",
                  plan->shape->table, plan->schema, plan->name);
    else if (count > 1)
        error_set(why, ODS_REJECT,
                  "table %s: a truncate in one of %d partitions is not ordered against the rows "
                  "of the others, and is not applied: delete the rows by hand that are older, "
                  "or give the topic a single partition",
                  plan->shape->table, (int) count);
    return ODS_OK;
}

static enum ods_status refuse_truncates(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct plan *plan = attempt->postgres->change_plans[i];
        struct error why;
        if (batch->changes[i].op != OP_TRUNCATE || batch->changes[i].rejected || !plan ||
            plan->skip || plan->settings->on_truncate != ON_TRUNCATE_APPLY)
            continue;
        error_init(&why);
        status = look_at_truncate(attempt, plan, batch->records[batch->changes[i].record].topic,
                                  &why);
        if (status == ODS_OK && why.text[0])
            status = rows_set_aside(batch, i, &why, attempt->error);
    }
    return status;
}

enum ods_status planning_refuse(struct attempt *attempt)
{
    enum ods_status status = refuse_tables(attempt);
    return status == ODS_OK ? refuse_truncates(attempt) : status;
}
