/* See lookup.h. */
#include "sink/postgres/fold/lookup.h"

#include <endian.h>
#include <string.h>

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

void lookup_params(struct lookup_params *params, const struct plan *plan, const char *key)
{
    for (uint32_t k = 0; k < plan->key_count; k++) {
        uint32_t length;
        memcpy(&length, key, sizeof length);
        params->types[k] = plan->table->columns[plan->key_target[k]].element_type;
        params->lengths[k] = (int) be32toh(length);
        params->values[k] = key + sizeof length;
        key += sizeof length + be32toh(length);
    }
    params->count = (int) plan->key_count;
}
