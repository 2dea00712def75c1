/* Tables and offsets go in one transaction: whoever looks meanwhile sees all of it or nothing. */
#include "sink/postgres/write/forget.h"

#include <stdio.h>
#include <stdlib.h>

#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/forget_moved_keys.h"
#include "sql/postgres/forget_offsets.h"
#include "sql/postgres/forget_table.h"
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
    return forgotten->there ? read_number(&postgres->conn, sql_table_bytes, false, 2, values,
                                          &forgotten->bytes, error)
                            : ODS_OK;
}

/* What somebody else made is emptied and stays. */
static enum ods_status take_out(struct postgres *postgres, const struct forgotten *forgotten,
                                bool own_schema, struct error *error)
{
    struct pg_table *table;
    struct buffer sql;
    const char *values[] = {forgotten->schema, forgotten->table};
    enum ods_status status = catalog_find(&postgres->catalog, &postgres->conn, forgotten->schema,
                                          forgotten->table, &table, error);
    if (status == ODS_OK && table && forgotten->there) {
        buffer_init(&sql);
        buffer_printf(&sql, forgotten->made_here ? "drop table %s" : "delete from %s",
                      table->quoted);
        status = sql.failed ? error_out_of_memory(error)
                            : conn_query(&postgres->conn, buffer_text(&sql), 0, NULL, NULL, error);
        buffer_done(&sql);
        if (status != ODS_OK)
            error_prefix(error, "table %s.%s: ", forgotten->schema, forgotten->table);
    }
    if (status == ODS_OK && own_schema)
        status = own_query(&postgres->conn, sql_forget_table, 2, values, NULL, error);
    return status;
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
        status = own_schema_prepare(&postgres->conn, error); /* tables of older versions may lack */
    if (status == ODS_OK && own_schema && !look)
        status = own_schema_prepare_table(&postgres->conn, "moved_keys", error);
    if (status == ODS_OK && own_schema)
        status = read_number(&postgres->conn, sql_offsets_count, true, 1, group, offsets, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = look_at(postgres, &tables[i], error);
    return status == ODS_OK && !look ? take_out_all(postgres, tables, count, own_schema, error)
                                     : status;
}
