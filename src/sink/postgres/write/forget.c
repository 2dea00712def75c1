/* Removes tables and offsets in one transaction: others see all of that or nothing. */
#include "sink/postgres/write/forget.h"

#include <stdio.h>
#include <stdlib.h>

#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/derived_mark_all.h"
#include "sql/postgres/forget_history.h"
#include "sql/postgres/forget_history_writers.h"
#include "sql/postgres/forget_moved_keys.h"
#include "sql/postgres/forget_offsets.h"
#include "sql/postgres/forget_orders.h"
#include "sql/postgres/forget_quality.h"
#include "sql/postgres/forget_shadows.h"
#include "sql/postgres/forget_silent.h"
#include "sql/postgres/forget_table.h"
#include "sql/postgres/forget_topics.h"
#include "sql/postgres/forget_touched.h"
#include "sql/postgres/forget_verify_runs.h"
#include "sql/postgres/forget_writers.h"
#include "sql/postgres/offsets_count.h"
#include "sql/postgres/table_bytes.h"

static enum ods_status read_number(struct conn *conn, const char *sql, bool own, int count,
                                   const char *const *values, int64_t *number, struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = own ? own_query(conn, sql, count, values, &rows, error)
                                 : conn_query(conn, sql, count, values, &rows, error);
    if (status != ODS_OK)
        return status;
    *number = PQgetisnull(rows, 0, 0) ? 0 : strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    return ODS_OK;
}

