/* Records that wait for what another partition of their topic is still to bring (batch_await()):
 * until when? What a record needs was written before it. So it waits until the target has all
 * records of the topic's other partitions that are not younger than it, by Kafka's times.
 *
 * Two records of one millisecond in two partitions would wait for each other. Of such a one only
 * what is older is waited for after a while, in partitions behind the record's own: in that order
 * there is no circle. And what was sent before a record may be there after it, so it is looked at
 * what there is when the record is a second old.
 *
 * Writer thread.
 */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include <ods/batch.h>
#include <ods/sink.h>
#include <ods/source.h>

struct arrival;

struct arrivals {
    struct arrival *items; /* of the partitions that have had such records */
    size_t count, capacity;
};

void arrivals_done(struct arrivals *arrivals);
/* Before the batch is applied: says of its runs what has arrived for them (struct claim). */
void arrivals_tell(struct arrivals *arrivals, struct sink *sink, struct batch *batch);
/* A record of the batch, batch->awaiting, has to wait. */
void arrivals_await(struct arrivals *arrivals, struct source *source, const struct batch *batch);

#endif
