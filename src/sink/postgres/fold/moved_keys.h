/* The order of changes whose keys changed, for scattered shapes (struct shape).
 *
 * A source that tells of a changed key in one record puts it where the new key belongs. The old
 * key's partition is read at its own pace, maybe by another lane: it may bring the old row from
 * before the change afterwards, or a new row of that key before it. So the target keeps the newest
 * change of every key that took part in such a one (ods_sink.moved_keys), by the time of its record
 * in Kafka, in which a producer that reads one binlog does not go back, and by its order at the
 * source. A change of another partition that is older than what is kept is outdated: it is not
 * applied.
 *
 * Where several consumers of one queue share out its records (`merges`), every key is such a one,
 * and changes are compared by their positions at the source, whichever partition they are of.
 *
 * Lanes take turns: one with a changed key in its batch is alone, until the batch is committed.
 * Entered by the writer thread.
 */
#ifndef MOVED_KEYS_H
#define MOVED_KEYS_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "sink/postgres/tables/plan.h"
#include "sink/postgres/values/encode.h"
#include "sink/postgres/wire/conn.h"

/* Of a lane. */
struct moved_keys {
    struct conn *conn;
    struct encoder *encoder;
    const char *group;       /* consumer group */
    struct arena arena;      /* what is known of one batch */
    struct buffer notes[7];  /* parameters of the statements */
    unsigned generation;     /* of the connection through which the table has been seen */
    int64_t pruned_us;       /* when old moments were deleted, 0: not yet */
    bool merges;             /* several consumers share the records out: of every key the newest
                                change is kept, by its position at the source */
    /* Of the batch at hand. */
    bool alone;     /* the lock is not shared with other lanes */
    bool known;     /* the members below are set */
    bool locked;    /* moved_keys_release() has to give the lock up */
    bool noted;     /* something is to be kept, in the rows' transaction */
    bool *outdated; /* by change: a newer one has come before it; NULL: none is outdated */
    bool *tracked;  /* by change: what is kept of its key depends on whether it is applied */
};

void moved_keys_init(struct moved_keys *moved, struct conn *conn, struct encoder *encoder,
                     const char *group);
void moved_keys_done(struct moved_keys *moved);

/* Called for each new batch, of which nothing is known yet. */
void moved_keys_begin(struct moved_keys *moved);
/* Called when each change has its plan: sets the plans of outdated changes to NULL, and counts
 * them. */
enum ods_status moved_keys_sort_out(struct moved_keys *moved, struct batch *batch,
                                    const struct plan **plans, uint64_t *outdated,
                                    struct error *error);
/* Puts the statement that stores what is to be kept into the pipeline. Only where `noted` is
 * set. */
enum ods_status moved_keys_send(struct moved_keys *moved, struct error *error);
/* Called when the batch is committed, or given up for now: gives the lock up. */
void moved_keys_release(struct moved_keys *moved);

#endif
