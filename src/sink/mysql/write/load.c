/* Rows by LOAD DATA LOCAL, from memory: those of a snapshot and creates as they are, and any that
 * may go by REPLACE (replace.c). See attempt.h.
 *
 * LOCAL makes warnings of what would be errors, cuts values and leaves rows out. So the load counts
 * only if every row went in and the server warned of nothing; else it is taken back, and the rows
 * go by statements, which find out what is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/mysql/write/replace.h"
#include "sink/mysql/write/statement.h"

#define LOAD_MIN_ROWS    100
#define REPLACE_MIN_ROWS 400 /* what is asked and set beside it costs as much as 200 rows save */
#define LOAD_MOST_ROWS   20000
#define LOAD_MOST_BYTES  ((size_t) 4 * 1024 * 1024)
#define MOST_DOUBLINGS   6

/* --- the file -------------------------------------------------------------------------------- */

static const char escapes[256] = {
    ['\0'] = '0', ['\t'] = 't', ['\n'] = 'n', ['\\'] = '\\',
};

static void put_escaped(struct buffer *data, const char *bytes, size_t length)
{
    char *at = buffer_take(data, 2 * length);
    if (!at)
        return;
    for (size_t i = 0; i < length; i++) {
        char escape = escapes[(unsigned char) bytes[i]];
        if (__builtin_expect(escape != 0, 0))
            *at++ = '\\';
        *at++ = escape ? escape : bytes[i];
    }
    data->length = (size_t) (at - data->bytes);
}

static void put_hex(struct buffer *data, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = buffer_take(data, 2 * length);
    for (size_t i = 0; at && i < length; i++) {
        *at++ = digits[(unsigned char) bytes[i] >> 4];
        *at++ = digits[(unsigned char) bytes[i] & 15];
    }
}

static void put_field(struct buffer *data, const struct mysql_out *out)
{
    switch (out->form) {
    case MYSQL_NULL:
        buffer_puts(data, "\\N");
        break;
    case MYSQL_NUMBER:
        buffer_add(data, out->bytes, out->length);
        break;
    case MYSQL_TEXT:
        put_escaped(data, out->bytes, out->length);
        break;
    case MYSQL_BYTES:
        put_hex(data, out->bytes, out->length);
        break;
    }
}

/* Which columns are read in hexadecimal digits: those that may have bytes that are no UTF-8. */
static bool is_hex(const struct mysql_column *column)
{
    switch (column->type) {
    case MYSQL_IS_BIT:
    case MYSQL_IS_BINARY:
    case MYSQL_IS_VARBINARY:
    case MYSQL_IS_BLOB:
    case MYSQL_IS_GEOMETRY:
    case MYSQL_IS_VECTOR:
        return true;
    default:
        return false;
    }
}

static bool put_row(struct mysql_attempt *attempt, const struct mysql_group *group,
                    const struct mysql_row *row)
{
    struct buffer *data = &attempt->sink->data;
    const struct mysql_table *table = group->plan->table;
    bool any = false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        struct mysql_out out;
        struct error why;
        if (!mysql_fold_has(group->columns, i))
            continue;
        error_init(&why);
        if (mysql_statement_value(attempt, row, i, &out, &why) != ODS_OK ||
            (out.form != MYSQL_NULL && (out.form == MYSQL_BYTES) != is_hex(&table->columns[i])))
            return false; /* the statements say what is wrong with it */
        if (any)
            buffer_puts(data, "\t");
        put_field(data, &out);
        any = true;
    }
    buffer_puts(data, "\n");
    return !data->failed;
}

static void put_statement(struct buffer *sql, const struct mysql_group *group, bool replaces)
{
    const struct mysql_table *table = group->plan->table;
    bool any = false;
    buffer_reset(sql);
    buffer_printf(sql, "load data local infile 'ods' %sinto table %s character set utf8mb4 (",
                  replaces ? "replace " : "", table->quoted);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!mysql_fold_has(group->columns, i))
            continue;
        buffer_puts(sql, any ? "," : "");
        if (is_hex(&table->columns[i]))
            buffer_printf(sql, "@c%u", i);
        else
            buffer_puts(sql, table->columns[i].quoted);
        any = true;
    }
    buffer_puts(sql, ")");
    any = false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!mysql_fold_has(group->columns, i) || !is_hex(&table->columns[i]))
            continue;
        buffer_printf(sql, "%s%s = unhex(@c%u)", any ? ", " : " set ", table->columns[i].quoted, i);
        any = true;
    }
}

