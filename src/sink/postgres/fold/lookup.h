/* One row of the target by its key. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"
#include "sink/postgres/tables/plan.h"

/* "$1", "$2" … against the key's columns. */
void lookup_where(struct buffer *sql, const struct plan *plan);

struct lookup_params {
    Oid types[PLAN_MAX_KEY + 1]; /* room for one parameter more */
    const char *values[PLAN_MAX_KEY + 1];
    int lengths[PLAN_MAX_KEY + 1];
    int count;
};

/* The parameters of such a query, of a key as fold_key() writes it, into which they point. */
void lookup_params(struct lookup_params *params, const struct plan *plan, const char *key);

static inline struct conn_params lookup_conn_params(const struct lookup_params *params)
{
    return (struct conn_params){.count = params->count,
                                .types = params->types,
                                .values = params->values,
                                .lengths = params->lengths};
}

#endif
