/* See audit.h. */
#include "sink/postgres/control/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/audit_begin.h"
#include "sql/postgres/audit_end.h"

enum ods_status audit_begin(struct conn *conn, const char *group, const struct audit *audit,
                            int64_t *id, struct error *error)
{
    struct buffer topics;
    PGresult *rows = NULL;
    quote_array(&topics, audit->topics);
    const char *values[] = {audit->who, audit->origin,        audit->action, group, audit->pipeline,
                            audit->table, buffer_text(&topics), audit->reason};
    enum ods_status status = topics.failed ? error_out_of_memory(error)
                                           : own_schema_prepare_table(conn, "audit", error);
    if (status == ODS_OK)
        status = own_query(conn, sql_audit_begin, 8, values, &rows, error);
    if (status == ODS_OK)
        *id = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    buffer_done(&topics);
    return status;
}

enum ods_status audit_end(struct conn *conn, int64_t id, const char *answer, struct error *error)
{
    char number[24];
    const char *values[] = {number, answer};
    PGresult *rows = NULL;
    snprintf(number, sizeof number, "%lld", (long long) id);
    enum ods_status status = own_query(conn, sql_audit_end, 2, values, &rows, error);
    PQclear(rows);
    return status;
}
