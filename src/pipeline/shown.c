/* What others are shown of a lane: its partitions, since when it waits for what, its memory. The
 * consumer thread renews it every second; status, metrics and the threads of a pipeline read it. */
#include <stdlib.h>

#include "core/time.h"
#include "pipeline/lane_room.h"

#define ENDS_US      INT64_C(10000)
#define ENDS_BETWEEN 16 /* ends that are asked for between two looks at the clock */

static const char *const state_names[] = {
    [PARTITION_ASKING] = "asking",     [PARTITION_ASKED] = "asking",
    [PARTITION_LOCATING] = "locating", [PARTITION_SEEKING] = "seeking",
    [PARTITION_ACTIVE] = "active",     [PARTITION_PAUSED] = "paused",
    [PARTITION_GONE] = "gone",
};

/* Of a queue it is known how many deliveries have been taken, and how many of those are
 * committed. */
static void show_deliveries(const struct partition *partition, struct lane_partition *shown)
{
    int64_t taken = partition->position < 0 ? 0 : partition->position;
    shown->position = shown->high = taken;
    shown->applied = partition->applied == OFFSET_NONE ? partition->begun : partition->applied;
}

static int64_t lag_of(const struct lane *lane, const struct lane_partition *shown)
{
    const struct source_ops *source = lane->source->ops;
    if (shown->high < 0 || shown->applied < 0)
        return -1;
    if (source->distance)
        return source->distance(shown->applied, shown->high);
    return shown->high < shown->applied ? 0 : shown->high - shown->applied;
}

/* The source may have to search for a partition among all of them, as Kafka's client has: with
 * thousands that would take longer than the second after which it is due again. Those that are at
 * their end need not be asked for; of the others as many are as there is time for, in turns. */
static void renew_ends(struct lane *lane)
{
    const struct assignment *assignment = &lane->assignment;
    int64_t until_us = time_monotonic_us() + ENDS_US;
    size_t first = lane->next_end, asked = 0;
    for (size_t i = 0; i < assignment->count; i++) {
        size_t at = (first + i) % assignment->count;
        struct partition *partition = assignment->items[at];
        bool late = asked && asked % ENDS_BETWEEN == 0 && time_monotonic_us() > until_us;
        if (consumer_is_at_end(lane, partition)) {
            partition->high = partition->end;
        } else if (!late) {
            partition->high = consumer_known_end(lane, partition);
            lane->next_end = at + 1;
            asked++;
        } else if (partition->high <= partition->position) {
            partition->high = -1; /* it has moved, and where it ends now is not known */
        }
    }
}

static void show_partitions(struct lane *lane)
{
    size_t count = 0;
    pthread_mutex_lock(&lane->mutex);
    if (lane->shown_capacity < lane->assignment.count) {
        struct lane_partition *larger =
            realloc(lane->shown, lane->assignment.count * sizeof *larger);
        if (larger) {
            lane->shown = larger;
            lane->shown_capacity = lane->assignment.count;
        }
    }
    for (size_t i = 0; i < lane->assignment.count && count < lane->shown_capacity; i++) {
        const struct partition *partition = lane->assignment.items[i];
        if (partition->state == PARTITION_GONE)
            continue;
        struct lane_partition *shown = &lane->shown[count++];
        *shown = (struct lane_partition){
            .topic = partition->topic,
            .number = partition->number,
            .state = state_names[partition->state],
            .paused = partition->state == PARTITION_PAUSED,
            .starts = partition->state <= PARTITION_SEEKING,
            .applied = partition->applied,
            .position = partition->position < 0 ? -1 : partition->position,
            .high = partition->high,
        };
        if (lane->source->ops->kind == SOURCE_DELIVERIES)
            show_deliveries(partition, shown);
        /* Nothing comes of it that would tell. */
        if (shown->paused)
            watch_place(lane->shared->watch, partition->topic, partition->number, &shown->applied,
                        &shown->high);
        shown->lag = lag_of(lane, shown);
    }
    lane->shown_count = count;
    lane->shown_us = time_monotonic_us();
    pthread_mutex_unlock(&lane->mutex);
}

static void note_since(atomic_int_fast64_t *since_us, bool is_so, int64_t now_us)
{
    if (!is_so || !atomic_load(since_us))
        atomic_store(since_us, is_so ? now_us : 0);
}

/* Since when the source is away, and records are put off. */
static void show_waits(struct lane *lane)
{
    struct source_state source;
    int64_t now_us = time_monotonic_us();
    bool waits = false;
    lane->source->ops->look(lane->source, &source);
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        waits |= partition->waits_at >= 0 && partition->position <= partition->waits_at &&
                 now_us - partition->waits_since_us >= PUT_OFF_US;
        waits |= partition_awaits(partition) &&
                 now_us - partition->awaits_since_us >= PUT_OFF_US;
    }
    note_since(&lane->source_away_us, source.away, time_wall_us());
    note_since(&lane->put_off_us, waits, time_wall_us());
}

static void show_memory(struct lane *lane)
{
    size_t idle_bytes = 0;
    for (size_t i = 0; i < lane->idle_count; i++)
        idle_bytes += batch_kept_bytes(lane->idle[i]);
    atomic_store(&lane->metrics.idle_bytes, idle_bytes);
    atomic_store(&lane->metrics.filling_bytes, lane->filling ? batch_bytes(lane->filling) : 0);
}

void shown_renew(struct lane *lane)
{
    renew_ends(lane);
    show_partitions(lane);
    show_waits(lane);
    show_memory(lane);
}
