/* Dead letters in a table. See letters.h. */
#include "sink/postgres/letters/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/letters_erase.h"
#include "sql/postgres/letters_make.h"
#include "sql/postgres/letters_put.h"
#include "sql/postgres/letters_read.h"
#include "sql/postgres/letters_there.h"

#define TABLE      "ods_sink.dead_letters"
#define READ_ROWS  500
#define READ_BYTES "16777216"
#define DIGITS     24

struct letters {
    struct conn conn;
    struct session_settings settings; /* the target's, but commits are waited for */
    char *quoted;                     /* the table's name */
    unsigned made;                    /* the session in which it was seen to be there */
};

/* NULL: memory is out. */
static char *quote_table(const char *own_schema, const char *table)
{
    const char *dot = strchr(table, '.');
    char *prefix = dot ? strndup(table, (size_t) (dot - table)) : strdup(own_schema), *whole = NULL;
    char *schema = prefix ? quote_name(prefix) : NULL, *name = quote_name(dot ? dot + 1 : table);
    if (schema && name && asprintf(&whole, "%s.%s", schema, name) < 0)
        whole = NULL;
    free(prefix);
    free(schema);
    free(name);
    return whole;
}

struct letters *letters_new(const struct target_settings *target, const char *table)
{
    const struct postgres_settings *settings = target->own;
    struct letters *letters = calloc(1, sizeof *letters);
    if (!letters)
        return NULL;
    letters->settings = settings->session;
    letters->settings.synchronous_commit = true;
    letters->quoted = quote_table(settings->session.schema, table);
    if (conn_init(&letters->conn, target->name, &letters->settings) && letters->quoted)
        return letters;
    letters_free(letters);
    return NULL;
}

void letters_free(struct letters *letters)
{
    if (!letters)
        return;
    conn_done(&letters->conn);
    free(letters->quoted);
    free(letters);
}

void letters_interrupt(struct letters *letters)
{
    conn_interrupt(&letters->conn);
}

void letters_clear_interrupt(struct letters *letters)
{
    conn_clear_interrupt(&letters->conn);
}

/* The statement with this table's name in it. */
static enum ods_status query(struct letters *letters, const char *sql, int count,
                             const char *const *values, PGresult **result, struct error *error)
{
    const char *at = strstr(sql, TABLE);
    struct buffer text;
    buffer_init(&text);
    buffer_add(&text, sql, (size_t) (at - sql));
    buffer_puts(&text, letters->quoted);
    buffer_puts(&text, at + strlen(TABLE));
    enum ods_status status = text.failed ? error_out_of_memory(error)
                                         : conn_query(&letters->conn, buffer_text(&text), count,
                                                      values, result, error);
    buffer_done(&text);
    return status;
}

static enum ods_status is_there(struct letters *letters, bool *there, struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = query(letters, sql_letters_there, 0, NULL, &rows, error);
    *there = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}

static enum ods_status make(struct letters *letters, struct error *error)
{
    bool there = false;
    enum ods_status status = is_there(letters, &there, error);
    if (status != ODS_OK || there)
        return status;
    status = own_schema_prepare(&letters->conn, error);
    return status == ODS_OK ? query(letters, sql_letters_make, 0, NULL, NULL, error) : status;
}

enum ods_status letters_begin(struct letters *letters, struct error *error)
{
    struct conn *conn = &letters->conn;
    enum ods_status status = conn_open(conn, error);
    if (status == ODS_OK && letters->made != conn->generation) {
        status = make(letters, error);
        if (status == ODS_OK)
            letters->made = conn->generation;
    }
    return status == ODS_OK ? conn_query(conn, "begin", 0, NULL, NULL, error) : status;
}

/* The session is given up with whatever is open in it. */
static enum ods_status give_up(struct letters *letters, enum ods_status status)
{
    if (status != ODS_OK)
        conn_close(&letters->conn);
    return status;
}

enum ods_status letters_put(struct letters *letters, const struct letter_row *row,
                            struct error *error)
{
    char partition[DIGITS], offset[DIGITS];
    snprintf(partition, sizeof partition, "%d", (int) row->partition);
    snprintf(offset, sizeof offset, "%lld", (long long) row->record_offset);
    const char *values[] = {row->pipeline, row->topic, partition,  offset,
                            row->stage,    row->code,  row->error, row->letter};
    return give_up(letters, query(letters, sql_letters_put, 8, values, NULL, error));
}

enum ods_status letters_commit(struct letters *letters, struct error *error)
{
    return give_up(letters, conn_query(&letters->conn, "commit", 0, NULL, NULL, error));
}

enum ods_status letters_read(struct letters *letters, int64_t after,
                             bool (*take)(void *context, int64_t id, int64_t at_ms,
                                          const char *letter, size_t length),
                             void *context, struct error *error)
{
    bool there = false, more = true;
    char last[DIGITS], most[DIGITS];
    enum ods_status status = conn_open(&letters->conn, error);
    if (status == ODS_OK)
        status = is_there(letters, &there, error);
    snprintf(most, sizeof most, "%d", READ_ROWS);
    while (there && status == ODS_OK && more) {
        const char *values[] = {last, most, READ_BYTES};
        PGresult *rows = NULL;
        snprintf(last, sizeof last, "%lld", (long long) after);
        status = query(letters, sql_letters_read, 3, values, &rows, error);
        more = status == ODS_OK && PQntuples(rows);
        for (int row = 0; more && row < PQntuples(rows); row++) {
            after = strtoll(PQgetvalue(rows, row, 0), NULL, 10);
            more = take(context, after, strtoll(PQgetvalue(rows, row, 1), NULL, 10),
                        PQgetvalue(rows, row, 2), (size_t) PQgetlength(rows, row, 2));
        }
        PQclear(rows);
    }
    return status;
}

enum ods_status letters_erase(struct letters *letters, const int64_t *ids, size_t count,
                              struct error *error)
{
    struct buffer list;
    buffer_init(&list);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&list, "%s%lld", i ? "," : "{", (long long) ids[i]);
    buffer_puts(&list, count ? "}" : "{}");
    enum ods_status status =
        list.failed ? error_out_of_memory(error) : conn_open(&letters->conn, error);
    const char *values[] = {buffer_text(&list)};
    if (status == ODS_OK)
        status = query(letters, sql_letters_erase, 1, values, NULL, error);
    buffer_done(&list);
    return status;
}
