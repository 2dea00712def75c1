/* The order of changes whose keys changed, for scattered shapes (struct shape).
 *
 * A source that tells of a changed key in one record puts it where the new key belongs. The old
 * key's partition is read at its own pace, maybe by another lane: it may bring the old row from
 * before the change afterwards, or a new row of that key before it. So the target keeps the newest
 * change of every key that took part in such a one (ods_sink.moved_keys), by the time of its record
 * in Kafka, in which a producer that reads one binlog does not go back, and by its order at the
 * source. A change that is older than what is kept, and of another partition, is void.
 *
 * Lanes take turns: one with a changed key in its batch is alone, until the batch is committed.
 * Entered by the writer thread.
 */
#ifndef MOVED_KEYS_H
#define MOVED_KEYS_H

#include "sink/postgres/write/attempt.h"

/* Once the plans are found: takes the plans of outdated changes away, and counts them. */
enum ods_status moved_keys_sort_out(struct attempt *attempt);
/* What is to be kept of the batch's keys, into the pipeline; where attempt->moves.noted says so. */
enum ods_status moved_keys_send(struct attempt *attempt);
/* The batch is committed, or given up for now. */
void moved_keys_release(struct attempt *attempt);

#endif
