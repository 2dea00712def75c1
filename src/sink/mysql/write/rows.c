/* Groups of rows into statements, and who is at fault when one is refused. See attempt.h.
 *
 * InnoDB takes back what a refused statement has done and nothing else, so the rows of one are
 * searched by sending parts of it: first the row that the error names, else its halves.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "sink/mysql/write/statement.h"
#include "sink/rows/aside.h"

/* --- what an error says ---------------------------------------------------------------------- */

static bool is_code(const struct error *error, const char *code)
{
    return strcmp(error->code, code) == 0;
}

/* "… for column 'x' at row 17", "Column 'x' cannot be null", "Field 'x' doesn't …" and, of
 * MariaDB, "… for column `db`.`table`.`x` …": the session's messages are English. */
static void name_column(struct error *error)
{
    static const char *const words[] = {"olumn '", "olumn `", "Field '"};
    const char *at = NULL;
    for (size_t i = 0; !at && i < sizeof words / sizeof *words; i++)
        for (const char *found = error->text; (found = strstr(found, words[i]));)
            at = found += strlen(words[i]);
    if (!at || *error->column)
        return;
    char quote = at[-1];
    size_t length = strcspn(at, quote == '`' ? "`" : "'");
    while (quote == '`' && strncmp(at + length, "`.`", 3) == 0) {
        at += length + 3;
        length = strcspn(at, "`");
    }
    snprintf(error->column, sizeof error->column, "%.*s", (int) length, at);
}

/* The row that the error names, from 1; 0: none. */
static uint32_t row_named(const struct error *error)
{
    const char *at = NULL;
    for (const char *found = error->text; (found = strstr(found, "at row "));)
        at = found += strlen("at row ");
    return at && isdigit((unsigned char) *at) ? (uint32_t) strtoul(at, NULL, 10) : 0;
}

/* The guard of the key (statement.c) has found that the row would have met another one. */
static void see_through_guard(const struct mysql_group *group, struct error *error)
{
    if (group->kind != MYSQL_UPSERTS || !is_code(error, "1690") ||
        !strstr(error->text, " + " MYSQL_GUARD ")"))
        return;
    error_set(error, ODS_REJECT,
              "table %s: another row has a value of a unique key that this row is to have",
              group->plan->name);
    snprintf(error->code, sizeof error->code, "1062");
    *error->column = '\0';
    error->fault = FAULT_ORDER;
}

static void explain(const struct mysql_group *group, struct error *error)
{
    if (!is_code(error, "1644")) /* whose words are a trigger's */
        name_column(error);
    see_through_guard(group, error);
}

/* --- setting aside --------------------------------------------------------------------------- */

enum ods_status mysql_change_refuse(struct mysql_attempt *attempt, uint32_t change,
                                    const struct error *why)
{
    const struct mysql_plan *plan = attempt->sink->change_plans[change];
    if (plan && plan->settings->on_trigger_error == ON_TRIGGER_ERROR_STOP && is_code(why, "1644") &&
        !attempt->batch->guard_time) {
        struct error shown = *why;
        mysql_fold_hide(plan, &shown);
        return error_set(attempt->error, ODS_FATAL,
                         "a trigger of table %s refuses the row, and on_trigger_error is stop: "
                         "mend the trigger, or set on_trigger_error: dead_letter, and start again: "
                         "%.300s",
                         plan->name, shown.text);
    }
    if (rows_is_part(attempt->batch, change))
        attempt->next = MYSQL_NEXT_FOLD;
    return mysql_fold_refuse(attempt->batch, plan, change, why, attempt->error);
}

enum ods_status mysql_rows_refuse(struct mysql_attempt *attempt, struct mysql_row *row,
                                  const struct error *why)
{
    row->aside = true;
    if (row->chain > 1 || row->returns)
        attempt->next = MYSQL_NEXT_FOLD;
    return mysql_change_refuse(attempt, row->last, why);
}

enum ods_status mysql_blocked_add(struct mysql_attempt *attempt, struct mysql_group *group,
                                  uint32_t index, uint32_t change, const struct error *why)
{
    if (attempt->pending_count == attempt->pending_capacity) {
        uint32_t larger = attempt->pending_capacity ? attempt->pending_capacity * 2 : 16;
        struct mysql_pending *moved = arena_alloc(&attempt->sink->scratch, larger * sizeof *moved);
        if (!moved)
            return error_out_of_memory(attempt->error);
        if (attempt->pending_count)
            memcpy(moved, attempt->pending, attempt->pending_count * sizeof *moved);
        attempt->pending = moved;
        attempt->pending_capacity = larger;
    }
    struct mysql_pending *pending = &attempt->pending[attempt->pending_count++];
    *pending = (struct mysql_pending){
        .group = group,
        .index = index,
        .change = change,
        .again = group && mysql_blocked_can_wait(group->kind, group->rows[index]),
        .why = *why};
    mysql_fold_hide(attempt->sink->change_plans[change], &pending->why);
    return ODS_OK;
}

static enum ods_status row_refused(struct mysql_attempt *attempt, struct mysql_group *group,
                                   uint32_t index, const struct error *why)
{
    return why->fault == FAULT_ORDER
               ? mysql_blocked_add(attempt, group, index, group->rows[index]->last, why)
               : mysql_rows_refuse(attempt, group->rows[index], why);
}

/* --- sending --------------------------------------------------------------------------------- */

