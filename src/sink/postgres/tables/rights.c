/* See rights.h. */
#include "sink/postgres/tables/rights.h"

#include <stdio.h>
#include <string.h>

#include <ods/pipeline.h>

#include "sql/postgres/rehearsal_may_create.h"
#include "sql/postgres/rights_of_own.h"
#include "sql/postgres/rights_of_table.h"

/* A view's own triggers write its rows, but nothing truncates it. A table without a key to which
 * rows are only added needs no other right. */
static void wanted(char *array, size_t size, const struct pg_table *table,
                   const struct table_settings *settings, bool history)
{
    bool adds = history || (!catalog_key(table) && !table->is_view &&
                            settings->keyless == KEYLESS_APPEND);
    bool truncates = !history && !table->is_view && settings->on_truncate == ON_TRUNCATE_APPLY;
    snprintf(array, size, "{insert%s%s%s}", adds ? "" : ",select,update",
             !adds && settings->on_delete == ON_DELETE_HARD ? ",delete" : "",
             truncates ? ",truncate" : "");
}

static enum ods_status lacks(struct error *error, const char *target, const char *user,
                             const char *rights, const char *what)
{
    snprintf(error->code, sizeof error->code, "42501");
    return error_set(error, ODS_FATAL,
                     "target %s: the user %s lacks %s on %s: grant %s on %s to %s", target, user,
                     rights, what, rights, what, user);
}

static enum ods_status lacks_schema(struct error *error, const char *target, const char *user,
                                    const char *right, const char *schema)
{
    char what[256];
    snprintf(what, sizeof what, "schema %s", schema);
    return lacks(error, target, user, right, what);
}

enum ods_status rights_to_write(struct conn *conn, const char *target, const struct pg_table *table,
                                const struct table_settings *settings, bool history,
                                struct error *error)
{
    char rights[64];
    wanted(rights, sizeof rights, table, settings, history);
    const char *values[] = {table->schema, table->name, rights};
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, sql_rights_of_table, 3, values, &rows, error);
    if (status != ODS_OK)
        return status;
    if (PQntuples(rows) == 1) {
        const char *user = PQgetvalue(rows, 0, 2);
        if (PQgetvalue(rows, 0, 1)[0] != 't')
            status = lacks_schema(error, target, user, "usage", PQgetvalue(rows, 0, 3));
        else if (!PQgetisnull(rows, 0, 0))
            status = lacks(error, target, user, PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 4));
    }
    PQclear(rows);
    return status;
}

enum ods_status rights_to_create(struct conn *conn, const char *target, const char *schema,
                                 struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status =
        conn_query(conn, sql_rehearsal_may_create, 1, &schema, &rows, error);
    if (status != ODS_OK)
        return status;
    bool there = !PQgetisnull(rows, 0, 0);
    bool may = PQgetvalue(rows, 0, there ? 0 : 1)[0] == 't';
    char missing[32];
    snprintf(missing, sizeof missing, "%s", PQgetvalue(rows, 0, 2));
    PQclear(rows);
    if (may)
        return ODS_OK;
    snprintf(error->code, sizeof error->code, "42501");
    if (there)
        return error_set(error, ODS_FATAL,
                         "target %s: the user may not make a table in schema %s: grant %s on "
                         "the schema, or make the table",
                         target, schema, missing);
    return error_set(error, ODS_FATAL,
                     "target %s: schema %s is missing and the user may not make it: grant create "
                     "on the database, or make the schema",
                     target, schema);
}

enum ods_status rights_on_own(struct conn *conn, const char *target, struct error *error)
{
    const char *schema = conn->settings->schema;
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, sql_rights_of_own, 1, &schema, &rows, error);
    if (status != ODS_OK)
        return status;
    if (PQntuples(rows) == 1 && PQgetvalue(rows, 0, 1)[0] != 't') {
        status = lacks_schema(error, target, PQgetvalue(rows, 0, 2), "usage",
                              PQgetvalue(rows, 0, 3));
    } else if (PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0)) {
        snprintf(error->code, sizeof error->code, "42501");
        status = error_set(error, ODS_FATAL,
                           "target %s: the user %s lacks rights on tables of schema %s (%s): grant "
                           "select, insert, update, delete, truncate on all tables in schema %s to "
                           "%s",
                           target, PQgetvalue(rows, 0, 2), schema, PQgetvalue(rows, 0, 0),
                           PQgetvalue(rows, 0, 3), PQgetvalue(rows, 0, 2));
    }
    PQclear(rows);
    return status;
}
