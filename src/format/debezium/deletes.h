/* The deletes among a partition's last records, so that the tombstone behind one is known to say
 * nothing new.
 *
 * What is known at an offset is a function of the DELETES_LOOK_BACK offsets below it and of nothing
 * else: who starts a partition in its middle hands those records in first (observe() in
 * ods/format.h). An offset that goes back begins anew. A partition takes memory from its first
 * delete on. One thread.
 */
#ifndef DELETES_H
#define DELETES_H

#include <stdbool.h>

#include <ods/batch.h>

#define DELETES_LOOK_BACK 16

struct partition_deletes;

/* Of one topic; zeroed it is empty. */
struct deletes {
    struct partition_deletes **items; /* sorted by partition */
    uint32_t count, capacity;
    struct partition_deletes *last; /* records come in runs of one partition */
};

void deletes_done(struct deletes *deletes);

/* What a record says of its key's row. */
enum tells { TELLS_ROW, TELLS_DELETE, TELLS_NOTHING };

/* Account for a record, once and in order. False: memory is out. */
bool deletes_note_slow(struct deletes *deletes, const struct record *record, enum tells tells);
static inline bool deletes_note(struct deletes *deletes, const struct record *record,
                                enum tells tells)
{
    if (!deletes->count && tells != TELLS_DELETE)
        return true;
    return deletes_note_slow(deletes, record, tells);
}

/* Was the last record with this one's key, shortly before it in its partition, a delete? */
bool deletes_has(struct deletes *deletes, const struct record *record);

#endif
