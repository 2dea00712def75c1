/* Rows of a snapshot by LOAD DATA LOCAL, from memory. See attempt.h.
 *
 * LOCAL makes warnings of what would be errors, cuts values and leaves rows out. So the load counts
 * only if every row went in and the server warned of nothing; else it is taken back, and the rows
 * go by statements, which find out what is wrong.
 */
#include <string.h>

#include "sink/mysql/write/statement.h"

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

static void put_statement(struct buffer *sql, const struct mysql_group *group)
{
    const struct mysql_table *table = group->plan->table;
    bool any = false;
    buffer_reset(sql);
    buffer_printf(sql, "load data local infile 'ods' into table %s character set utf8mb4 (",
                  table->quoted);
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

static enum ods_status send(struct mysql_attempt *attempt, uint32_t rows, bool *done)
{
    struct mysql_sink *sink = attempt->sink;
    enum ods_status status =
        mysql_conn_run(&sink->conn, "savepoint ods_load", NULL, attempt->error);
    if (status != ODS_OK)
        return status;
    status = mysql_conn_load(&sink->conn, buffer_text(&sink->sql), sink->data.bytes,
                             sink->data.length, attempt->error);
    if (!sink->conn.mysql || status == ODS_RETRY)
        return status;
    if (status == ODS_OK && mysql_affected_rows(sink->conn.mysql) == rows &&
        !mysql_warning_count(sink->conn.mysql)) {
        *done = true;
        attempt->result->upserted += rows;
        return ODS_OK;
    }
    error_init(attempt->error);
    return mysql_conn_run(&sink->conn, "rollback to savepoint ods_load", NULL, attempt->error);
}

enum ods_status mysql_load_rows(struct mysql_attempt *attempt, struct mysql_group *group,
                                uint32_t first, uint32_t last, bool *done)
{
    struct mysql_sink *sink = attempt->sink;
    const struct apply_result before = *attempt->encoding.result;
    bool good = true;
    *done = false;
    buffer_reset(&sink->data);
    for (uint32_t i = first; good && i < last; i++) {
        struct arena_mark mark = arena_mark(&sink->scratch);
        good = put_row(attempt, group, group->rows[i]);
        arena_release(&sink->scratch, mark);
    }
    enum ods_status status = ODS_OK;
    if (good) {
        put_statement(&sink->sql, group);
        status = sink->sql.failed ? error_out_of_memory(attempt->error)
                                  : send(attempt, last - first, done);
    }
    if (!*done) { /* the statements encode them again */
        attempt->encoding.result->values_rounded = before.values_rounded;
        attempt->encoding.result->zero_dates = before.zero_dates;
    }
    return status;
}
