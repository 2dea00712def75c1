/* See shadow.h. The functions in sql/ods_sink.sql do the work, one transaction each. */
#include "sink/postgres/control/shadow.h"

#include <stdio.h>
#include <stdlib.h>

#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/shadow_count.h"
#include "sql/postgres/shadow_drop.h"
#include "sql/postgres/shadow_exchange.h"
#include "sql/postgres/shadow_keep.h"
#include "sql/postgres/shadow_make.h"

/* Refuses for the reason in this column, if there is one. */
static enum ods_status refused(const PGresult *rows, int column, struct error *error)
{
    return PQgetisnull(rows, 0, column)
               ? ODS_OK
               : error_set(error, ODS_REJECT, "%s", PQgetvalue(rows, 0, column));
}

enum ods_status shadow_make(struct conn *conn, const char *group, struct shadow *shadow,
                            bool *begun, struct error *error)
{
    const char *values[] = {group, shadow->schema, shadow->table, shadow->group,
                            shadow->in_place ? "true" : "false"};
    PGresult *rows = NULL;
    /* The next statement of this session takes longer the larger the table is. */
    enum ods_status status = conn_script(conn, "set statement_timeout = 0", error);
    if (status == ODS_OK)
        status = own_query(conn, sql_shadow_make, 5, values, &rows, error);
    if (status == ODS_OK)
        status = refused(rows, 2, error);
    if (status == ODS_OK) {
        snprintf(shadow->name, sizeof shadow->name, "%s", PQgetvalue(rows, 0, 0));
        *begun = PQgetvalue(rows, 0, 1)[0] == 't';
    }
    PQclear(rows);
    return status;
}

enum ods_status shadow_count(struct conn *conn, const struct shadow *shadow, int64_t *old,
                             int64_t *new, struct error *error)
{
    const char *values[] = {shadow->schema, shadow->table, shadow->name};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_shadow_count, 3, values, &rows, error);
    if (status == ODS_OK) {
        *old = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
        *new = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    }
    PQclear(rows);
    return status;
}

enum ods_status shadow_keep(struct conn *conn, const struct shadow *shadow, const char *operation,
                            struct error *error)
{
    const char *values[] = {shadow->schema, shadow->table, shadow->name, operation};
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, sql_shadow_keep, 4, values, &rows, error);
    if (status == ODS_OK && PQntuples(rows) && !PQgetisnull(rows, 0, 0))
        status = conn_script(conn, PQgetvalue(rows, 0, 0), error);
    PQclear(rows);
    return status;
}

enum ods_status shadow_exchange(struct conn *conn, const char *group, const struct shadow *shadow,
                                const struct control_request *request, int64_t held,
                                enum exchange *exchange, int64_t *number, struct error *error)
{
    char order[24];
    struct buffer topics;
    PGresult *rows = NULL;
    snprintf(order, sizeof order, "%lld", (long long) held);
    quote_array(&topics, &request->topics);
    const char *values[] = {group,
                            buffer_text(&topics),
                            order,
                            shadow->schema,
                            shadow->table,
                            shadow->in_place ? "true" : "false",
                            order_state_name(request->state),
                            request->table,
                            request->reason,
                            request->by};
    enum ods_status status = topics.failed
                                 ? error_out_of_memory(error)
                                 : own_query(conn, sql_shadow_exchange, 10, values, &rows, error);
    if (status == ODS_OK)
        status = refused(rows, 1, error);
    if (status == ODS_OK) {
        *exchange = PQgetvalue(rows, 0, 2)[0] == 't' ? EXCHANGE_BEHIND : EXCHANGED;
        *number = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    }
    PQclear(rows);
    buffer_done(&topics);
    return status;
}

enum ods_status shadow_drop(struct conn *conn, const struct shadow *shadow, bool *there,
                            struct error *error)
{
    const char *values[] = {shadow->schema, shadow->table};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_shadow_drop, 2, values, &rows, error);
    *there = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}
