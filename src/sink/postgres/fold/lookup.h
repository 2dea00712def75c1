/* One row of the target by its key. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"
#include "sink/postgres/tables/plan.h"

/* Appends the condition: each column of the key equals its parameter, $1, $2 and so on. */
void lookup_where(struct buffer *sql, const struct plan *plan);

struct lookup_params {
    Oid types[PLAN_MAX_KEY + 1]; /* room for one parameter more */
    const char *values[PLAN_MAX_KEY + 1];
    int lengths[PLAN_MAX_KEY + 1];
    int count;
};

/* Fills the parameters of such a query. They point into the key, which is as fold_key() writes
 * it. */
void lookup_params(struct lookup_params *params, const struct plan *plan, const char *key);

static inline struct conn_params lookup_conn_params(const struct lookup_params *params)
{
    return (struct conn_params){.count = params->count,
                                .types = params->types,
                                .values = params->values,
                                .lengths = params->lengths};
}

#endif