/* Rows from *first on as the file; *last is behind them. False: a row can't go by a load. */
static bool put_rows(struct mysql_attempt *attempt, const struct mysql_group *group,
                     uint32_t first, uint32_t *last)
{
    struct mysql_sink *sink = attempt->sink;
    struct buffer *data = &sink->data;
    uint32_t most = group->count - first < LOAD_MOST_ROWS ? group->count : first + LOAD_MOST_ROWS;
    buffer_reset(data);
    for (*last = first; *last < most && data->length < LOAD_MOST_BYTES; ++*last) {
        struct arena_mark mark = arena_mark(&sink->scratch);
        size_t before = data->length;
        bool good = put_row(attempt, group, group->rows[*last]);
        arena_release(&sink->scratch, mark);
        if (!good || data->length - before > sink->conn.packet_bytes - 64)
            return false;
    }
    return true;
}

/* --- sending --------------------------------------------------------------------------------- */

/* What the server says of a load. */
struct outcome {
    unsigned long long affected;
    unsigned long records, replaced, skipped, warnings;
};

static enum ods_status load(struct mysql_attempt *attempt, struct outcome *outcome)
{
    struct mysql_conn *conn = &attempt->sink->conn;
    enum ods_status status =
        mysql_conn_load(conn, buffer_text(&attempt->sink->sql), attempt->sink->data.bytes,
                        attempt->sink->data.length, attempt->error);
    *outcome = (struct outcome){0};
    if (status != ODS_OK)
        return status;
    const char *words = mysql_info(conn->mysql);
    outcome->affected = mysql_affected_rows(conn->mysql);
    outcome->warnings = mysql_warning_count(conn->mysql);
    outcome->skipped = 1; /* unless the server says otherwise */
    if (words)
        sscanf(words, "Records: %lu Deleted: %lu Skipped: %lu", &outcome->records,
               &outcome->replaced, &outcome->skipped);
    return ODS_OK;
}

/* Whatever comes of it, foreign keys are checked again in the session, or there is none. */
static enum ods_status load_unchecked(struct mysql_attempt *attempt, struct outcome *outcome)
{
    struct mysql_conn *conn = &attempt->sink->conn;
    struct error why;
    *outcome = (struct outcome){0};
    enum ods_status status =
        mysql_conn_run(conn, "set session foreign_key_checks = 0", NULL, attempt->error);
    if (status == ODS_OK)
        status = load(attempt, outcome);
    error_init(&why);
    if (!conn->mysql ||
        mysql_conn_run(conn, "set session foreign_key_checks = 1", NULL, &why) == ODS_OK)
        return status;
    mysql_conn_close(conn);
    *attempt->error = why;
    attempt->error->fault = FAULT_OUTAGE;
    return ODS_RETRY;
}

/* The server has no right for the user, or no loads at all. */
static void remember_refusal(struct mysql_sink *sink, const struct mysql_group *group,
                             const struct error *why)
{
    static const char *const rights[] = {"1044", "1142", "1143", "1227"};
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        if (strcmp(why->code, rights[i]) == 0)
            mysql_replace_refused(group->plan->table);
    if (strcmp(why->code, "1148") == 0 || strcmp(why->code, "3948") == 0)
        sink->conn.local_infile = false;
}

static enum ods_status send_replacing(struct mysql_attempt *attempt,
                                      const struct mysql_group *group, uint32_t rows, bool *right)
{
    struct outcome outcome = {0};
    uint64_t deletes;
    *right = false;
    enum ods_status status = mysql_replace_begin(attempt, group, &deletes);
    if (status == ODS_OK)
        status = load_unchecked(attempt, &outcome);
    if (status == ODS_OK && outcome.records == rows && !outcome.skipped && !outcome.warnings)
        status = mysql_replace_confirm(attempt, group, outcome.replaced, deletes, right);
    return status;
}

static enum ods_status send_new(struct mysql_attempt *attempt, uint32_t rows, bool *right)
{
    struct outcome outcome;
    enum ods_status status = load(attempt, &outcome);
    *right = status == ODS_OK && outcome.affected == rows && !outcome.warnings;
    return status;
}

