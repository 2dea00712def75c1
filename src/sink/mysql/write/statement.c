/* See statement.h. */
#include "sink/mysql/write/statement.h"

#include <string.h>

#define MOST_BYTES ((size_t) 1024 * 1024)
#define MOST_ROWS  2000
#define MOST_KEYS  500 /* above that many the server may read the whole table */

/* --- values ---------------------------------------------------------------------------------- */

static const struct source_column operation_source = {
    .column = {.name = "cdc_operation", .type = SEM_STRING, .length = 1, .scale = INT32_MIN}};
static const struct source_column timestamp_source = {
    .column = {.name = "cdc_timestamp", .type = SEM_TIMESTAMP_US, .length = -1,
               .scale = INT32_MIN, .optional = true}};

static int key_place(const struct mysql_plan *plan, uint32_t column)
{
    for (uint32_t k = 0; k < plan->key_count; k++)
        if (plan->key_target[k] == column)
            return (int) k;
    return -1;
}

static enum ods_status stamp(struct mysql_attempt *attempt, const struct mysql_row *row,
                             uint32_t column, struct mysql_out *out, struct error *why)
{
    bool is_time = (int) column == row->plan->timestamp_column;
    bool known = row->stamp->source_us != INT64_MIN;
    char operation = (char) row->stamp->op;
    struct value value = {.kind = VALUE_TEXT, .length = 1, .bytes = &operation};
    if (is_time)
        value = (struct value){.kind = known ? VALUE_INT : VALUE_NULL,
                               .integer = row->stamp->source_us};
    enum ods_status status =
        mysql_encode(&attempt->encoding, &row->plan->table->columns[column],
                     is_time ? &timestamp_source : &operation_source, &value,
                     &attempt->sink->scratch, out, why);
    if (status == ODS_OK && out->bytes == &operation) /* it outlives this call in the statement */
        out->bytes = arena_strndup(&attempt->sink->scratch, &operation, 1);
    return status == ODS_OK && out->form != MYSQL_NULL && !out->bytes ? error_out_of_memory(why)
                                                                      : status;
}

enum ods_status mysql_statement_value(struct mysql_attempt *attempt, const struct mysql_row *row,
                                      uint32_t column, struct mysql_out *out, struct error *why)
{
    const struct mysql_plan *plan = row->plan;
    struct mysql_cell cell;
    int place = row->key ? key_place(plan, column) : -1;
    attempt->encoding.table = plan->settings;
    if (place >= 0) {
        *out = row->key[place];
        return ODS_OK;
    }
    if ((int) column == plan->operation_column || (int) column == plan->timestamp_column)
        return stamp(attempt, row, column, out, why);
    if (!mysql_fold_cell(row, column, &cell)) {
        *out = (struct mysql_out){.form = MYSQL_NULL};
        return ODS_OK;
    }
    if (cell.out) {
        *out = *cell.out;
        return ODS_OK;
    }
    return mysql_encode(&attempt->encoding, &plan->table->columns[column], cell.source, cell.value,
                        &attempt->sink->scratch, out, why);
}

void mysql_statement_put(struct buffer *sql, const struct mysql_out *out)
{
    switch (out->form) {
    case MYSQL_NULL:
        buffer_puts(sql, "null");
        break;
    case MYSQL_NUMBER:
        buffer_add(sql, out->bytes, out->length);
        break;
    case MYSQL_TEXT:
        mysql_put_text(sql, out->bytes, out->length);
        break;
    case MYSQL_BYTES:
        mysql_put_bytes(sql, out->bytes, out->length);
        break;
    }
}

void mysql_statement_key(struct buffer *sql, const struct mysql_row *row)
{
    for (uint32_t k = 0; k < row->plan->key_count; k++) {
        const struct mysql_column *column = &row->plan->table->columns[row->plan->key_target[k]];
        buffer_puts(sql, k ? " and " : "");
        buffer_puts(sql, column->quoted);
        buffer_puts(sql, " = ");
        mysql_statement_put(sql, &row->key[k]);
        if (column->type == MYSQL_IS_BIT && row->key[k].form == MYSQL_BYTES)
            buffer_puts(sql, " + 0"); /* else it is compared as a text */
    }
}

/* --- upserts and inserts --------------------------------------------------------------------- */

