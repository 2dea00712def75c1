/* Tables without a key: inserts in bulk, updates and deletes by their before image, in the source's
 * order. See attempt.h. */
#include <string.h>

#include <ods/pipeline.h>

#include "sink/mysql/write/statement.h"

static bool is_insert(const struct mysql_attempt *attempt, const struct mysql_loose *loose)
{
    const struct change *change = &attempt->batch->changes[loose->change];
    enum keyless keyless = loose->plan->settings->keyless;
    return keyless == KEYLESS_APPEND ||
           (keyless == KEYLESS_MATCH_BEFORE &&
            (change->op == OP_CREATE || change->op == OP_READ));
}

static void set(uint64_t *columns, int column)
{
    if (column >= 0)
        columns[column / 64] |= UINT64_C(1) << (column % 64);
}

/* What an image carries, and the sink's own columns. */
static uint64_t *columns_of(struct mysql_attempt *attempt, const struct mysql_plan *plan,
                            const struct value *image)
{
    size_t bytes = mysql_fold_words(plan->table) * sizeof(uint64_t);
    uint64_t *columns = arena_alloc(&attempt->sink->scratch, bytes);
    if (!columns)
        return NULL;
    memset(columns, 0, bytes);
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (image[i].kind != VALUE_ABSENT)
            set(columns, plan->target_of[i]);
    set(columns, plan->operation_column);
    set(columns, plan->timestamp_column);
    return columns;
}

static struct mysql_row *row_of(struct mysql_attempt *attempt, const struct mysql_loose *loose)
{
    struct mysql_row *row = arena_alloc(&attempt->sink->scratch, sizeof *row);
    const struct change *change = &attempt->batch->changes[loose->change];
    if (row)
        *row = (struct mysql_row){.plan = loose->plan,
                                  .last = loose->change,
                                  .chain = 1,
                                  .image = change->after ? change->after : change->before,
                                  .stamp = change};
    return row;
}

/* Inserts that follow each other and carry the same columns. *loose: the first that is not one. */
static enum ods_status write_inserts(struct mysql_attempt *attempt, struct mysql_loose **loose)
{
    struct mysql_group *group = arena_alloc(&attempt->sink->scratch, sizeof *group);
    size_t bytes = mysql_fold_words((*loose)->plan->table) * sizeof(uint64_t);
    if (!group)
        return error_out_of_memory(attempt->error);
    *group = (struct mysql_group){.kind = MYSQL_INSERTS, .plan = (*loose)->plan};
    uint32_t capacity = 0;
    for (const struct mysql_loose *at = *loose; at && is_insert(attempt, at); at = at->next)
        capacity++;
    group->rows = arena_alloc(&attempt->sink->scratch, capacity * sizeof *group->rows);
    for (; *loose && is_insert(attempt, *loose); *loose = (*loose)->next) {
        struct mysql_row *row = row_of(attempt, *loose);
        uint64_t *columns = row && row->image
                                ? columns_of(attempt, (*loose)->plan, row->image)
                                : NULL;
        if (!group->rows || !columns)
            return error_out_of_memory(attempt->error);
        if (group->columns && memcmp(group->columns, columns, bytes) != 0)
            break;
        group->columns = columns;
        group->rows[group->count++] = row;
    }
    return mysql_rows_write(attempt, group, 0, group->count);
}

/* A column whose values the server does not compare as they were written. */
static bool lacks_equality(const struct mysql_column *column)
{
    return column->type == MYSQL_IS_FLOAT || column->type == MYSQL_IS_JSON ||
           column->type == MYSQL_IS_GEOMETRY || column->type == MYSQL_IS_VECTOR;
}

static enum ods_status put_match(struct mysql_attempt *attempt, const struct mysql_row *row,
                                 const struct change *change, struct error *why)
{
    const struct mysql_plan *plan = row->plan;
    struct buffer *sql = &attempt->sink->sql;
    bool any = false;
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        int32_t target = plan->target_of[i];
        struct mysql_out out;
        if (target < 0 || change->before[i].kind == VALUE_ABSENT ||
            lacks_equality(&plan->table->columns[target]))
            continue;
        const struct mysql_column *column = &plan->table->columns[target];
        enum ods_status status = ODS_OK;
        if (change->before[i].kind == VALUE_NULL) /* where the column takes none there is no row */
            out = (struct mysql_out){.form = MYSQL_NULL};
        else
            status = mysql_encode(&attempt->encoding, column, &plan->sources[i], &change->before[i],
                                  &attempt->sink->scratch, &out, why);
        if (status != ODS_OK)
            return status;
        buffer_puts(sql, any ? " and " : "");
        buffer_puts(sql, column->collated ? "binary " : "");
        buffer_puts(sql, column->quoted);
        buffer_puts(sql, " <=> ");
        mysql_statement_put(sql, &out);
        buffer_puts(sql, column->type == MYSQL_IS_BIT ? " + 0" : "");
        any = true;
    }
    if (plan->operation_column >= 0)
        buffer_printf(sql, "%snot (%s <=> 'd')", any ? " and " : "",
                      plan->table->columns[plan->operation_column].quoted);
    return any ? ODS_OK : error_set(why, ODS_REJECT, "the before image carries no column");
}

