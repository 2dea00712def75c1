/* Reading a table's topics from their beginning into a table that is made anew. */
#ifndef RESYNC_H
#define RESYNC_H

#include "cli/signals.h"
#include "cli/table.h"
#include "pipeline/worker.h"

/* How far a partition has been read. */
struct resync_place {
    int64_t next;  /* the record that the new table lacks */
    int64_t chain; /* what is stored for it when all batches are in, or OFFSET_NONE */
    int64_t goal;  /* it is read up to here */
};

struct resync {
    struct table table; /* first */
    struct shadow shadow;
    struct pipeline_settings pipeline; /* as configured, but that the rows go into the shadow */
    struct arena texts;                /* what that names */
    struct worker_origin origin;
    struct format_helper *helper;
    struct worker worker;
    bool by_snapshot;
    struct signals signals; /* with it */
    struct kafka_tool **tools; /* one a topic: each reads */
    struct resync_place *places; /* one a partition, as table->positions */
    struct batch *batch;
    struct progress progress;
    uint64_t records, refused; /* read, and those that can't be applied */
    struct error refusal;      /* the first of them */
};

/* Called after shadow_make() and table_measure(). */
int resync_open(struct resync *resync, struct error *error);
void resync_close(struct resync *resync);
/* Read until the new table stands where table->positions do. A cli_exit; CLI_INTERRUPTED and such:
 * what is read so far is kept. */
int resync_catch_up(struct resync *resync, struct error *error);
/* How many records the new table is behind the group. */
int64_t resync_behind(const struct resync *resync);

/* A table that has not begun yet is to be read from where its topics end. */
int resync_start_at_ends(struct resync *resync, struct error *error);

/* --- resync_snapshot.c --- */

/* Which connector can be asked for all rows, and does it tell when it is done? `name` may be
 * NULL. */
int resync_choose_connector(struct resync *resync, const struct pipeline_settings *pipeline,
                            const char *name, const char *schema, const char *table,
                            struct error *error);
/* That of the table which is made anew, which must not be paused. */
int resync_find_connector(struct resync *resync, const char *name, struct error *error);
/* Asks for all rows, and reads until they are in the new table. */
int resync_take_snapshot(struct resync *resync, struct error *error);
/* Rows that are marked deleted, which no snapshot brings, from the old table. */
int resync_keep_deleted(struct resync *resync, struct error *error);

/* --- resync_rows.c --- */

/* Of a target that keeps no orders: all rows are asked for, and the group applies them in place.
 * `error` has why the table can't be exchanged, which is left there with CLI_NEGATIVE where this
 * can't be done either. */
int resync_rows(struct resync *resync, const char *connector, struct error *error);

#endif
