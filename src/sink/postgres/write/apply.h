/* Writes a batch in one transaction. See apply.c. */
#ifndef APPLY_H
#define APPLY_H

#include <ods/sink.h>
#include "sink/postgres/control/control.h"
#include "sink/postgres/control/freshness.h"
#include "sink/postgres/fold/delivered.h"
#include "sink/postgres/fold/moved_keys.h"
#include "sink/postgres/write/loose.h"
#include "sink/postgres/write/offsets.h"
#include "sink/postgres/write/upsert.h"

/* An outage that only statements with rows have met, each time the same; see apply.c. */
struct doubt {
    char code[24];
    unsigned times; /* how often since the last batch that was applied */
    unsigned most;  /* after how many times rows are suspected, 0: not yet set */
};

/* The sink of one lane; entered by its writer thread. */
struct postgres {
    struct sink sink;
    struct sink_config config;
    struct session_settings session; /* of conn: the target's, as the source wants them */
    struct conn conn;
    unsigned generation; /* of the connection through which catalog and plans were read */
    struct catalog catalog;
    struct plans plans;
    struct encoder encoder;
    struct readings readings; /* the encoder's, for one batch */
    bool asks;                /* the last batch had texts for PostgreSQL to read */
    struct arena scratch; /* memory of one attempt */
    struct arrays arrays;
    struct loose_statement loose;
    struct buffer offsets[OFFSETS_PARAMS];
    struct moved_keys moved_keys;
    struct delivered delivered;
    struct doubt doubt;
    struct watching watching; /* used by the sink that watches for orders, */
    struct beats beats;       /* as is this */
    unsigned marks_seen;      /* generation of the connection in which marks had their tables */
    unsigned holds;           /* generation of the connection that holds the locks of its queues */
    unsigned looked;          /* generation of the connection in which orders were looked for */
    const struct plan **change_plans; /* by change */
    size_t change_plan_capacity;
};

/* Connects if necessary, and sees to it that the sink's own schema exists. */
enum ods_status postgres_ready(struct postgres *postgres, struct error *error);

enum ods_status apply_batch(struct postgres *postgres, struct batch *batch,
                            const struct apply_hooks *hooks, struct apply_result *result,
                            struct error *error);

#endif
