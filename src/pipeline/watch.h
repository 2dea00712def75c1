/* Watches for orders about single tables: one thread a pipeline, with a session of its own in the
 * target, which keeps the orders (ods/control.h). About once a second it reads them, wakes the
 * lanes when there are new ones, and tells the target when all lanes obey. While a table is held
 * it also asks how far the target is behind, since nobody reads those partitions.
 *
 * What a lane does about an order is in obey.c.
 */
#ifndef WATCH_H
#define WATCH_H

#include <ods/control.h>
#include <ods/sink.h>
#include "pipeline/lane.h"
#include "pipeline/worker.h"

struct fleet;
struct watch;

/* *watch NULL: the target keeps no orders. The origin outlives it. */
enum ods_status watch_open(struct watch **watch, const struct worker_origin *origin,
                           struct error *error);
/* Behind the lanes, which outlive it. */
enum ods_status watch_start(struct watch *watch, struct lane *const *lanes, size_t count,
                            struct error *error);
void watch_leave(struct watch *watch); /* the thread is to end; returns at once; NULL is fine */
void watch_stop(struct watch *watch);  /* it has ended; NULL is fine */
void watch_close(struct watch *watch); /* NULL is fine */

/* Any thread, from here on. */

/* Number of the last order that is known; -1: they could not be read yet. */
int64_t watch_number(const struct watch *watch);
bool watch_holds(struct watch *watch, const char *topic);
void watch_wake(struct watch *watch); /* a lane obeys */

/* Of a partition that is held: what the target has of it and where it ends. False: not known yet.
 * */
bool watch_place(struct watch *watch, const char *topic, int32_t partition, int64_t *stored,
                 int64_t *end);

/* The group's processes, as they told the target. NULL: the target keeps nothing of it. */
struct fleet *watch_fleet(struct watch *watch);

/* Up to when a topic of the group is complete, by the source's clock; INT64_MIN: not known, or the
 * target does not keep it. */
int64_t watch_complete_us(struct watch *watch, const char *topic);

/* What is held, with the records that wait in all of the topic's partitions, whoever has them. */
struct watch_held {
    const struct order *order;
    int64_t backlog; /* -1: not known yet */
};
/* *count of them, in the watch's lock; see watch_unlock(). */
const struct watch_held *watch_lock(struct watch *watch, size_t *count);
void watch_unlock(struct watch *watch);

#endif
