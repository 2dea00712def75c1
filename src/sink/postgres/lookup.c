/* See lookup.h. */
#include "sink/postgres/lookup.h"

#include <endian.h>
#include <string.h>

#define OID_BPCHAR 1042

void lookup_where(struct buffer *sql, const struct plan *plan)
{
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const struct pg_column *column = &plan->table->columns[plan->key_target[k]];
        buffer_printf(sql, "%s%s = $%u", k ? " and " : "", column->quoted, k + 1);
        if (column->encoding == ENCODE_CAST)
            buffer_printf(sql, "::%s", column->cast);
        else if (column->type == OID_BPCHAR)
            buffer_puts(sql, "::pg_catalog.bpchar");
    }
}

enum ods_status lookup_row(struct conn *conn, const char *sql, const struct plan *plan,
                           const struct buffer *key, PGresult **rows, struct error *error)
{
    Oid types[PLAN_MAX_KEY];
    const char *values[PLAN_MAX_KEY];
    int lengths[PLAN_MAX_KEY];
    const char *at = key->bytes;
    for (uint32_t k = 0; k < plan->key_count; k++) {
        uint32_t length;
        memcpy(&length, at, sizeof length);
        types[k] = plan->table->columns[plan->key_target[k]].element_type;
        lengths[k] = (int) be32toh(length);
        values[k] = at + sizeof length;
        at += sizeof length + be32toh(length);
    }
    const struct conn_params params = {
        .count = (int) plan->key_count, .types = types, .values = values, .lengths = lengths};
    return conn_query_params(conn, sql, &params, rows, error);
}
