/* Rows that wait for other rows. See attempt.h. */
#include <stdlib.h>
#include <string.h>

#include "sink/mysql/write/statement.h"
#include "sink/rows/aside.h"

/* In a chain of rows each takes the value that the next one gives up. */
#define MOST_PASSES 8

static int in_order(const void *left, const void *right)
{
    const struct mysql_pending *a = left, *b = right;
    return (a->change > b->change) - (a->change < b->change);
}

/* A row of a table without a key comes before its own updates and deletes; and a row that is
 * deleted and then written again must be gone before that. */
bool mysql_blocked_can_wait(enum mysql_group_kind kind, const struct mysql_row *row)
{
    return kind != MYSQL_INSERTS && !(kind == MYSQL_DELETES && row->returns);
}

/* Tries each pending row once more, in the source's order; those that succeed leave the list. */
static enum ods_status pass(struct mysql_attempt *attempt, bool *progress)
{
    uint32_t kept = 0;
    enum ods_status status = ODS_OK;
    *progress = false;
    for (uint32_t i = 0; i < attempt->pending_count; i++) {
        struct mysql_pending *pending = &attempt->pending[i];
        bool in = false;
        if (status == ODS_OK && pending->again) {
            status = mysql_rows_try(attempt, pending->group, pending->index);
            in = status == ODS_OK;
            if (status == ODS_REJECT) {
                pending->why = *attempt->error;
                mysql_fold_hide(pending->group->plan, &pending->why);
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

/* --- rows that hold each other's values ------------------------------------------------------ */

static enum ods_status query(struct mysql_attempt *attempt, MYSQL_RES **rows)
{
    struct buffer *sql = &attempt->sink->sql;
    return sql->failed ? error_out_of_memory(attempt->error)
                       : mysql_conn_query(&attempt->sink->conn, sql->bytes, sql->length, rows,
                                          attempt->error);
}

/* Would it change more than the rows themselves if they left the table for a moment: a trigger, or
 * a foreign key of another table? */
static enum ods_status reaches_further(struct mysql_attempt *attempt,
                                       const struct mysql_table *table, bool *further)
{
    struct buffer *sql = &attempt->sink->sql;
    MYSQL_RES *rows;
    buffer_reset(sql);
    buffer_puts(sql, "select 1 from information_schema.triggers where event_object_schema = ");
    mysql_put_text(sql, table->schema, strlen(table->schema));
    buffer_puts(sql, " and event_object_table = ");
    mysql_put_text(sql, table->name, strlen(table->name));
    buffer_puts(sql, " union all select 1 from information_schema.referential_constraints where "
                     "unique_constraint_schema = ");
    mysql_put_text(sql, table->schema, strlen(table->schema));
    buffer_puts(sql, " and referenced_table_name = ");
    mysql_put_text(sql, table->name, strlen(table->name));
    enum ods_status status = query(attempt, &rows);
    if (status != ODS_OK)
        return status;
    *further = mysql_num_rows(rows) > 0;
    mysql_free_result(rows);
    return ODS_OK;
}

static bool is_in_key(const struct mysql_plan *plan, uint32_t column)
{
    for (uint32_t k = 0; k < plan->key_count; k++)
        if (plan->key_target[k] == column)
            return true;
    return false;
}

/* Sees to it that a row which is about to be written lets go of a unique key: by a column that can
 * be NULL and gets its value then. False: there is none, and the rows change the key's values. */
static bool clear_unique(const struct mysql_group *group, const struct mysql_unique *unique,
                         uint64_t *columns)
{
    const struct mysql_table *table = group->plan->table;
    bool stays = unique->column_count > 0;
    for (uint32_t i = 0; i < unique->column_count; i++) {
        uint32_t at = unique->columns[i];
        bool generated = table->columns[at].generated;
        if (is_in_key(group->plan, at) ||
            (!generated && !mysql_fold_has(group->columns, at)))
            continue;
        stays = false;
        if (generated || !table->columns[at].nullable)
            continue;
        columns[at / 64] |= UINT64_C(1) << (at % 64);
        return true;
    }
    return stays;
}

/* The columns by which the rows let go of all unique keys. */
static bool columns_to_clear(const struct mysql_group *group, uint64_t *columns)
{
    const struct mysql_table *table = group->plan->table;
    for (uint32_t u = 0; u < table->unique_count; u++)
        if (!clear_unique(group, &table->uniques[u], columns))
            return false;
    for (size_t i = 0; i < mysql_fold_words(table); i++)
        if (columns[i])
            return true;
    return false;
}

static void put_clearing(struct buffer *sql, const struct mysql_row *row, const uint64_t *columns)
{
    const struct mysql_table *table = row->plan->table;
    bool any = false;
    buffer_printf(sql, "update %s set ", table->quoted);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (mysql_fold_has(columns, i)) {
            buffer_printf(sql, "%s%s = null", any ? ", " : "", table->columns[i].quoted);
            any = true;
        }
    buffer_puts(sql, " where ");
    mysql_statement_key(sql, row);
}

/* Takes the members' unique values away, or the rows, and writes all of them anew. *refused: the
 * member that even so is not taken; -1: none, and they are written. */
static enum ods_status exchange(struct mysql_attempt *attempt, struct mysql_pending **members,
                                uint32_t count, int *refused)
{
    struct buffer *sql = &attempt->sink->sql;
    struct mysql_conn *conn = &attempt->sink->conn;
    enum ods_status status = mysql_conn_run(conn, "savepoint ods_swap", NULL, attempt->error);
    *refused = -1;
    for (uint32_t i = 0; status == ODS_OK && i < count; i++) {
        const struct mysql_group *group = members[i]->group;
        const struct mysql_row *row = group->rows[members[i]->index];
        size_t bytes = mysql_fold_words(row->plan->table) * sizeof(uint64_t);
        uint64_t *columns = arena_alloc(&attempt->sink->scratch, bytes);
        if (!columns)
            return error_out_of_memory(attempt->error);
        memset(columns, 0, bytes);
        buffer_reset(sql);
        if (columns_to_clear(group, columns)) {
            put_clearing(sql, row, columns);
        } else if (mysql_statement_is_complete(group)) {
            buffer_printf(sql, "delete from %s where ", row->plan->table->quoted);
            mysql_statement_key(sql, row);
        } else {
            continue;
        }
        status = query(attempt, NULL);
    }
    for (uint32_t i = 0; status == ODS_OK && i < count; i++) {
        status = mysql_rows_try(attempt, members[i]->group, members[i]->index);
        if (status == ODS_REJECT)
            *refused = (int) i;
    }
    if (status != ODS_REJECT)
        return status;
    if (*refused < 0)
        *refused = (int) count - 1;
    return mysql_conn_run(conn, "rollback to savepoint ods_swap", NULL, attempt->error);
}

static bool can_be_member(const struct mysql_pending *pending, const struct mysql_table *table)
{
    const struct mysql_group *group = pending->group;
    return group && group->plan->table == table && group->plan->key_count &&
           (group->kind == MYSQL_UPSERTS || group->kind == MYSQL_UPDATES) &&
           (strcmp(pending->why.code, "1062") == 0 || strcmp(pending->why.code, "1586") == 0);
}

static enum ods_status untangle(struct mysql_attempt *attempt, const struct mysql_table *table)
{
    struct mysql_pending **members =
        arena_alloc(&attempt->sink->scratch, (attempt->pending_count + 1) * sizeof *members);
    uint32_t count = 0, kept = 0;
    bool further = false;
    int refused = 0;
    if (!members)
        return error_out_of_memory(attempt->error);
    for (uint32_t i = 0; i < attempt->pending_count; i++)
        if (can_be_member(&attempt->pending[i], table))
            members[count++] = &attempt->pending[i];
    enum ods_status status = count < 2 ? ODS_OK : reaches_further(attempt, table, &further);
    while (status == ODS_OK && !further && count > 1) {
        status = exchange(attempt, members, count, &refused);
        if (refused < 0)
            break;
        memmove(&members[refused], &members[refused + 1],
                (--count - (uint32_t) refused) * sizeof *members);
    }
    if (status != ODS_OK || further || count < 2)
        return status;
    for (uint32_t i = 0; i < count; i++)
        members[i]->written = true;
    for (uint32_t i = 0; i < attempt->pending_count; i++)
        if (!attempt->pending[i].written)
            attempt->pending[kept++] = attempt->pending[i];
    attempt->pending_count = kept;
    return ODS_OK;
}

/* --- what is left ---------------------------------------------------------------------------- */

static enum ods_status hold_back(struct mysql_attempt *attempt)
{
    for (uint32_t i = 0; i < attempt->pending_count; i++)
        rows_hold(attempt->batch, attempt->pending[i].change);
    attempt->next = MYSQL_NEXT_HOLD;
    attempt->why = attempt->pending[0].why;
    *attempt->error = attempt->why;
    return ODS_REJECT;
}

static enum ods_status give_up(struct mysql_attempt *attempt)
{
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < attempt->pending_count; i++) {
        const struct mysql_pending *pending = &attempt->pending[i];
        if (!pending->group)
            attempt->next = MYSQL_NEXT_FOLD; /* what came before a truncate counts again */
        status = pending->group
                     ? mysql_rows_refuse(attempt, pending->group->rows[pending->index],
                                         &pending->why)
                     : mysql_change_refuse(attempt, pending->change, &pending->why);
    }
    attempt->pending_count = 0;
    return status;
}

enum ods_status mysql_blocked_settle(struct mysql_attempt *attempt)
{
    bool progress = attempt->pending_count > 0;
    enum ods_status status = ODS_OK;
    if (!progress)
        return ODS_OK;
    qsort(attempt->pending, attempt->pending_count, sizeof *attempt->pending, in_order);
    for (int i = 0; status == ODS_OK && progress && i < MOST_PASSES; i++)
        status = pass(attempt, &progress);
    for (const struct mysql_section *section = attempt->fold.sections;
         status == ODS_OK && section && attempt->pending_count && !attempt->batch->guard_time;
         section = section->next)
        for (const struct mysql_work *work = section->works; status == ODS_OK && work;
             work = work->next)
            status = untangle(attempt, work->table);
    if (status != ODS_OK || !attempt->pending_count)
        return status;
    return attempt->batch->patience > 0 && !attempt->batch->guard_time ? hold_back(attempt)
                                                                       : give_up(attempt);
}
