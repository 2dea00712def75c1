/* See own.h. */
#include "sink/mysql/write/own.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "sql/mysql/offsets_make.h"
#include "sql/mysql/offsets_read.h"
#include "sql/mysql/tables_claim.h"
#include "sql/mysql/tables_forget.h"
#include "sql/mysql/tables_make.h"
#include "sql/mysql/tables_whose.h"

static const char *schema_of(const struct mysql_own *own, const struct mysql_conn *conn)
{
    return *own->schema ? own->schema : conn->database;
}

static void put_table(struct buffer *sql, const struct mysql_own *own,
                      const struct mysql_conn *conn, const char *table)
{
    mysql_put_name(sql, schema_of(own, conn));
    buffer_puts(sql, ".");
    mysql_put_name(sql, table);
}

static void put_literal(struct buffer *sql, const char *text)
{
    mysql_put_text(sql, text, strlen(text));
}

/* A statement of sql/mysql/: its first {} is the table, the others are the texts. */
static void put_template(struct buffer *sql, const struct mysql_own *own,
                         const struct mysql_conn *conn, const char *table, const char *template,
                         const char *const *texts)
{
    const char *place;
    for (int i = 0; (place = strstr(template, "{}")); i++) {
        buffer_add(sql, template, (size_t) (place - template));
        if (i == 0)
            put_table(sql, own, conn, table);
        else
            put_literal(sql, texts[i - 1]);
        template = place + 2;
    }
    buffer_puts(sql, template);
}

static enum ods_status run(struct mysql_conn *conn, struct buffer *sql, MYSQL_RES **rows,
                           struct error *error)
{
    enum ods_status status = sql->failed
                                 ? error_out_of_memory(error)
                                 : mysql_conn_query(conn, sql->bytes, sql->length, rows, error);
    buffer_done(sql);
    return status;
}

/* --- the tables ------------------------------------------------------------------------------ */

enum ods_status mysql_own_look(struct mysql_own *own, struct mysql_conn *conn, const char *table,
                               bool *there, struct error *error)
{
    struct buffer sql;
    MYSQL_RES *rows;
    *there = false;
    if (!*schema_of(own, conn))
        return error_set(error, ODS_FATAL,
                         "target %s: there is no database for the offsets: name one in the dsn "
                         "(dbname=…), or by the target's schema",
                         conn->name);
    buffer_init(&sql);
    buffer_puts(&sql, "select 1 from information_schema.tables where table_schema = ");
    put_literal(&sql, schema_of(own, conn));
    buffer_puts(&sql, " and table_name = ");
    put_literal(&sql, table);
    enum ods_status status = run(conn, &sql, &rows, error);
    if (status != ODS_OK)
        return status;
    *there = mysql_num_rows(rows) > 0;
    mysql_free_result(rows);
    return ODS_OK;
}

static enum ods_status make(struct mysql_own *own, struct mysql_conn *conn, const char *table,
                            const char *template, struct error *error)
{
    struct buffer sql;
    bool there;
    enum ods_status status = mysql_own_look(own, conn, table, &there, error);
    if (status != ODS_OK || there)
        return status;
    buffer_init(&sql);
    put_template(&sql, own, conn, table, template, NULL);
    status = run(conn, &sql, NULL, error);
    if (status != ODS_OK)
        error_prefix(error, "the table %s can't be made: ", table);
    return status == ODS_REJECT ? ODS_FATAL : status;
}

enum ods_status mysql_own_make(struct mysql_own *own, struct mysql_conn *conn,
                               struct error *error)
{
    if (own->generation == conn->generation)
        return ODS_OK;
    enum ods_status status = make(own, conn, MYSQL_OWN_OFFSETS, sql_mysql_offsets_make, error);
    if (status == ODS_OK)
        status = make(own, conn, MYSQL_OWN_TABLES, sql_mysql_tables_make, error);
    if (status == ODS_OK)
        own->generation = conn->generation;
    return status;
}

/* --- who writes which table ------------------------------------------------------------------ */

