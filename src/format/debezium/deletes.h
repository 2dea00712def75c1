/* The deletes among a partition's last records, by which a tombstone that only follows its delete
 * is recognised.
 *
 * What is known at an offset depends on the DELETES_LOOK_BACK offsets before it and on nothing
 * else: whoever starts a partition in its middle passes these records in first (observe() in
 * ods/format.h). If the offset goes back, everything known is dropped. A partition takes memory
 * from its first delete on. One thread.
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

/* What a record says about the row of its key. */
enum tells { TELLS_ROW, TELLS_DELETE, TELLS_NOTHING };

/* To be called for each record, once and in order. False: memory is out. */
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
