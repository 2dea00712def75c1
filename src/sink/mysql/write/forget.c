/* Takes a group's offsets and tables out. See apply.h.
 *
 * DROP TABLE commits by itself, so rows are deleted together with the offsets, in one transaction,
 * and tables that the sink made are dropped after it, empty. A crash between both leaves an empty
 * table and no offset, from which a pipeline begins as from nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "sink/mysql/write/apply.h"

static const char *schema_of(const struct mysql_sink *sink, const struct forgotten *table)
{
    return *table->schema ? table->schema : sink->conn.database;
}

static void put_table(struct buffer *sql, const struct mysql_sink *sink,
                      const struct forgotten *table)
{
    mysql_put_name(sql, schema_of(sink, table));
    buffer_puts(sql, ".");
    mysql_put_name(sql, table->table);
}

static enum ods_status run(struct mysql_sink *sink, MYSQL_RES **rows, struct error *error)
{
    return sink->sql.failed ? error_out_of_memory(error)
                            : mysql_conn_query(&sink->conn, sink->sql.bytes, sink->sql.length,
                                               rows, error);
}

/* The comment of a table that the sink made says so. Only what this group has brought may go: rows
 * of others are theirs. */
static enum ods_status look_at(struct mysql_sink *sink, struct forgotten *table,
                               struct error *error)
{
    struct buffer *sql = &sink->sql;
    MYSQL_RES *rows;
    buffer_reset(sql);
    buffer_puts(sql, "select table_comment, coalesce(data_length, 0) + coalesce(index_length, 0) "
                     "from information_schema.tables where table_type = 'BASE TABLE' and "
                     "table_schema = ");
    mysql_put_text(sql, schema_of(sink, table), strlen(schema_of(sink, table)));
    buffer_puts(sql, " and table_name = ");
    mysql_put_text(sql, table->table, strlen(table->table));
    enum ods_status status = run(sink, &rows, error);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    table->there = row != NULL;
    table->made_here = row && row[0] && strncmp(row[0], "ods-sink", 8) == 0;
    table->bytes = row && row[1] ? strtoll(row[1], NULL, 10) : 0;
    mysql_free_result(rows);
    bool written = false;
    if (table->there)
        status = mysql_own_whose(&sink->own, &sink->conn, schema_of(sink, table), table->table,
                                 &written, table->writers, sizeof table->writers, error);
    table->untouched = table->there && !table->made_here && !written;
    return status;
}

static enum ods_status empty(struct mysql_sink *sink, const struct forgotten *table,
                             struct error *error)
{
    enum ods_status status = mysql_own_unclaim(&sink->own, &sink->conn, schema_of(sink, table),
                                               table->table, error);
    if (status != ODS_OK || !table->there || table->untouched || *table->writers)
        return status;
    buffer_reset(&sink->sql);
    buffer_puts(&sink->sql, "delete from ");
    put_table(&sink->sql, sink, table);
    return run(sink, NULL, error);
}

static enum ods_status drop(struct mysql_sink *sink, const struct forgotten *table,
                            struct error *error)
{
    if (!table->there || !table->made_here || *table->writers)
        return ODS_OK;
    buffer_reset(&sink->sql);
    buffer_puts(&sink->sql, "drop table ");
    put_table(&sink->sql, sink, table);
    return run(sink, NULL, error);
}

static enum ods_status take_out(struct mysql_sink *sink, const struct forgotten *tables,
                                size_t count, bool own, struct error *error)
{
    int64_t ignored;
    enum ods_status status = mysql_conn_run(&sink->conn, "start transaction", NULL, error);
    if (status == ODS_OK && own)
        status = mysql_offsets_forget(&sink->own, &sink->conn, true, &ignored, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = empty(sink, &tables[i], error);
    if (status == ODS_OK)
        status = mysql_conn_run(&sink->conn, "commit", NULL, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = drop(sink, &tables[i], error);
    if (status != ODS_OK)
        mysql_conn_close(&sink->conn); /* which rolls back */
    return status == ODS_REJECT ? ODS_FATAL : status;
}

enum ods_status mysql_forget_group(struct mysql_sink *sink, struct forgotten *tables, size_t count,
                                   bool look, int64_t *offsets, struct error *error)
{
    bool own = false;
    *offsets = 0;
    enum ods_status status = mysql_conn_open(&sink->conn, error);
    if (status == ODS_OK)
        status = mysql_own_look(&sink->own, &sink->conn, MYSQL_OWN_OFFSETS, &own, error);
    if (status == ODS_OK && own)
        status = mysql_offsets_forget(&sink->own, &sink->conn, false, offsets, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = look_at(sink, &tables[i], error);
    return status == ODS_OK && !look ? take_out(sink, tables, count, own, error) : status;
}
