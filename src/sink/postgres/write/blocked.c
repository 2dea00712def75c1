/* Rows that wait for other rows. See blocked.h. */
#include "sink/postgres/write/blocked.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/write/statement.h"
#include "sink/rows/aside.h"
#include "sql/postgres/delete_reaches_further.h"

/* In a chain of rows each takes the value that the next one gives up. One pass is enough for it
 * when the batch has the rows in the source's order, which is the order of a pass. */
#define MOST_PASSES 8

bool blocked_can_wait(const struct step *step)
{
    if (!step->group || step->group->kind == GROUP_INSERT)
        return false;
    /* Rows that are deleted and then written again: the delete must come first. */
    for (uint32_t i = step->first; step->group->kind == GROUP_DELETE && i < step->last; i++)
        if (step->group->rows[i]->returns)
            return false;
    return true;
}

enum ods_status blocked_add(struct attempt *attempt, struct group *group, uint32_t index,
                            const struct loose *loose, const struct error *why)
{
    if (attempt->pending_count == attempt->pending_capacity) {
        uint32_t larger = attempt->pending_capacity ? attempt->pending_capacity * 2 : 16;
        struct pending *moved = arena_alloc(&attempt->postgres->scratch, larger * sizeof *moved);
        if (!moved)
            return error_out_of_memory(attempt->error);
        if (attempt->pending_count)
            memcpy(moved, attempt->pending, attempt->pending_count * sizeof *moved);
        attempt->pending = moved;
        attempt->pending_capacity = larger;
    }
    const struct step step = {.group = group, .first = index, .last = index + 1};
    attempt->pending[attempt->pending_count++] =
        (struct pending){.group = group,
                         .index = index,
                         .loose = loose,
                         .change = group ? group->rows[index]->last : loose->change,
                         .again = blocked_can_wait(&step),
                         .why = *why};
    return ODS_OK;
}

static int in_order(const void *left, const void *right)
{
    const struct pending *a = left, *b = right;
    return (a->change > b->change) - (a->change < b->change);
}

/* Tries each pending row once more, in the source's order; those that succeed leave the list.
 * *progress: some did. */
static enum ods_status pass(struct attempt *attempt, bool *progress)
{
    uint32_t kept = 0;
    enum ods_status status = ODS_OK;
    *progress = false;
    for (uint32_t i = 0; i < attempt->pending_count; i++) {
        struct pending *pending = &attempt->pending[i];
        bool in = false;
        if (status == ODS_OK && pending->again) {
            status = steps_try(attempt, pending->group, pending->index, pending->index + 1);
            in = status == ODS_OK;
            if (status == ODS_REJECT && !attempt_is_void(attempt)) {
                pending->why = *attempt->error;
                status = ODS_OK;
            }
        }
        *progress |= in;
        if (!in)
            attempt->pending[kept++] = *pending;
    }
    attempt->pending_count = kept;
    return status;
}

/* --- rows that hold each other's values ----------------------------------------------------- */

struct tangle {
    struct pg_table *table;
    struct pending **members;
    uint32_t count;
};

static bool can_be_member(const struct pending *pending, const struct pg_table *table)
{
    return pending->again && pending->group->plan->table == table &&
           (pending->group->kind == GROUP_UPSERT || pending->group->kind == GROUP_PARTIAL) &&
           strcmp(pending->why.code, "23503") != 0;
}

/* Would a delete of rows change more than the rows themselves, by a trigger or a foreign key? They
 * are only taken out and put back. */
static enum ods_status reaches_further(struct attempt *attempt, const struct pg_table *table,
                                       bool *further)
{
    const char *values[] = {table->quoted};
    PGresult *result = NULL;
    enum ods_status status = attempt_mend(attempt);
    if (status == ODS_OK)
        status = conn_query(&attempt->postgres->conn, sql_delete_reaches_further, 1, values,
                            &result, attempt->error);
    *further = status != ODS_OK || PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return status;
}

