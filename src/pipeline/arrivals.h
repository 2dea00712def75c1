/* Records that wait for what another partition of their topic is still to bring (batch_await()):
 * until when? All that the topic had when the first of them was met must be in the target. Those
 * that the partition had by then need wait for nothing more.
 *
 * What belongs together is sent to several partitions one after the other, and the first may be
 * seen before the last is there. So what the topic has is looked at when the record is a second
 * old.
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