static enum ods_status can_match(const struct mysql_plan *plan, const struct change *change,
                                 struct error *why)
{
    if (plan->settings->keyless == KEYLESS_REJECT)
        return error_set(why, ODS_REJECT, "table %s has no key and keyless is reject",
                         plan->shape->table);
    if (!change->before)
        return error_set(why, ODS_REJECT,
                         "table %s has no key, and this %s carries no before image to find its row "
                         "by (PostgreSQL: alter table … replica identity full)",
                         plan->shape->table, change->op == OP_DELETE ? "delete" : "update");
    return ODS_OK;
}

static enum ods_status put_update(struct mysql_attempt *attempt, const struct mysql_row *row,
                                  const struct change *change, struct error *why)
{
    const struct mysql_plan *plan = row->plan;
    struct buffer *sql = &attempt->sink->sql;
    bool soft = change->op == OP_DELETE, any = false;
    buffer_printf(sql, "update %s set ", plan->table->quoted);
    const uint64_t *columns = columns_of(attempt, plan, soft ? change->before : change->after);
    if (!columns)
        return error_out_of_memory(why);
    for (uint32_t i = 0; i < plan->table->column_count; i++) {
        struct mysql_out out;
        bool is_stamp = (int) i == plan->operation_column || (int) i == plan->timestamp_column;
        if (soft ? !is_stamp : !mysql_fold_has(columns, i))
            continue;
        enum ods_status status = mysql_statement_value(attempt, row, i, &out, why);
        if (status != ODS_OK)
            return status;
        buffer_printf(sql, "%s%s = ", any ? ", " : "", plan->table->columns[i].quoted);
        mysql_statement_put(sql, &out);
        any = true;
    }
    return any ? ODS_OK
               : error_set(why, ODS_REJECT, "table %s has no column to mark the row as deleted",
                           plan->name);
}

/* One row that equals the before image. */
static enum ods_status write_one(struct mysql_attempt *attempt, const struct mysql_loose *loose,
                                 struct error *why)
{
    const struct change *change = &attempt->batch->changes[loose->change];
    const struct mysql_plan *plan = loose->plan;
    struct buffer *sql = &attempt->sink->sql;
    struct mysql_row *row = row_of(attempt, loose);
    enum ods_status status = can_match(plan, change, why);
    if (!row)
        return error_out_of_memory(why);
    attempt->encoding.table = plan->settings;
    buffer_reset(sql);
    bool hard = change->op == OP_DELETE && plan->settings->on_delete == ON_DELETE_HARD;
    if (status == ODS_OK && hard)
        buffer_printf(sql, "delete from %s", plan->table->quoted);
    else if (status == ODS_OK)
        status = put_update(attempt, row, change, why);
    buffer_puts(sql, " where ");
    if (status == ODS_OK)
        status = put_match(attempt, row, change, why);
    buffer_puts(sql, " limit 1");
    if (status == ODS_OK && sql->failed)
        status = error_out_of_memory(why);
    if (status == ODS_OK)
        status = mysql_conn_query(&attempt->sink->conn, sql->bytes, sql->length, NULL, why);
    if (status != ODS_OK)
        return status;
    uint64_t found = mysql_affected_rows(attempt->sink->conn.mysql);
    attempt->result->missing += !found;
    *(change->op == OP_DELETE ? &attempt->result->deleted : &attempt->result->upserted) += found;
    return ODS_OK;
}

enum ods_status mysql_loose_write(struct mysql_attempt *attempt, struct mysql_work *work)
{
    enum ods_status status = ODS_OK;
    for (struct mysql_loose *loose = work->loose; status == ODS_OK && loose;) {
        struct error why;
        const struct change *change = &attempt->batch->changes[loose->change];
        error_init(&why);
        if (is_insert(attempt, loose)) {
            status = write_inserts(attempt, &loose);
            continue;
        }
        if (change->op != OP_DELETE || loose->plan->settings->on_delete != ON_DELETE_IGNORE)
            status = write_one(attempt, loose, &why);
        if (status == ODS_REJECT && why.fault == FAULT_ORDER)
            status = mysql_blocked_add(attempt, NULL, 0, loose->change, &why);
        else if (status == ODS_REJECT)
            status = mysql_change_refuse(attempt, loose->change, &why);
        else if (status != ODS_OK)
            *attempt->error = why;
        loose = loose->next;
    }
    return status;
}