/* Sends a member's row with a statement of another kind. */
static enum ods_status send_as(struct attempt *attempt, const struct pending *member,
                               enum group_kind kind)
{
    struct group *group = arena_alloc(&attempt->postgres->scratch, sizeof *group);
    if (!group)
        return error_out_of_memory(attempt->error);
    *group = *member->group;
    group->kind = kind;
    return attempt_rows(attempt, group, member->index, member->index + 1);
}

/* Sends the savepoint, makes the table for the rows that wait, and puts the rows into it. */
static enum ods_status begin_parking(struct attempt *attempt, const struct tangle *tangle,
                                     enum group_kind kind)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql,
                  "create temporary table " PARKED_NAME " on commit drop as table %s with no data",
                  tangle->table->quoted);
    enum ods_status status = sql.failed ? error_out_of_memory(attempt->error) : ODS_OK;
    if (status == ODS_OK)
        status = attempt_begin_marked(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, buffer_text(&sql));
    for (uint32_t i = 0; status == ODS_OK && i < tangle->count; i++)
        status = send_as(attempt, tangle->members[i], kind);
    buffer_done(&sql);
    return status;
}

static enum ods_status take_out(struct attempt *attempt, const struct tangle *tangle)
{
    return attempt_end(attempt, begin_parking(attempt, tangle, GROUP_PARK));
}

/* One statement takes the old rows out and puts the new ones in. PostgreSQL checks foreign keys
 * only at its end, when each row to which others refer exists again. */
static void put_exchange(struct buffer *sql, const struct tangle *tangle)
{
    const struct plan *plan = tangle->members[0]->group->plan;
    buffer_printf(sql, "with gone as (delete from %s as t using " PARKED " as p where ",
                  tangle->table->quoted);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const char *name = tangle->table->columns[plan->key_target[k]].quoted;
        buffer_printf(sql, "%st.%s = p.%s", k ? " and " : "", name, name);
    }
    buffer_printf(sql, " returning 1) insert into %s (", tangle->table->quoted);
    statement_put_written(sql, tangle->table, "");
    buffer_puts(sql, ") overriding system value select ");
    statement_put_written(sql, tangle->table, "p.");
    buffer_puts(sql, " from " PARKED " as p where (select count(*) from gone) >= 0");
}

static enum ods_status exchange(struct attempt *attempt, const struct tangle *tangle)
{
    struct buffer sql;
    buffer_init(&sql);
    put_exchange(&sql, tangle);
    enum ods_status status = sql.failed ? error_out_of_memory(attempt->error)
                                        : begin_parking(attempt, tangle, GROUP_STAGE);
    if (status == ODS_OK)
        status = attempt_send(attempt, buffer_text(&sql));
    for (uint32_t i = 0; status == ODS_OK && i < tangle->count; i++) {
        const struct pending *member = tangle->members[i];
        status = attempt_rows(attempt, member->group, member->index, member->index + 1);
    }
    if (status == ODS_OK)
        status = attempt_send(attempt, "drop table " PARKED);
    buffer_done(&sql);
    return attempt_end(attempt, status);
}

/* Puts rows that existed back with their changes. Rows that did not exist are inserted by their
 * usual statement, which has nothing to do for the others. */
static enum ods_status put_back(struct attempt *attempt, const struct pending *member)
{
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, "savepoint ods_member");
    if (status == ODS_OK)
        status = send_as(attempt, member, GROUP_RETURN);
    if (status == ODS_OK)
        status = attempt_rows(attempt, member->group, member->index, member->index + 1);
    if (status == ODS_OK)
        status = attempt_send(attempt, "release ods_member");
    return attempt_end(attempt, status);
}

/* Takes all members out, then puts them in again one by one. Rows that are refused even then do not
 * belong to the tangle: *refused counts them, they are moved to the end of the list, and nothing
 * was changed. */
