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
#include "sql/postgres/letters_waiting.h"

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

/* The statement with the names of this table and of the sink's own schema in it. */
static enum ods_status query(struct letters *letters, const char *sql, int count,
                             const char *const *values, PGresult **result, struct error *error)
{
    const char *at = strstr(sql, TABLE);
    char *before = strndup(sql, (size_t) (at - sql));
    struct buffer text;
    buffer_init(&text);
    bool good = before && own_schema_put(&letters->conn, before, &text);
    buffer_puts(&text, letters->quoted);
    good = good && own_schema_put(&letters->conn, at + strlen(TABLE), &text);
    free(before);
    enum ods_status status = good ? conn_query(&letters->conn, buffer_text(&text), count, values,
                                               result, error)
                                  : error_out_of_memory(error);
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

/* --- what waits ------------------------------------------------------------------------------- */

/* Three arrays, as texts. */
struct asked {
    struct buffer pipelines, replays, queues;
};

static void ask_of(struct asked *asked, const struct letters_waiting *waiting, size_t count)
{
    struct buffer replays;
    buffer_init(&replays);
    buffer_init(&asked->pipelines);
    buffer_init(&asked->replays);
    buffer_init(&asked->queues);
    for (size_t i = 0; i < count; i++) {
        buffer_reset(&replays);
        buffer_printf(&replays, "%s" LETTERS_REPLAYS, waiting[i].group);
        quote_array_put(&asked->pipelines, waiting[i].pipeline);
        quote_array_put(&asked->replays, buffer_text(&replays));
        quote_array_put(&asked->queues, waiting[i].queue ? "t" : "f");
    }
    asked->replays.failed |= replays.failed;
    buffer_done(&replays);
    quote_array_end(&asked->pipelines);
    quote_array_end(&asked->replays);
    quote_array_end(&asked->queues);
}

static void take_counts(const PGresult *rows, struct letters_waiting *waiting, size_t count)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        size_t number = strtoul(PQgetvalue(rows, row, 0), NULL, 10);
        if (!number || number > count)
            continue;
        waiting[number - 1].count = strtoll(PQgetvalue(rows, row, 1), NULL, 10);
        waiting[number - 1].oldest_us = strtoll(PQgetvalue(rows, row, 2), NULL, 10);
    }
}

enum ods_status letters_waiting(struct letters *letters, const char *place,
                                struct letters_waiting *waiting, size_t count, struct error *error)
{
    struct asked asked;
    PGresult *rows = NULL;
    bool there = false;
    ask_of(&asked, waiting, count);
    bool full = asked.pipelines.failed || asked.replays.failed || asked.queues.failed;
    const char *values[] = {buffer_text(&asked.pipelines), buffer_text(&asked.replays),
                            buffer_text(&asked.queues), place};
    enum ods_status status = full ? error_out_of_memory(error) : conn_open(&letters->conn, error);
    for (size_t i = 0; i < count; i++)
        waiting[i].count = waiting[i].oldest_us = 0;
    if (status == ODS_OK)
        status = is_there(letters, &there, error);
    if (status == ODS_OK && there)
        status = query(letters, sql_letters_waiting, 4, values, &rows, error);
    if (status == ODS_OK && there)
        take_counts(rows, waiting, count);
    PQclear(rows);
    buffer_done(&asked.pipelines);
    buffer_done(&asked.replays);
    buffer_done(&asked.queues);
    return status;
}