bool mysql_statement_is_guarded(const struct mysql_plan *plan)
{
    bool primary = plan->key_count == plan->table->key_count;
    for (uint32_t k = 0; primary && k < plan->key_count; k++)
        primary = plan->table->columns[plan->key_target[k]].key_position > 0;
    uint32_t keys = plan->table->unique_count + (plan->table->key_count > 0);
    return primary ? plan->table->unique_count > 0 : keys > 1;
}

bool mysql_statement_is_complete(const struct mysql_group *group)
{
    const struct mysql_table *table = group->plan->table;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!mysql_fold_has(group->columns, i) && !table->columns[i].generated)
            return false;
    return group->kind == MYSQL_UPSERTS;
}

/* "on duplicate key" means any unique key. A row that it meets by another key than its own makes
 * the statement fail, by an exponent that no double has, so that no other row is written over. NULL
 * would not do: an auto_increment column takes it for 0, and a timestamp for now. */
static void put_key_guard(struct buffer *sql, const struct mysql_plan *plan)
{
    const struct mysql_column *first = &plan->table->columns[plan->key_target[0]];
    buffer_printf(sql, "%s = if(", first->quoted);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const char *name = plan->table->columns[plan->key_target[k]].quoted;
        buffer_printf(sql, "%s%s <=> values(%s)", k ? " and " : "", name, name);
    }
    buffer_printf(sql, " or exp(length(%s) + " MYSQL_GUARD ") > 0, values(%s), null)",
                  first->quoted, first->quoted);
}

static void put_tail(struct buffer *sql, const struct mysql_group *group)
{
    const struct mysql_plan *plan = group->plan;
    bool guarded = mysql_statement_is_guarded(plan), any = guarded;
    buffer_reset(sql);
    if (group->kind != MYSQL_UPSERTS)
        return;
    buffer_puts(sql, " on duplicate key update ");
    if (guarded)
        put_key_guard(sql, plan);
    for (uint32_t i = 0; i < plan->table->column_count; i++) {
        const char *name = plan->table->columns[i].quoted;
        if (!mysql_fold_has(group->columns, i) || (key_place(plan, i) >= 0 && !plan->spelt))
            continue;
        if (guarded && key_place(plan, i) >= 0)
            continue;
        buffer_printf(sql, "%s%s = values(%s)", any ? ", " : "", name, name);
        any = true;
    }
    if (!any) {
        const char *name = plan->table->columns[plan->key_target[0]].quoted;
        buffer_printf(sql, "%s = %s", name, name);
    }
}

static void put_head(struct buffer *sql, const struct mysql_group *group)
{
    const struct mysql_table *table = group->plan->table;
    buffer_printf(sql, "insert into %s (", table->quoted);
    bool any = false;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (mysql_fold_has(group->columns, i)) {
            buffer_puts(sql, any ? "," : "");
            buffer_puts(sql, table->columns[i].quoted);
            any = true;
        }
    buffer_puts(sql, ") values ");
}

static enum ods_status put_row(struct mysql_attempt *attempt, const struct mysql_group *group,
                               const struct mysql_row *row, struct error *why)
{
    struct buffer *sql = &attempt->sink->sql;
    const struct mysql_table *table = group->plan->table;
    enum ods_status status = ODS_OK;
    bool any = false;
    buffer_puts(sql, "(");
    for (uint32_t i = 0; status == ODS_OK && i < table->column_count; i++) {
        struct mysql_out out;
        if (!mysql_fold_has(group->columns, i))
            continue;
        status = mysql_statement_value(attempt, row, i, &out, why);
        if (status != ODS_OK)
            break;
        if (any)
            buffer_puts(sql, ",");
        mysql_statement_put(sql, &out);
        any = true;
    }
    buffer_puts(sql, ")");
    return status;
}

static enum ods_status put_inserts(struct mysql_attempt *attempt, const struct mysql_group *group,
                                   uint32_t first, uint32_t last, uint32_t *next,
                                   struct error *why)
{
    struct buffer *sql = &attempt->sink->sql;
    enum ods_status status = ODS_OK;
    put_tail(&attempt->sink->tail, group);
    put_head(sql, group);
    for (*next = first; *next < last && *next < first + MOST_ROWS; ++*next) {
        struct arena_mark mark = arena_mark(&attempt->sink->scratch);
        size_t before = sql->length;
        if (*next > first)
            buffer_puts(sql, ",");
        status = put_row(attempt, group, group->rows[*next], why);
        arena_release(&attempt->sink->scratch, mark);
        bool full = sql->length + attempt->sink->tail.length > MOST_BYTES && *next > first;
        if (status != ODS_OK || full) {
            sql->length = before;
            break;
        }
    }
    buffer_add(sql, attempt->sink->tail.bytes, attempt->sink->tail.length);
    return status;
}

