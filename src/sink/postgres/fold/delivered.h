/* Records of queues that the target has already (ods_sink.delivered, see sql/ods_sink.sql).
 *
 * A queue delivers again what was not settled, under another number. Before a batch is folded its
 * records are looked for by their identities, and those that are there are dropped; the others are
 * kept in the rows' transaction, where a record that another writer has committed since is refused
 * (SQLSTATE OS002): then the batch is looked through again. Entered by the writer thread.
 */
#ifndef DELIVERED_H
#define DELIVERED_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "sink/postgres/fold/counted.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/conn.h"

/* Of a lane. */
struct delivered {
    struct conn *conn;
    const char *group; /* consumer group */
    const struct delivered_settings *settings;
    struct arena arena;       /* what is known of one batch */
    struct buffer params[8];  /* of the statements */
    struct counted counted;   /* by what records are kept */
    unsigned generation;      /* of the connection through which the table has been seen */
    int64_t turned_us;        /* when a turn of the slots was last thought of */
    uint64_t kept;            /* records since then */
    bool told;                /* that the number comes before the time, or why there is no turn */
    /* Of the batch at hand. */
    bool known;   /* what follows has been found out */
    int64_t slot; /* that was written at the first look; -1: none */
    bool former;  /* an earlier version has kept records of its queues, all by their keys */
    unsigned char (*keys)[COUNTED_DIGEST_BYTES]; /* by record; of those that count if `former` */
    struct counted_place *places;                /* by record */
    bool *there; /* by record: it is in the target, or comes twice */
};

void delivered_init(struct delivered *delivered, struct conn *conn, const char *group,
                    const struct delivered_settings *settings);
void delivered_done(struct delivered *delivered);

/* Nothing is known of the batch that comes. */
static inline void delivered_begin(struct delivered *delivered)
{
    delivered->known = false;
}

/* Drop what is there from a batch of deliveries. */
enum ods_status delivered_sort_out(struct delivered *delivered, struct batch *batch,
                                   struct error *error);
/* Then: are all records of the next transaction there? */
bool delivered_all(const struct delivered *delivered, const struct batch *batch);
/* Changes of records that are dropped from the next transaction. */
uint64_t delivered_count(const struct delivered *delivered, const struct batch *batch);
/* What the next transaction is to keep of one of batch->deliveries, into the pipeline. *sent: there
 * is something. */
enum ods_status delivered_send(struct delivered *delivered, const struct batch *batch,
                               const struct claim *run, bool *sent, struct error *error);
/* The batch is committed: now and then the oldest records are let go. notice NULL: nobody
 * listens. */
void delivered_turn(struct delivered *delivered,
                    void (*notice)(void *context, const char *text), void *context);

#endif