enum ods_status mysql_own_claim(struct mysql_own *own, struct mysql_conn *conn, const char *schema,
                                const char *table, struct error *error)
{
    const char *texts[] = {own->group, schema, schema, table, table};
    struct buffer sql;
    buffer_init(&sql);
    put_template(&sql, own, conn, MYSQL_OWN_TABLES, sql_mysql_tables_claim, texts);
    enum ods_status status = run(conn, &sql, NULL, error);
    return status == ODS_REJECT ? ODS_FATAL : status;
}

enum ods_status mysql_own_whose(struct mysql_own *own, struct mysql_conn *conn, const char *schema,
                                const char *table, bool *written, char *others, size_t size,
                                struct error *error)
{
    const char *texts[] = {own->group, schema, schema, table, table};
    struct buffer sql;
    MYSQL_RES *rows;
    bool there;
    *written = false;
    *others = '\0';
    enum ods_status status = mysql_own_look(own, conn, MYSQL_OWN_TABLES, &there, error);
    if (status != ODS_OK || !there)
        return status;
    buffer_init(&sql);
    put_template(&sql, own, conn, MYSQL_OWN_TABLES, sql_mysql_tables_whose, texts);
    status = run(conn, &sql, &rows, error);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    if (row && row[0])
        utf8_copy(others, size, row[0], strlen(row[0]));
    *written = row && strcmp(row[1], "0") != 0;
    mysql_free_result(rows);
    return ODS_OK;
}

enum ods_status mysql_own_unclaim(struct mysql_own *own, struct mysql_conn *conn,
                                  const char *schema, const char *table, struct error *error)
{
    const char *texts[] = {own->group, own->group, schema, schema, table, table};
    struct buffer sql;
    bool there;
    enum ods_status status = mysql_own_look(own, conn, MYSQL_OWN_TABLES, &there, error);
    if (status != ODS_OK || !there)
        return status;
    buffer_init(&sql);
    put_template(&sql, own, conn, MYSQL_OWN_TABLES, sql_mysql_tables_forget, texts);
    return run(conn, &sql, NULL, error);
}

/* --- offsets --------------------------------------------------------------------------------- */

