/* What librdkafka does wrong in some versions, and what is done about it. Which version it is, the
 * library that runs is asked: a program may meet a newer one than it was compiled with.
 *
 *   its broker threads sleep for up to a second           below 2.2    struct kafka_nudge
 *   it fails an assertion when closed while it joins      below 2.8    kafka_closes_while_joining()
 *   a member that joins in another's round makes it wait  seen in 2.0  pipeline/consumer.c: one
 *   a second before it joins again                                     lane joins first
 *   a topic that comes while partitions are given back    2.0          kafka_topics.c looks for
 *   makes a member deaf to its group                                   topics itself
 *   a consumer that is closed with an assignment   seen in 2.0         leave_group() ends
 *   waiting for its callback may never end                             the rebalance first
 *   one whose cluster was made anew under it       seen in 2.0         kafka_cluster() has it not
 *   may never end                                                      be closed
 *   sharing partitions out and looking one up      seen in 2.0         kafka_conf.c: long sessions,
 *   takes as long as there are many, and no                            lane_room.h: DUE_AT_ONCE,
 *   heartbeat is sent meanwhile                                        shown.c: renew_ends()
 *
 * The last five stay with every version: where they are not needed they cost nothing, and
 * librdkafka's own patterns could not leave the dead letters out, nor say which topics are missing.
 */
#ifndef KAFKA_WORKAROUNDS_H
#define KAFKA_WORKAROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

/* fetch.queue.backoff.ms is there: a thread whose queue was full looks again by itself. */
bool kafka_wakes_itself(void);
/* A consumer may be closed between its joining and its first assignment. */
bool kafka_closes_while_joining(void);

/* Wakes the threads that are to fetch, where kafka_wakes_itself() is false; else it does nothing.
 * Belongs to a consumer's thread. */
struct kafka_nudge {
    bool needed;
    size_t queue_peak;  /* messages waiting at most since fetching was last asked for */
    size_t taken_bytes; /* since then */
    int64_t starting_until_us, next_us;
};
void kafka_nudge_init(struct kafka_nudge *nudge);
void kafka_nudge_starting(struct kafka_nudge *nudge); /* partitions have just been started */
int64_t kafka_nudge_patience_ms(const struct kafka_nudge *nudge);
void kafka_nudge_now(struct kafka_nudge *nudge, rd_kafka_t *rk, rd_kafka_queue_t *queue);

#endif