/* --- deletes and updates --------------------------------------------------------------------- */

static void put_deletes(struct buffer *sql, const struct mysql_group *group, uint32_t first,
                        uint32_t last, uint32_t *next)
{
    const struct mysql_plan *plan = group->plan;
    bool single = plan->key_count == 1;
    const struct mysql_column *column = &plan->table->columns[plan->key_target[0]];
    buffer_printf(sql, "delete from %s where ", plan->table->quoted);
    if (single)
        buffer_printf(sql, "%s in (", column->quoted);
    for (*next = first; *next < last && *next < first + MOST_KEYS && sql->length < MOST_BYTES;
         ++*next) {
        const struct mysql_row *row = group->rows[*next];
        if (single) {
            buffer_puts(sql, *next > first ? "," : "");
            mysql_statement_put(sql, &row->key[0]);
            if (column->type == MYSQL_IS_BIT)
                buffer_puts(sql, " + 0");
        } else {
            buffer_puts(sql, *next > first ? " or (" : "(");
            mysql_statement_key(sql, row);
            buffer_puts(sql, ")");
        }
    }
    buffer_puts(sql, single ? ")" : "");
}

/* One row. A soft delete says 'd', unless the row does so already. */
static enum ods_status put_update(struct mysql_attempt *attempt, const struct mysql_group *group,
                                  const struct mysql_row *row, struct error *why)
{
    struct buffer *sql = &attempt->sink->sql;
    const struct mysql_plan *plan = row->plan;
    bool soft = group->kind == MYSQL_SOFT_DELETES, any = false;
    enum ods_status status = ODS_OK;
    if (soft && plan->operation_column < 0)
        return error_set(why, ODS_REJECT,
                         "table %s has no column %s to mark the row as deleted: add it, or choose "
                         "another on_delete",
                         plan->name, plan->settings->cdc_operation);
    buffer_printf(sql, "update %s set ", plan->table->quoted);
    for (uint32_t i = 0; status == ODS_OK && i < plan->table->column_count; i++) {
        bool is_stamp = (int) i == plan->operation_column || (int) i == plan->timestamp_column;
        struct mysql_out out;
        if (soft ? !is_stamp : !mysql_fold_has(group->columns, i))
            continue;
        status = mysql_statement_value(attempt, row, i, &out, why);
        if (status != ODS_OK)
            return status;
        buffer_printf(sql, "%s%s = ", any ? ", " : "", plan->table->columns[i].quoted);
        mysql_statement_put(sql, &out);
        any = true;
    }
    buffer_puts(sql, " where ");
    mysql_statement_key(sql, row);
    if (soft && plan->operation_column >= 0)
        buffer_printf(sql, " and not (%s <=> 'd')",
                      plan->table->columns[plan->operation_column].quoted);
    return status;
}

enum ods_status mysql_statement_rows(struct mysql_attempt *attempt,
                                     const struct mysql_group *group, uint32_t first, uint32_t last,
                                     uint32_t *next, struct error *why)
{
    struct buffer *sql = &attempt->sink->sql;
    enum ods_status status = ODS_OK;
    buffer_reset(sql);
    switch (group->kind) {
    case MYSQL_DELETES:
        put_deletes(sql, group, first, last, next);
        break;
    case MYSQL_UPSERTS:
    case MYSQL_INSERTS:
        status = put_inserts(attempt, group, first, last, next, why);
        break;
    case MYSQL_SOFT_DELETES:
    case MYSQL_UPDATES:
    case MYSQL_GROUP_KINDS: {
        struct arena_mark mark = arena_mark(&attempt->sink->scratch);
        status = put_update(attempt, group, group->rows[first], why);
        arena_release(&attempt->sink->scratch, mark);
        *next = first + (status == ODS_OK);
        break;
    }
    }
    return sql->failed ? error_out_of_memory(why) : status;
}
