/* Records that are read again later, and with them what follows in their partition: what the
 * decoder needs for them is missing, or what the target needs. Consumer thread. */
#include "core/log.h"
#include "core/time.h"
#include "core/traceparent.h"
#include "pipeline/lane_room.h"

void later_look(struct lane *lane)
{
    bool any = false;
    for (size_t i = 0; i < lane->assignment.count; i++)
        any |= partition_awaits(lane->assignment.items[i]);
    atomic_store(&lane->awaiting, any);
}

void later_note(struct lane *lane, const struct batch *batch)
{
    const struct record *record = &batch->records[batch->awaiting - 1];
    struct partition *partition =
        assignment_find(&lane->assignment, record->topic, record->partition);
    if (!partition)
        return;
    bool again = partition->awaits_at == record->offset;
    if (!again)
        partition->awaits_since_us = time_monotonic_us();
    partition->awaits_us = again ? 2 * partition->awaits_us : AWAIT_US;
    if (partition->awaits_us > AWAIT_MOST)
        partition->awaits_us = AWAIT_MOST;
    partition->awaits_at = record->offset;
    partition->awaits_until_us = 0;
    atomic_fetch_add(&lane->metrics.put_off, 1);
    later_look(lane);
}

/* The record, and those after it in its partition, are read again later. Other partitions go on,
 * and the lane stays in its group. */
static void read_later(struct lane *lane, struct partition *partition, const struct record *record,
                       int64_t since_us, int64_t until_us, const struct error *error)
{
    struct traceparent parent;
    int64_t offset = record->offset;
    int64_t now_us = time_monotonic_us();
    partition->waits_since_us = since_us;
    partition->waits_at = offset;
    /* What the helper only has to fetch comes within moments, and is nothing to be told of. */
    if (now_us - partition->waits_since_us >= PUT_OFF_US) {
        lane_note_error(lane, error->text);
        if (rare_due(&lane->putting_off)) {
            traceparent_of(&parent, lane->source->ops->headers, record);
            log_event(LOG_WARN, RECORD_FIELDS(lane, parent.trace),
                      "topic %s partition %d waits at offset %lld: %s", partition->topic,
                      (int) partition->number, (long long) offset, error->text);
        }
    }
    rebalance_pause(lane, partition);
    partition->state = PARTITION_SEEKING;
    partition->decoded = OFFSET_NONE; /* it has begun with the record that comes again */
    partition->not_before_us = until_us;
}

void later_put_off(struct lane *lane, struct partition *partition, const struct record *record,
                   const struct error *error)
{
    int64_t now_us = time_monotonic_us();
    bool again = partition->waits_at == record->offset;
    read_later(lane, partition, record, again ? partition->waits_since_us : now_us,
               now_us + PUT_OFF_US, error);
    atomic_fetch_add(&lane->metrics.put_off, 1);
    partition->put_off = true;
}

bool later_awaits(struct lane *lane, struct partition *partition, const struct record *record)
{
    struct error error;
    int64_t now_us = time_monotonic_us();
    if (!partition->awaits_until_us)
        partition->awaits_until_us = now_us + partition->awaits_us;
    if (now_us >= partition->awaits_until_us)
        return false;
    error_init(&error);
    error_set(&error, ODS_RETRY,
              "it changes a key and needs the row that had the old one, of which another partition "
              "may still bring changes");
    read_later(lane, partition, record, partition->awaits_since_us, partition->awaits_until_us,
               &error);
    return true;
}

void later_take_up(struct lane *lane)
{
    unsigned helped = atomic_load(&lane->shared->helped);
    if (helped == lane->helped)
        return;
    lane->helped = helped;
    for (size_t i = 0; i < lane->assignment.count; i++)
        if (lane->assignment.items[i]->put_off)
            lane->assignment.items[i]->not_before_us = 0;
}
