/* A lane's instance of a target of type "delta" or "iceberg". */
#ifndef LAKE_H
#define LAKE_H

#include <stdatomic.h>

#include "sink/lake/fold.h"

struct lake_sink {
    struct sink sink;
    struct sink_config config;
    struct lake_store *store; /* NULL: it was not connected yet */
    struct lake_plans plans;
    struct arena scratch;
    struct lake_fold fold;
    const struct lake_plan **change_plans; /* by change of the batch */
    uint32_t change_plan_capacity;
    atomic_bool interrupted;
    atomic_int_fast64_t commits; /* of tables */
    struct lake_store *_Atomic told; /* of which it tells; NULL: another one does, or it has none */
};

/* Takes the store's mutex, with the engine loaded and the pipeline's own table open; without
 * `create` it is not made, and has no handle where there is none. ODS_RETRY: an outage, or an
 * interrupt while another lane has it. */
enum ods_status lake_enter(struct lake_sink *lake, bool create, struct error *error);
void lake_leave(struct lake_sink *lake);

enum ods_status lake_apply_batch(struct lake_sink *lake, struct batch *batch,
                                 const struct apply_hooks *hooks, struct apply_result *result,
                                 struct error *error);

#endif
