/* Orders about single tables, as a lane obeys them. Consumer thread.
 *
 * A partition that is held is PAUSED, and from there begins anew, so that it goes on where the
 * target stands then. A lane obeys when no batch of it covers such a partition any more: what was
 * taken before is applied. A batch that can't be applied, which may be why its table is paused, is
 * given up.
 */
#include "core/time.h"
#include "pipeline/lane_room.h"

#define PATIENCE_US INT64_C(1000000)

bool obey_knows(const struct lane *lane)
{
    return !lane->shared->watch || watch_number(lane->shared->watch) >= 0;
}

bool obey_holds(struct lane *lane, struct partition *partition)
{
    if (!lane->shared->watch || !watch_holds(lane->shared->watch, partition->topic))
        return false;
    partition->state = PARTITION_PAUSED;
    return true;
}

static void look_at_partitions(struct lane *lane)
{
    for (size_t i = 0; i < lane->assignment.count; i++) {
        struct partition *partition = lane->assignment.items[i];
        enum partition_state was = partition->state;
        if (was == PARTITION_GONE)
            continue;
        if (was == PARTITION_PAUSED && !watch_holds(lane->shared->watch, partition->topic))
            partition_restart(partition);
        else if (was != PARTITION_PAUSED && obey_holds(lane, partition) && was == PARTITION_ACTIVE)
            rebalance_pause(lane, partition);
    }
}

/* What an order holds may be about to be located anew instead of paused, where the cluster has
 * become another one meanwhile: its batches are under way all the same. */
static bool in_flight(const struct lane *lane)
{
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        if (partition->in_flight && partition->state != PARTITION_GONE &&
            (partition->state == PARTITION_PAUSED ||
             watch_holds(lane->shared->watch, partition->topic)))
            return true;
    }
    return false;
}

/* It goes at once, and never comes to hold records of the partition again. */
static void hand_over(struct lane *lane)
{
    for (uint32_t i = 0; lane->filling && i < lane->filling->claim_count; i++) {
        const struct claim *claim = &lane->filling->claims[i];
        const struct partition *partition =
            assignment_find(&lane->assignment, claim->topic, claim->partition);
        if (partition && partition->state == PARTITION_PAUSED)
            consumer_push(lane);
    }
}

static bool in_outage(const struct lane *lane)
{
    return !atomic_load(&lane->target_ready) || !atomic_load(&lane->letters_ready);
}

void obey_orders(struct lane *lane)
{
    struct watch *watch = lane->shared->watch;
    int64_t number = watch ? watch_number(watch) : -1;
    if (number < 0 || atomic_load_explicit(&lane->obeyed, memory_order_relaxed) == number)
        return;
    int64_t now_us = time_monotonic_us();
    if (lane->ordered != number) {
        lane->ordered = number;
        lane->ordered_us = now_us;
        look_at_partitions(lane);
        hand_over(lane);
        if (lane->source->ops->refresh)
            lane->source->ops->refresh(lane->source);
        /* It is seen in /status before it is confirmed. */
        lane->next_tick_us = 0;
        lane_wake(lane);
        return;
    }
    if (!in_flight(lane)) {
        atomic_store(&lane->obeyed, number);
        watch_wake(watch);
    } else if (in_outage(lane) && now_us - lane->ordered_us >= PATIENCE_US) {
        rebalance_abandon(lane);
    }
}
