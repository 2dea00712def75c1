/* Sources of tables. See origin.h. */
#include "sink/postgres/tables/origin.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/rehearsal.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/history_claim.h"
#include "sql/postgres/rehearsal_unclaim.h"
#include "sql/postgres/table_claim.h"
#include "sql/postgres/table_is_shared.h"

/* Parameters of ods_sink.claim_table(); table_claim.sql takes two more. */
enum { CLAIM_PARAMS = 6 };

static void claim_values(const struct plan *plan, const char *values[CLAIM_PARAMS])
{
    const struct shape *shape = plan->shape;
    values[0] = plan->schema;
    values[1] = plan->name;
    values[2] = shape->schema[0] ? shape->database : "";
    values[3] = shape->schema[0] ? shape->schema : shape->database;
    values[4] = shape->table;
    values[5] = name_is_derived(plan->settings) ? "false" : "true";
}

static enum ods_status refuse(const struct plan *plan, const struct conn *conn,
                              const char *other, struct error *error)
{
    const char *values[CLAIM_PARAMS];
    claim_values(plan, values);
    const char *schema = values[3], *dot = *schema ? "." : "";
    return error_set(error, ODS_REJECT,
                     "table %s%s%s%s%s of the source would go into %s.%s of the target, which has "
                     "the rows of %.200s: give it another one with target: (or schema:) in "
                     "tables.yaml; if both are to be in one, say so, tables: { %s%s%s: { target: "
                     "%s.%s } }; if it is the same table under another name: delete from "
                     "%s.table_sources where table_schema = '%s' and table_name = '%s'",
                     values[2], *values[2] ? "." : "", schema, dot, values[4], plan->schema,
                     plan->name, other, schema, dot, values[4], plan->schema, plan->name,
                     conn->settings->schema, plan->schema, plan->name);
}

/* The claim as it would be answered behind those that the rehearsal has made; it is taken back.
 * *rows NULL: the sink has no schema yet. */
static enum ods_status rehearse(struct conn *conn, const char *const *values, PGresult **rows,
                                struct error *error)
{
    struct rehearsal *rehearsal = conn->rehearsal;
    const char *const *earlier;
    if (!rehearsal_has_own_schema(rehearsal))
        return ODS_OK;
    enum ods_status status = conn_script(conn, "begin", error);
    if (status == ODS_OK && rehearsal_made_table(rehearsal, values[0], values[1]))
        status = own_query(conn, sql_rehearsal_unclaim, 2, values, NULL, error);
    for (size_t i = 0; status == ODS_OK && (earlier = rehearsal_claim(rehearsal, i)); i++)
        if (strcmp(earlier[0], values[0]) == 0 && strcmp(earlier[1], values[1]) == 0)
            status = own_query(conn, sql_table_claim, CLAIM_PARAMS + 2, earlier, NULL, error);
    if (status == ODS_OK)
        status = own_query(conn, sql_table_claim, CLAIM_PARAMS + 2, values, rows, error);
    conn_script(conn, "rollback", NULL);
    if (status == ODS_OK && PQgetisnull(*rows, 0, 0) &&
        !rehearsal_keep_claim(rehearsal, values, CLAIM_PARAMS + 2))
        status = error_out_of_memory(error);
    return status;
}

enum ods_status origin_claim(struct plan *plan, const char *group, const char *topic,
                             struct conn *conn, struct error *error)
{
    const char *values[CLAIM_PARAMS + 4];
    PGresult *rows = NULL;
    char *schema = NULL, *table = NULL;
    bool history = plan->shape->history_of;
    enum ods_status status =
        history ? name_table(plan->configured, plan->shape, &schema, &table, error) : ODS_OK;
    claim_values(plan, values);
    values[CLAIM_PARAMS] = group;
    values[CLAIM_PARAMS + 1] = topic;
    values[CLAIM_PARAMS + 2] = schema;
    values[CLAIM_PARAMS + 3] = table;
    if (status == ODS_OK)
        status = conn->rehearsal
                     ? rehearse(conn, values, &rows, error)
                     : own_query(conn, history ? sql_history_claim : sql_table_claim,
                                 history ? CLAIM_PARAMS + 4 : CLAIM_PARAMS + 2, values, &rows,
                                 error);
    free(schema);
    free(table);
    if (status == ODS_OK && !rows) /* nothing can have been claimed */
        return ODS_OK;
    if (status == ODS_OK && !PQgetisnull(rows, 0, 0))
        status = refuse(plan, conn, PQgetvalue(rows, 0, 0), error);
    PQclear(rows);
    return status;
}

static void put_literal(struct buffer *sql, struct conn *conn, const char *text)
{
    char *literal = PQescapeLiteral(conn->pg, text, strlen(text));
    if (literal)
        buffer_puts(sql, literal);
    sql->failed |= !literal;
    PQfreemem(literal);
}

void origin_put_first(struct buffer *sql, const struct plan *plan, struct conn *conn)
{
    const char *values[CLAIM_PARAMS];
    char *own = quote_name(conn->settings->schema);
    claim_values(plan, values);
    sql->failed |= !own;
    buffer_printf(sql, "delete from %s.table_sources where table_schema = ", own ? own : "");
    put_literal(sql, conn, values[0]);
    buffer_puts(sql, " and table_name = ");
    put_literal(sql, conn, values[1]);
    buffer_printf(sql, "; select %s.claim_table(", own ? own : "");
    for (size_t i = 0; i < CLAIM_PARAMS; i++) {
        buffer_puts(sql, i ? ", " : "");
        put_literal(sql, conn, values[i]);
    }
    buffer_puts(sql, "); ");
    free(own);
}

enum ods_status origin_is_shared(const struct plan *plan, struct conn *conn, bool *shared,
                                 struct error *error)
{
    const char *values[] = {plan->schema, plan->name};
    PGresult *rows = NULL;
    *shared = plan->settings->pattern && !name_is_derived(plan->settings);
    if (*shared || (conn->rehearsal && !rehearsal_has_own_schema(conn->rehearsal)))
        return ODS_OK;
    enum ods_status status = own_query(conn, sql_table_is_shared, 2, values, &rows, error);
    *shared = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}
