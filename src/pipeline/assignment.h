/* The partitions of one lane and where each stands. Owned and entered by one thread.
 *
 * A partition that was revoked stays as GONE until the last batch that covers it is back, so that
 * late answers always find what they belong to.
 */
#ifndef ASSIGNMENT_H
#define ASSIGNMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/source.h>

enum partition_state {
    PARTITION_ASKING,   /* the target's offset is to be asked for */
    PARTITION_ASKED,    /* the request is with the writer */
    PARTITION_LOCATING, /* the target has answered; where to start in the source is to be settled */
    PARTITION_SEEKING,  /* the position is known, fetching is yet to start there */
    PARTITION_ACTIVE,   /* records are taken; those below `position` as context alone */
    PARTITION_PAUSED,   /* held by an order about its table; begins anew when that is over */
    PARTITION_GONE,     /* not ours any more */
};

struct partition {
    const char *topic; /* interned, terminated, as old as the assignment table */
    int32_t number;
    enum partition_state state;
    int64_t stored;     /* the target's offset when last asked, or OFFSET_NONE */
    int64_t stored_us;  /* when it was stored; 0: not known, or it needs no more looking at */
    const char *cluster; /* whose offset the stored one is, interned; NULL: not known, or it is
                            looked at */
    int64_t chain;      /* what the target holds when all batches before are in, or OFFSET_NONE */
    int64_t position;   /* next record to take, or POSITION_BEGINNING */
    int64_t applied;    /* what the target holds for certain, or OFFSET_NONE */
    int64_t begun;      /* of deliveries: the first one since the last start */
    int64_t acked;      /* what the source has taken as acknowledged, or OFFSET_NONE */
    int64_t first;      /* the record with which the target began; FIRST_UNTOLD: the source has not
                           been asked yet; FIRST_UNKNOWN */
    int64_t decoded;    /* the decoder knows what stands before it, or OFFSET_NONE */
    bool looks_back;    /* the decoder is to see the records before `position` first */
    unsigned in_flight; /* batches with the writer that cover it */
    unsigned fences;    /* in a row */
    int64_t not_before_us; /* nothing is tried earlier */
    int64_t waits_at;      /* the offset of the record that was put off last; -1: none */
    int64_t waits_since_us;
    bool put_off;          /* unless the format's helper has news */
    int64_t awaits_at;     /* the offset of the record that the target can't take yet; -1: none */
    int64_t awaits_since_us, awaits_us; /* since when, and for how long this time */
    int64_t awaits_until_us;            /* 0: it has not come again yet */
    int64_t end;           /* where the source said last that there is no more; -1: it has not */
    int64_t high;          /* the end of it as shown; -1: not known */
};

struct assignment {
    struct partition **items; /* sorted by topic and number */
    size_t count, capacity;
    char **topics; /* interned, sorted */
    size_t topic_count, topic_capacity;
    struct partition *last; /* records come in runs of one partition */
};

void assignment_init(struct assignment *assignment);
void assignment_done(struct assignment *assignment);

/* NULL: not there. GONE ones are found too. */
struct partition *assignment_find(struct assignment *assignment, const char *topic, int32_t number);
/* In state ASKING, whether new or back again. NULL when memory is out. */
struct partition *assignment_add(struct assignment *assignment, const char *topic, int32_t number);
/* Does a record of it have to wait? (`awaits_at`: not one that an order has passed over since.) */
static inline bool partition_awaits(const struct partition *partition)
{
    return partition->awaits_at >= 0 && partition->applied <= partition->awaits_at &&
           partition->state != PARTITION_GONE;
}
/* Forget those that are GONE and not in flight. */
void assignment_sweep(struct assignment *assignment);
/* Back to ASKING unless GONE: what was taken but not applied will be read again. */
void partition_restart(struct partition *partition);
/* The topic's, or another name's, one pointer, made at first sight; NULL when memory is out. */
const char *assignment_intern(struct assignment *assignment, const char *topic);

#endif