static int compare_positions(const void *left, const void *right)
{
    const struct position *a = *(struct position *const *) left;
    const struct position *b = *(struct position *const *) right;
    int order = strcmp(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static void take(struct position **sorted, size_t count, MYSQL_ROW row)
{
    const struct position wanted = {.topic = row[0], .partition = (int32_t) atol(row[1])};
    const struct position *key = &wanted;
    struct position **found = bsearch(&key, sorted, count, sizeof *sorted, compare_positions);
    if (!found)
        return;
    (*found)->offset = strtoll(row[2], NULL, 10);
    (*found)->stored_us = row[3] ? strtoll(row[3], NULL, 10) : 0;
}

enum ods_status mysql_offsets_read(struct mysql_own *own, struct mysql_conn *conn,
                                   struct position *positions, size_t count, struct error *error)
{
    struct buffer sql;
    MYSQL_RES *rows;
    struct position **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return error_out_of_memory(error);
    for (size_t i = 0; i < count; i++) {
        positions[i].offset = OFFSET_NONE;
        positions[i].stored_us = 0;
        sorted[i] = &positions[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_positions);
    buffer_init(&sql);
    put_template(&sql, own, conn, MYSQL_OWN_OFFSETS, sql_mysql_offsets_read, &own->group);
    enum ods_status status = run(conn, &sql, &rows, error);
    for (MYSQL_ROW row; status == ODS_OK && (row = mysql_fetch_row(rows));)
        take(sorted, count, row);
    if (status == ODS_OK)
        mysql_free_result(rows);
    free(sorted);
    return status;
}

/* A claim that is held from its first record on does not move its offset. One that ends where it
 * begins is for a topic that was made again and was just as long before: it gets a new time. */
static bool moves(const struct claim *claim)
{
    return !claim->holds || claim->held_from != claim->from;
}

static enum ods_status fenced(const struct claim *claim, struct error *error)
{
    return error_set(error, ODS_FENCED,
                     "topic %s partition %d: the stored offset is not %lld: another writer has the "
                     "partition",
                     claim->topic, (int) claim->partition, (long long) claim->from);
}

/* Each row is named by its whole key, so that no lane waits for the row of another's. */
static enum ods_status move(struct mysql_own *own, struct mysql_conn *conn,
                            const struct claim *claim, struct error *error)
{
    struct buffer sql;
    long long from = claim->from, upto = claim_end(claim);
    bool is_new = claim->from == OFFSET_NONE;
    buffer_init(&sql);
    buffer_puts(&sql, is_new ? "insert into " : "update ");
    put_table(&sql, own, conn, MYSQL_OWN_OFFSETS);
    if (is_new)
        buffer_puts(&sql, " (consumer_group, topic, `partition`, next_offset) values (");
    else
        buffer_printf(&sql, " set next_offset = %lld, updated_at = current_timestamp(6) "
                            "where consumer_group = ",
                      upto);
    put_literal(&sql, own->group);
    buffer_puts(&sql, is_new ? ", " : " and topic = ");
    put_literal(&sql, claim->topic);
    if (is_new)
        buffer_printf(&sql, ", %d, %lld)", (int) claim->partition, upto);
    else
        buffer_printf(&sql, " and `partition` = %d and next_offset = %lld", (int) claim->partition,
                      from);
    enum ods_status status = run(conn, &sql, NULL, error);
    if (status == ODS_REJECT && error && strcmp(error->code, "1062") == 0)
        return fenced(claim, error);
    if (status == ODS_REJECT)
        return ODS_FATAL; /* of a table of ours */
    return status != ODS_OK || mysql_affected_rows(conn->mysql) == 1 ? status
                                                                     : fenced(claim, error);
}

enum ods_status mysql_offsets_move(struct mysql_own *own, struct mysql_conn *conn,
                                   const struct batch *batch, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->claim_count; i++)
        if (moves(&batch->claims[i]))
            status = move(own, conn, &batch->claims[i], error);
    return status;
}

enum ods_status mysql_offsets_settle(struct mysql_own *own, struct mysql_conn *conn,
                                     const struct batch *batch, bool *happened,
                                     struct error *error)
{
    size_t after = 0, before = 0;
    struct position *positions = calloc(batch->claim_count + 1u, sizeof *positions);
    if (!positions)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < batch->claim_count; i++)
        positions[i] = (struct position){.topic = batch->claims[i].topic,
                                         .partition = batch->claims[i].partition};
    enum ods_status status = mysql_offsets_read(own, conn, positions, batch->claim_count, error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->claim_count; i++) {
        after += positions[i].offset == claim_end(&batch->claims[i]);
        before += positions[i].offset == batch->claims[i].from;
    }
    free(positions);
    /* Both are the same where a topic that was made again is as long as the old one: then the batch
     * is applied again, as otherwise it might be lost. */
    *happened = after && after == batch->claim_count && before < after;
    if (status == ODS_OK && !*happened && before != batch->claim_count)
        status = error_set(error, ODS_FENCED,
                           "the stored offsets are neither where this batch starts nor where it "
                           "ends: another writer has the partition");
    return status;
}

enum ods_status mysql_offsets_forget(struct mysql_own *own, struct mysql_conn *conn, bool erase,
                                     int64_t *count, struct error *error)
{
    struct buffer sql;
    MYSQL_RES *rows = NULL;
    buffer_init(&sql);
    put_template(&sql, own, conn, MYSQL_OWN_OFFSETS,
                 erase ? "delete from {} where consumer_group = {}"
                       : "select count(*) from {} where consumer_group = {}",
                 &own->group);
    enum ods_status status = run(conn, &sql, erase ? NULL : &rows, error);
    if (status != ODS_OK || erase)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    *count = row ? strtoll(row[0], NULL, 10) : 0;
    mysql_free_result(rows);
    return ODS_OK;
}
