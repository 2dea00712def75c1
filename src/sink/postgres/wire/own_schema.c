/* The sink's own schema. See own_schema.h and sql/ods_sink.sql. */
#include "sink/postgres/wire/own_schema.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/quote.h"
#include "sql/ods_sink.h"
#include "sql/postgres/own_schema_is_there.h"
#include "sql/postgres/own_table_is_there.h"

#define OWN_SCHEMA "ods_sink"

bool own_schema_put(const struct conn *conn, const char *sql, struct buffer *out)
{
    char *quoted = quote_name(conn->settings->schema);
    const char *at = sql, *found;
    if (!quoted)
        return false;
    while ((found = strstr(at, OWN_SCHEMA))) {
        buffer_add(out, at, (size_t) (found - at));
        buffer_puts(out, quoted);
        at = found + strlen(OWN_SCHEMA);
    }
    buffer_puts(out, at);
    free(quoted);
    return !out->failed;
}

void own_schema_explain(const struct conn *conn, struct error *error)
{
    char said[ERROR_TEXT_BYTES];
    if (!error || strcmp(error->code, "42501") != 0)
        return;
    const char *user = conn->pg && PQuser(conn->pg) ? PQuser(conn->pg) : "the role";
    memcpy(said, error->text, sizeof said);
    error_set(
        error, ODS_FATAL,
        "%.500s; it is of the schema in which ods-sink keeps its offsets. After each run "
        "of " OWN_SCHEMA_FILE ", also at an upgrade, an administrator grants the rights again: "
        "grant usage on schema %.63s to %.63s; grant select, insert, update, delete, truncate "
        "on all tables in schema %.63s to %.63s",
        said, conn->settings->schema, user, conn->settings->schema, user);
}

enum ods_status own_query(struct conn *conn, const char *sql, int count, const char *const *values,
                          PGresult **result, struct error *error)
{
    struct buffer text;
    buffer_init(&text);
    enum ods_status status =
        own_schema_put(conn, sql, &text)
            ? conn_query(conn, buffer_text(&text), count, values, result, error)
            : error_set(error, ODS_RETRY, "out of memory");
    buffer_done(&text);
    if (status != ODS_OK)
        own_schema_explain(conn, error);
    return status;
}

static enum ods_status ask(struct conn *conn, const char *is_there, bool *present,
                           struct error *error)
{
    const char *values[] = {conn->settings->schema};
    PGresult *result = NULL;
    enum ods_status status = conn_query(conn, is_there, 1, values, &result, error);
    *present = status == ODS_OK && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    if (status != ODS_OK) /* a schema that may not be used can't even be asked for */
        own_schema_explain(conn, error);
    return status;
}

enum ods_status own_schema_is_there(struct conn *conn, bool *present, struct error *error)
{
    return ask(conn, sql_own_schema_is_there, present, error);
}

static enum ods_status make(struct conn *conn, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    /* Two lanes that start at once take turns. */
    buffer_puts(&sql, "begin; select pg_catalog.pg_advisory_xact_lock(7235498201); ");
    enum ods_status status =
        own_schema_put(conn, sql_ods_sink, &sql) ? ODS_OK
                                                 : error_set(error, ODS_RETRY, "out of memory");
    buffer_puts(&sql, "; commit");
    if (status == ODS_OK)
        status = conn_script(conn, buffer_text(&sql), error);
    buffer_done(&sql);
    if (status == ODS_FATAL)
        error_prefix(
            error,
            "schema %s for the stored offsets can't be made, or lacks a table that this "
            "version needs (run " OWN_SCHEMA_FILE " as an administrator, and grant the "
            "rights that it names in its first lines again): ",
            conn->settings->schema);
    if (status != ODS_OK && conn->pg)
        conn_script(conn, "rollback", NULL);
    return status;
}

enum ods_status own_schema_prepare_for(struct conn *conn, const char *is_there, struct error *error)
{
    bool present;
    enum ods_status status = ask(conn, is_there, &present, error);
    return status != ODS_OK || present ? status : make(conn, error);
}

enum ods_status own_schema_prepare(struct conn *conn, struct error *error)
{
    return own_schema_prepare_for(conn, sql_own_schema_is_there, error);
}

enum ods_status own_table_is_there(struct conn *conn, const char *table, bool *there,
                                   struct error *error)
{
    const char *values[] = {conn->settings->schema, table};
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, sql_own_table_is_there, 2, values, &rows, error);
    *there = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}

enum ods_status own_schema_prepare_table(struct conn *conn, const char *table, struct error *error)
{
    bool there;
    enum ods_status status = own_table_is_there(conn, table, &there, error);
    return status != ODS_OK || there ? status : make(conn, error);
}

/* --- statements with parameters in binary form ----------------------------------------------- */

struct call {
    struct conn_params params;
    const char *values[OWN_PARAMS];
    int lengths[OWN_PARAMS];
    struct buffer sql;
};

static enum ods_status call_init(struct call *call, struct conn *conn, const char *sql,
                                 const Oid *types, const struct buffer *values, int count,
                                 struct error *error)
{
    bool failed = false;
    for (int i = 0; i < count; i++) {
        failed |= values[i].failed;
        call->values[i] = values[i].bytes;
        call->lengths[i] = (int) values[i].length;
    }
    call->params = (struct conn_params){
        .count = count, .types = types, .values = call->values, .lengths = call->lengths};
    buffer_init(&call->sql);
    return !failed && own_schema_put(conn, sql, &call->sql)
               ? ODS_OK
               : error_set(error, ODS_RETRY, "out of memory");
}

enum ods_status own_send_params(struct conn *conn, const char *sql, const Oid *types,
                                const struct buffer *values, int count, struct error *error)
{
    struct call call;
    enum ods_status status = call_init(&call, conn, sql, types, values, count, error);
    if (status == ODS_OK)
        status = conn_send_params(conn, buffer_text(&call.sql), &call.params, error);
    buffer_done(&call.sql);
    return status;
}

enum ods_status own_query_params(struct conn *conn, const char *sql, const Oid *types,
                                 const struct buffer *values, int count, PGresult **result,
                                 struct error *error)
{
    struct call call;
    enum ods_status status = call_init(&call, conn, sql, types, values, count, error);
    if (status == ODS_OK)
        status = conn_query_params(conn, buffer_text(&call.sql), &call.params, result, error);
    if (status != ODS_OK)
        own_schema_explain(conn, error);
    buffer_done(&call.sql);
    return status;
}