/* Where the sink's own schema has that table: a schema of an older version knows less. */
static enum ods_status ask(struct conn *conn, const char *own_table, const char *sql, int count,
                           const char *const *values, char *answer, size_t size,
                           struct error *error)
{
    bool there = false;
    PGresult *rows = NULL;
    *answer = '\0';
    enum ods_status status = own_table_is_there(conn, own_table, &there, error);
    if (status == ODS_OK && there)
        status = own_query(conn, sql, count, values, &rows, error);
    if (status == ODS_OK && there)
        snprintf(answer, size, "%s", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return status;
}

/* Only what this group has brought may go: rows of others are theirs. */
static enum ods_status look_whose(struct postgres *postgres, struct forgotten *forgotten,
                                  struct error *error)
{
    struct conn *conn = &postgres->conn;
    const char *values[] = {forgotten->schema, forgotten->table, postgres->config.group};
    char touched[2];
    enum ods_status status = ask(conn, "topic_tables", sql_forget_writers, 3, values,
                                 forgotten->writers, sizeof forgotten->writers, error);
    if (status == ODS_OK && !*forgotten->writers)
        status = ask(conn, "history_tables", sql_forget_history_writers, 3, values,
                     forgotten->writers, sizeof forgotten->writers, error);
    if (status == ODS_OK)
        status = ask(conn, "table_sources", sql_forget_touched, 2, values, touched, sizeof touched,
                     error);
    if (status == ODS_OK)
        forgotten->untouched = !forgotten->made_here && *touched != 't';
    return status;
}

static enum ods_status look_at(struct postgres *postgres, struct forgotten *forgotten,
                               struct error *error)
{
    struct pg_table *table;
    const char *values[] = {forgotten->schema, forgotten->table};
    enum ods_status status = catalog_find(&postgres->catalog, &postgres->conn, forgotten->schema,
                                          forgotten->table, &table, error);
    if (status != ODS_OK)
        return status;
    forgotten->there = table && !table->is_view;
    forgotten->made_here = table && table->made_by_us;
    status = forgotten->there ? look_whose(postgres, forgotten, error) : ODS_OK;
    if (status != ODS_OK)
        return status;
    return forgotten->there ? read_number(&postgres->conn, sql_table_bytes, false, 2, values,
                                          &forgotten->bytes, error)
                            : ODS_OK;
}

/* Drops a table that the sink made. One that somebody else made is only emptied. */
static enum ods_status take_out(struct postgres *postgres, const struct forgotten *forgotten,
                                bool own_schema, struct error *error)
{
    struct pg_table *table;
    struct buffer sql;
    const char *values[] = {forgotten->schema, forgotten->table};
    if (forgotten->untouched || *forgotten->writers)
        return ODS_OK;
    enum ods_status status = catalog_find(&postgres->catalog, &postgres->conn, forgotten->schema,
                                          forgotten->table, &table, error);
    if (status == ODS_OK && own_schema)
        status = own_query(&postgres->conn, sql_forget_history, 2, values, NULL, error);
    if (status == ODS_OK && table && forgotten->there) {
        buffer_init(&sql);
        buffer_printf(&sql, forgotten->made_here ? "drop table %s" : "delete from %s",
                      table->quoted);
        status = sql.failed ? error_out_of_memory(error)
                            : conn_query(&postgres->conn, buffer_text(&sql), 0, NULL, NULL, error);
        buffer_done(&sql);
        if (status != ODS_OK)
            error_prefix(error, "table %s.%s: ", forgotten->schema, forgotten->table);
        bool marks = false; /* of one that is gone the new one tells */
        if (status == ODS_OK && !forgotten->made_here)
            status = own_table_is_there(&postgres->conn, "derived_marks", &marks, error);
        if (status == ODS_OK && marks)
            status = own_query(&postgres->conn, sql_derived_mark_all, 2, values, NULL, error);
    }
    if (status == ODS_OK && own_schema)
        status = own_query(&postgres->conn, sql_forget_table, 2, values, NULL, error);
    return status;
}

/* What the group has in a table of the sink's own schema, if a schema of that version has it. */
static enum ods_status take_out_own(struct conn *conn, const char *own_table, const char *sql,
                                    const char *group, struct error *error)
{
    bool there = false;
    enum ods_status status = own_table_is_there(conn, own_table, &there, error);
    return status == ODS_OK && there ? own_query(conn, sql, 1, &group, NULL, error) : status;
}

static enum ods_status take_out_all(struct postgres *postgres, const struct forgotten *tables,
                                    size_t count, bool own_schema, struct error *error)
{
    struct conn *conn = &postgres->conn;
    const char *group[] = {postgres->config.group};
    enum ods_status status = conn_query(conn, "begin", 0, NULL, NULL, error);
    if (status == ODS_OK && own_schema)
        status = own_query(conn, sql_forget_offsets, 1, group, NULL, error);
    if (status == ODS_OK && own_schema)
        status = own_query(conn, sql_forget_moved_keys, 1, group, NULL, error);
    if (status == ODS_OK && own_schema)
        status = take_out_own(conn, "topic_tables", sql_forget_topics, *group, error);
    if (status == ODS_OK && own_schema)
        status = take_out_own(conn, "table_control", sql_forget_orders, *group, error);
    if (status == ODS_OK && own_schema)
        status = take_out_own(conn, "shadows", sql_forget_shadows, *group, error);
    if (status == ODS_OK && own_schema)
        status = take_out_own(conn, "silent_partitions", sql_forget_silent, *group, error);
    if (status == ODS_OK && own_schema)
        status = take_out_own(conn, "verify_runs", sql_forget_verify_runs, *group, error);
    if (status == ODS_OK && own_schema)
        status = take_out_own(conn, "quality", sql_forget_quality, *group, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = take_out(postgres, &tables[i], own_schema, error);
    if (status == ODS_OK)
        status = conn_query(conn, "commit", 0, NULL, NULL, error);
    if (status != ODS_OK)
        conn_close(conn); /* which rolls back */
    return status;
}

enum ods_status forget_group(struct postgres *postgres, struct forgotten *tables, size_t count,
                             bool look, int64_t *offsets, struct error *error)
{
    const char *group[] = {postgres->config.group};
    bool own_schema = false;
    *offsets = 0;
    enum ods_status status = conn_open(&postgres->conn, error);
    if (status == ODS_OK)
        status = own_table_is_there(&postgres->conn, "offsets", &own_schema, error);
    if (status == ODS_OK && own_schema && !look)
        status = own_schema_prepare(&postgres->conn, error); /* adds tables of newer versions */
    if (status == ODS_OK && own_schema && !look)
        status = own_schema_prepare_table(&postgres->conn, "moved_keys", error);
    if (status == ODS_OK && own_schema)
        status = read_number(&postgres->conn, sql_offsets_count, true, 1, group, offsets, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = look_at(postgres, &tables[i], error);
    return status == ODS_OK && !look ? take_out_all(postgres, tables, count, own_schema, error)
                                     : status;
}