static void count(struct mysql_attempt *attempt, const struct mysql_group *group, uint32_t rows,
                  uint64_t found)
{
    struct apply_result *result = attempt->result;
    switch (group->kind) {
    case MYSQL_DELETES:
    case MYSQL_SOFT_DELETES:
        result->deleted += found;
        result->missing += rows - (found < rows ? found : rows);
        break;
    case MYSQL_UPDATES:
    case MYSQL_UPSERTS:
    case MYSQL_INSERTS:
    case MYSQL_GROUP_KINDS:
        result->upserted += rows;
        break;
    }
}

/* A dead letter that is replayed changes only what is older. */
static enum ods_status look_at_guard(struct mysql_attempt *attempt, const struct mysql_row *row,
                                     struct error *why)
{
    const struct mysql_plan *plan = row->plan;
    struct buffer *sql = &attempt->sink->sql;
    struct mysql_out out;
    MYSQL_RES *rows;
    if (!attempt->batch->guard_time || !row->key)
        return ODS_OK;
    if (plan->timestamp_column < 0 || row->stamp->source_us == INT64_MIN)
        return error_set(why, ODS_REJECT,
                         "the row's time can't be compared with the letter's: the table or the "
                         "record has none");
    const struct mysql_column *column = &plan->table->columns[plan->timestamp_column];
    enum ods_status status = mysql_statement_value(attempt, row, (uint32_t) plan->timestamp_column,
                                                   &out, why);
    if (status != ODS_OK)
        return status;
    buffer_reset(sql);
    buffer_printf(sql, "select 1 from %s where ", plan->table->quoted);
    mysql_statement_key(sql, row);
    buffer_printf(sql, " and %s >= ", column->quoted);
    mysql_statement_put(sql, &out);
    buffer_puts(sql, " for update");
    status = mysql_conn_query(&attempt->sink->conn, sql->bytes, sql->length, &rows, why);
    if (status != ODS_OK)
        return status;
    bool newer = mysql_num_rows(rows) > 0;
    mysql_free_result(rows);
    return newer ? error_set(why, ODS_REJECT, "the target's row is as new as the letter, or newer")
                 : ODS_OK;
}

/* One statement: *next is behind its last row. ODS_REJECT with *next == first: this row can't be
 * encoded, or may not be written; else the server has refused the statement. */
static enum ods_status send(struct mysql_attempt *attempt, struct mysql_group *group,
                            uint32_t first, uint32_t last, uint32_t *next, struct error *why)
{
    struct mysql_conn *conn = &attempt->sink->conn;
    *next = first;
    enum ods_status status = look_at_guard(attempt, group->rows[first], why);
    if (status == ODS_OK)
        status = mysql_statement_rows(attempt, group, first, last, next, why);
    if (status != ODS_OK && (status != ODS_REJECT || *next == first))
        return status;
    error_init(why); /* those before the row are sent */
    if (attempt->sink->sql.length > conn->packet_bytes - 64) {
        why->fault = FAULT_ROW;
        snprintf(why->code, sizeof why->code, "1153");
        return error_set(why, ODS_REJECT,
                         "the row is larger than the server's max_allowed_packet (%llu bytes)",
                         (unsigned long long) conn->packet_bytes);
    }
    status = mysql_conn_query(conn, attempt->sink->sql.bytes, attempt->sink->sql.length, NULL, why);
    if (status == ODS_REJECT)
        explain(group, why);
    if (status != ODS_OK)
        return status;
    uint64_t found = mysql_affected_rows(conn->mysql);
    if (group->kind == MYSQL_UPDATES && !found) {
        *next = first;
        why->fault = FAULT_ROW;
        return error_set(why, ODS_REJECT,
                         "table %s: the target does not have the row, and the change lacks a "
                         "column without which it can't be inserted",
                         group->plan->name);
    }
    count(attempt, group, *next - first, found);
    return ODS_OK;
}

/* The part of a refused statement that is tried next, up to a row that is named or to the half. */
static uint32_t part(uint32_t first, uint32_t next, const struct error *why)
{
    uint32_t named = row_named(why);
    if (named > 1 && named <= next - first)
        return first + named - 1;
    return named == 1 ? first + 1 : first + (next - first) / 2;
}

static bool is_stale(struct mysql_attempt *attempt, const struct error *why)
{
    if (why->fault != FAULT_TABLE || attempt->reread)
        return false;
    attempt->next = MYSQL_NEXT_REREAD;
    return true;
}

enum ods_status mysql_rows_write(struct mysql_attempt *attempt, struct mysql_group *group,
                                 uint32_t first, uint32_t last)
{
    enum ods_status status = ODS_OK;
    while (status == ODS_OK && first < last) {
        struct error why;
        uint32_t next;
        error_init(&why);
        uint32_t end = attempt->batch->guard_time ? first + 1 : last;
        status = send(attempt, group, first, end, &next, &why);
        if (status == ODS_OK) {
            first = next;
        } else if (status != ODS_REJECT || is_stale(attempt, &why)) {
            *attempt->error = why;
        } else if (next <= first + 1) {
            status = row_refused(attempt, group, first, &why);
            first++;
        } else {
            uint32_t middle = part(first, next, &why);
            status = mysql_rows_write(attempt, group, first, middle);
            first = middle;
        }
    }
    return status;
}

enum ods_status mysql_rows_try(struct mysql_attempt *attempt, struct mysql_group *group,
                               uint32_t index)
{
    uint32_t next;
    error_init(attempt->error);
    return send(attempt, group, index, index + 1, &next, attempt->error);
}