static enum ods_status swap(struct attempt *attempt, struct tangle *tangle, uint32_t *refused)
{
    enum ods_status status = take_out(attempt, tangle);
    *refused = 0;
    for (uint32_t i = 0; status == ODS_OK && i < tangle->count - *refused;) {
        status = put_back(attempt, tangle->members[i]);
        if (status == ODS_REJECT && !attempt_is_void(attempt)) {
            struct pending *outsider = tangle->members[i];
            outsider->why = *attempt->error;
            ++*refused;
            memmove(&tangle->members[i], &tangle->members[i + 1],
                    (tangle->count - i - 1) * sizeof *tangle->members);
            tangle->members[tangle->count - 1] = outsider;
            status =
                conn_script(&attempt->postgres->conn, "rollback to ods_member", attempt->error);
            attempt->transaction = TRANSACTION_OPEN;
        } else {
            i++;
        }
    }
    if (status == ODS_OK && *refused)
        attempt->transaction = TRANSACTION_BROKEN; /* go back to where all of them are in place */
    else if (status == ODS_OK)
        status = conn_script(&attempt->postgres->conn, "drop table " PARKED, attempt->error);
    return status;
}

static void remove_member(struct attempt *attempt, const struct pending *member)
{
    size_t at = (size_t) (member - attempt->pending);
    memmove(&attempt->pending[at], &attempt->pending[at + 1],
            (attempt->pending_count - at - 1) * sizeof *attempt->pending);
    attempt->pending_count--;
}

/* When this fails, the rows are refused for the reason that they had before. Only a lost connection
 * or partition ends the attempt. */
static enum ods_status untangle(struct attempt *attempt, struct pg_table *table)
{
    struct tangle tangle = {.table = table};
    bool further;
    uint32_t refused;
    tangle.members = arena_alloc(&attempt->postgres->scratch,
                                 (attempt->pending_count + 1) * sizeof *tangle.members);
    if (!tangle.members)
        return error_out_of_memory(attempt->error);
    for (uint32_t i = 0; i < attempt->pending_count; i++)
        if (can_be_member(&attempt->pending[i], table))
            tangle.members[tangle.count++] = &attempt->pending[i];
    if (tangle.count < 2)
        return ODS_OK;
    enum ods_status status = reaches_further(attempt, table, &further);
    if (status != ODS_OK || further)
        return status;
    for (int round = 0; round <= MOST_PASSES && tangle.count > 1; round++) {
        refused = 0;
        status = round ? swap(attempt, &tangle, &refused) : exchange(attempt, &tangle);
        if (status == ODS_OK && !refused) {
            while (tangle.count)
                remove_member(attempt, tangle.members[--tangle.count]);
            return ODS_OK;
        }
        if (status == ODS_RETRY || status == ODS_FENCED || attempt_is_void(attempt))
            return status;
        attempt->transaction = TRANSACTION_BROKEN;
        if (status != ODS_OK && round)
            return ODS_OK;
        tangle.count -= refused;
    }
    return ODS_OK;
}

/* --- what is left --------------------------------------------------------------------------- */

static enum ods_status hold_back(struct attempt *attempt)
{
    for (uint32_t i = 0; i < attempt->pending_count; i++)
        rows_hold(attempt->batch, attempt->pending[i].change);
    attempt_demand(attempt, NEXT_HOLD);
    attempt->why = attempt->pending[0].why;
    *attempt->error = attempt->why;
    return ODS_REJECT;
}

static enum ods_status give_up(struct attempt *attempt)
{
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < attempt->pending_count; i++) {
        const struct pending *pending = &attempt->pending[i];
        status = pending->group ? attempt_set_aside(attempt, pending->group->rows[pending->index],
                                                    &pending->why)
                                : attempt_reject(attempt, pending->change, &pending->why);
    }
    attempt->pending_count = 0;
    return status;
}

enum ods_status blocked_settle(struct attempt *attempt)
{
    bool progress = attempt->pending_count > 0;
    enum ods_status status = ODS_OK;
    if (!progress)
        return ODS_OK;
    qsort(attempt->pending, attempt->pending_count, sizeof *attempt->pending, in_order);
    for (int i = 0; status == ODS_OK && progress && i < MOST_PASSES; i++)
        status = pass(attempt, &progress);
    for (const struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next)
        if (!attempt->batch->guard_time)
            status = untangle(attempt, work->table);
    if (status != ODS_OK || !attempt->pending_count)
        return status;
    return attempt->batch->patience ? hold_back(attempt) : give_up(attempt);
}
