/* See rehearsal_look.h. */
#include "sink/postgres/tables/rehearsal_look.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sink/postgres/tables/rehearsal.h"
#include "sql/postgres/rehearsal_may_create.h"
#include "sql/postgres/rehearsal_table.h"

__attribute__((format(printf, 3, 4))) static enum ods_status
refuse(struct error *error, const char *code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(error, sqlstate_status(code), "%s", text);
    snprintf(error->code, sizeof error->code, "%s", code);
    error->fault = sqlstate_fault(code);
    return sqlstate_status(code);
}

enum ods_status rehearsal_may_create(struct ddl *ddl, bool *makes_schema, struct error *error)
{
    const char *schema = ddl->table->schema, *values[] = {schema};
    PGresult *rows = NULL;
    enum ods_status status =
        conn_query(ddl->conn, sql_rehearsal_may_create, 1, values, &rows, error);
    if (status != ODS_OK)
        return status;
    bool there = !PQgetisnull(rows, 0, 0), may_use = PQgetvalue(rows, 0, 0)[0] == 't';
    bool may_make = PQgetvalue(rows, 0, 1)[0] == 't';
    PQclear(rows);
    if (there && !may_use)
        return refuse(error, "42501", "permission denied for schema %s", schema);
    *makes_schema = !there && !rehearsal_made_schema(ddl->conn->rehearsal, schema);
    if (*makes_schema && !may_make)
        return refuse(error, "42501", "permission denied for database: schema %s can't be made",
                      schema);
    return ODS_OK;
}

/* "{"a","b"}" of the columns whose type changes. */
static void put_retyped(struct buffer *out, const struct ddl *ddl)
{
    bool any = false;
    buffer_puts(out, "{");
    for (size_t i = 0; i < ddl->count; i++) {
        if (ddl->changes[i].kind != DDL_RETYPE)
            continue;
        buffer_puts(out, any ? ",\"" : "\"");
        for (const char *at = ddl->changes[i].there->name; *at; at++) {
            if (*at == '"' || *at == '\\')
                buffer_puts(out, "\\");
            buffer_add(out, at, 1);
        }
        buffer_puts(out, "\"");
        any = true;
    }
    buffer_puts(out, "}");
}

static bool is_rekeyed(const struct ddl *ddl)
{
    return ddl->count && ddl->changes[0].kind == DDL_REKEY;
}

/* Would rows of the table share the new key, or lack one? Reads the table. */
static enum ods_status look_at_rows(struct ddl *ddl, const struct stand_in *stand_in,
                                    struct error *error)
{
    static const char words[] = "add primary key ";
    const char *key = strstr(ddl->changes[0].text, words);
    struct buffer sql;
    PGresult *rows = NULL;
    buffer_init(&sql);
    if (!key) /* the key only goes */
        return ODS_OK;
    key += strlen(words);
    buffer_printf(&sql,
                  "select exists (select from %s where not row%s is not null), "
                  "exists (select from %s group by %.*s having count(*) > 1)",
                  stand_in->quoted, key, stand_in->quoted, (int) strlen(key) - 2, key + 1);
    enum ods_status status = sql.failed
                                 ? error_out_of_memory(error)
                                 : conn_query(ddl->conn, buffer_text(&sql), 0, NULL, &rows, error);
    buffer_done(&sql);
    if (status != ODS_OK)
        return status;
    bool lacks = PQgetvalue(rows, 0, 0)[0] == 't', shares = PQgetvalue(rows, 0, 1)[0] == 't';
    PQclear(rows);
    if (lacks)
        return refuse(error, "23502", "a column of the key %s of %s contains null values", key,
                      stand_in->quoted);
    if (shares)
        return refuse(error, "23505", "could not create unique index on %s of %s", key,
                      stand_in->quoted);
    return ODS_OK;
}

enum ods_status rehearsal_look(struct ddl *ddl, const struct stand_in *stand_in, char **also,
                               struct error *error)
{
    struct buffer retyped;
    PGresult *rows = NULL;
    buffer_init(&retyped);
    put_retyped(&retyped, ddl);
    const char *values[] = {stand_in->schema, stand_in->table, buffer_text(&retyped)};
    enum ods_status status =
        retyped.failed ? error_out_of_memory(error)
                       : conn_query(ddl->conn, sql_rehearsal_table, 3, values, &rows, error);
    buffer_done(&retyped);
    if (status != ODS_OK)
        return status;
    const char *uses = PQgetvalue(rows, 0, 3), *refers = PQgetvalue(rows, 0, 5);
    if (!stand_in->owner)
        status = refuse(error, "42501", "must be owner of table %s", stand_in->table);
    else if (*uses)
        status = refuse(error, "0A000", "cannot alter type of a column of %s that is used by %s",
                        stand_in->quoted, uses);
    else if (is_rekeyed(ddl) && *refers)
        status = refuse(error, "2BP01", "cannot drop the key of %s: %s depends on it",
                        stand_in->quoted, refers);
    else if (!(*also = strdup(PQgetvalue(rows, 0, 4))))
        status = error_out_of_memory(error);
    PQclear(rows);
    if (status == ODS_OK && is_rekeyed(ddl) && !stand_in->is_new)
        status = look_at_rows(ddl, stand_in, error);
    return status;
}