static enum ods_status send(struct mysql_attempt *attempt, const struct mysql_group *group,
                            uint32_t rows, bool replaces, bool *done)
{
    struct mysql_sink *sink = attempt->sink;
    enum ods_status status =
        mysql_conn_run(&sink->conn, "savepoint ods_load", NULL, attempt->error);
    if (status != ODS_OK)
        return status;
    status = replaces ? send_replacing(attempt, group, rows, done)
                      : send_new(attempt, rows, done);
    if (!sink->conn.mysql || status == ODS_RETRY)
        return status;
    if (status == ODS_OK && *done) {
        attempt->result->upserted += rows;
        return ODS_OK;
    }
    *done = false;
    if (status != ODS_OK)
        remember_refusal(sink, group, attempt->error);
    error_init(attempt->error);
    return mysql_conn_run(&sink->conn, "rollback to savepoint ods_load", NULL, attempt->error);
}

/* One file of rows, from *first on. *done: they are written, and *first is behind them; else
 * nothing is. */
static enum ods_status load_rows(struct mysql_attempt *attempt, const struct mysql_group *group,
                                 bool replaces, uint32_t *first, bool *done)
{
    struct mysql_sink *sink = attempt->sink;
    const struct apply_result before = *attempt->encoding.result;
    enum ods_status status = ODS_OK;
    uint32_t last;
    *done = false;
    if (put_rows(attempt, group, *first, &last)) {
        put_statement(&sink->sql, group, replaces);
        status = sink->sql.failed ? error_out_of_memory(attempt->error)
                                  : send(attempt, group, last - *first, replaces, done);
    }
    if (*done) {
        *first = last;
    } else { /* the statements encode them again */
        attempt->encoding.result->values_rounded = before.values_rounded;
        attempt->encoding.result->zero_dates = before.zero_dates;
    }
    return status;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* Creates that meet rows, as a topic's that is read again, and rows with bad values cost a load in
 * vain: the next one is tried later each time. */
static bool is_due(struct mysql_patience *loads)
{
    if (!loads->waits)
        return true;
    loads->waits--;
    return false;
}

/* Numbers by their value, texts by their bytes. */
static int compare_cells(const struct mysql_out *a, const struct mysql_out *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    if (a->form == MYSQL_NUMBER && b->form == MYSQL_NUMBER && a->length != b->length)
        return a->length < b->length ? -1 : 1;
    int order = shorter ? memcmp(a->bytes, b->bytes, shorter) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int in_key_order(const void *left, const void *right)
{
    const struct mysql_row *a = *(struct mysql_row *const *) left;
    const struct mysql_row *b = *(struct mysql_row *const *) right;
    for (uint32_t k = 0; k < a->plan->key_count; k++) {
        int order = compare_cells(&a->key[k], &b->key[k]);
        if (order)
            return order;
    }
    return 0;
}

static enum ods_status load_group(struct mysql_attempt *attempt, struct mysql_group *group,
                                  bool replaces, struct mysql_patience *loads, uint32_t *first)
{
    enum ods_status status = ODS_OK;
    bool done = true;
    if (replaces) /* about as the server has them, which saves it searching and half-full pages */
        qsort(group->rows + *first, group->count - *first, sizeof *group->rows, in_key_order);
    while (status == ODS_OK && done && *first < group->count)
        status = load_rows(attempt, group, replaces, first, &done);
    loads->failures = done ? 0 : loads->failures + 1;
    loads->waits =
        done ? 0 : 1u << (loads->failures < MOST_DOUBLINGS ? loads->failures : MOST_DOUBLINGS);
    return status;
}

static bool may_load(const struct mysql_attempt *attempt)
{
    const struct mysql_sink *sink = attempt->sink;
    return sink->settings->load_data && sink->conn.local_infile && !attempt->batch->guard_time;
}

bool mysql_load_may_replace(const struct mysql_attempt *attempt, uint32_t rows)
{
    return rows >= REPLACE_MIN_ROWS && may_load(attempt) &&
           !attempt->sink->replacing_loads.waits;
}

enum ods_status mysql_load_group(struct mysql_attempt *attempt, struct mysql_group *group,
                                 uint32_t *first)
{
    struct mysql_sink *sink = attempt->sink;
    enum ods_status status = ODS_OK;
    bool may = false;
    *first = 0;
    if (group->kind != MYSQL_UPSERTS || !may_load(attempt))
        return ODS_OK;
    if (group->fresh && group->count >= LOAD_MIN_ROWS && is_due(&sink->new_loads))
        status = load_group(attempt, group, false, &sink->new_loads, first);
    if (status == ODS_OK && group->count - *first >= REPLACE_MIN_ROWS && may_load(attempt) &&
        is_due(&sink->replacing_loads))
        status = mysql_replace_ask(attempt, group, &may);
    if (status == ODS_OK && may)
        status = load_group(attempt, group, true, &sink->replacing_loads, first);
    return status;
}
