/* Where a partition starts, once the target has answered. Consumer thread.
 *
 * At the offset that the target has stored. Where it has none, the source may have one that was
 * acknowledged, by this pipeline or by another program that it takes over from. Another program's
 * is where to go on. One of this pipeline's says that the target had the records before it: if it
 * has no offset now, they are lost (a failover to a standby that lagged behind, a restored backup,
 * a crash of a server that commits asynchronously), and with them the rows. So with each
 * acknowledgement goes the record with which the target began, and there it begins again.
 */
#include "core/exit.h"
#include "pipeline/lane_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"

#define ACK_WAIT_MS 500
#define LATER_US    INT64_C(200000)

static struct partition *partition_of(struct lane *lane, const struct place *place)
{
    return assignment_find(&lane->assignment, place->topic, place->partition);
}

/* Is the acknowledged offset only what the target has stored? */
static bool target_stores(const struct lane *lane)
{
    return lane->worker.guarantee == EXACT_BY_STORED_OFFSET &&
           lane->source->ops->kind == SOURCE_OFFSETS;
}

int64_t locate_first(const struct lane *lane, const struct partition *partition)
{
    if (!target_stores(lane))
        return FIRST_UNTOLD;
    return partition->first == FIRST_UNTOLD ? FIRST_UNKNOWN : partition->first;
}

static void later(struct partition *partition)
{
    partition->not_before_us = time_monotonic_us() + LATER_US;
}

/* Before there is any transaction. False: it is not acknowledged yet. */
static bool ack_first(struct lane *lane, const struct partition *partition)
{
    const struct place place = {.topic = partition->topic,
                                .partition = partition->number,
                                .offset = partition->applied,
                                .first = locate_first(lane, partition)};
    lane->source->ops->ack(lane->source, &place, 1, ACK_WAIT_MS);
    return partition->acked == partition->applied;
}

/* Committed at once: after a crash before the first batch, "latest" is still this one. */
static void locate_at_end(struct lane *lane, struct partition *partition)
{
    struct error error;
    int64_t low, high;
    error_init(&error);
    if (lane->source->ops->ends(lane->source, partition->topic, partition->number, &low, &high,
                                &error) != ODS_OK) {
        lane_note_error(lane, error.text);
        later(partition);
        return;
    }
    partition->position = partition->applied = partition->first = high;
    if (rebalance_target_acks(lane) && !ack_first(lane, partition))
        later(partition);
    else
        partition->state = PARTITION_SEEKING;
}

/* Neither the target nor the group knows the partition. */
static void locate_by_policy(struct lane *lane, struct partition *partition)
{
    struct error error;
    const char *policy = lane->settings->kafka.auto_offset_reset;
    if (strcmp(policy, "earliest") == 0 || !lane->source->ops->acked) {
        partition->position = POSITION_BEGINNING;
        partition->state = PARTITION_SEEKING;
        return;
    }
    if (strcmp(policy, "latest") == 0) {
        locate_at_end(lane, partition);
        return;
    }
    error_init(&error);
    error_set(&error, ODS_FATAL,
              "topic %s partition %d: neither the target nor the group \"%s\" holds an offset, "
              "and kafka.auto_offset_reset is \"error\": set it to \"earliest\" or \"latest\"",
              partition->topic, (int) partition->number, lane->pipeline->group_id);
    lane_fail(lane, CLI_SOURCE, &error);
}

/* The target has no offset, and the source has this one. */
static void locate_acked(struct lane *lane, struct partition *partition, const struct place *acked)
{
    bool ours = target_stores(lane) && acked->first != FIRST_UNTOLD;
    partition->state = PARTITION_SEEKING;
    partition->position = partition->first = acked->offset;
    if (!ours || acked->first == acked->offset)
        return;
    char where[40] = "the oldest record";
    if (acked->first >= 0)
        snprintf(where, sizeof where, "offset %lld", (long long) acked->first);
    partition->first = acked->first;
    partition->position = acked->first >= 0 ? acked->first : POSITION_BEGINNING;
    log_event(LOG_WARN, LANE_FIELDS(lane),
              "topic %s partition %d: the target had the records below offset %lld and knows "
              "nothing of them any more (a failover, a restored backup, a crash): begins again at "
              "%s",
              partition->topic, (int) partition->number, (long long) acked->offset, where);
}

static void locate_answered(struct lane *lane, const struct place *acked)
{
    struct partition *partition = partition_of(lane, acked);
    bool known = lane->source->ops->acked && acked->offset >= 0;
    if (partition->stored != OFFSET_NONE) {
        partition->first = known && acked->first != FIRST_UNTOLD ? acked->first : FIRST_UNKNOWN;
        partition->state = PARTITION_SEEKING;
    } else if (known) {
        locate_acked(lane, partition, acked);
    } else {
        locate_by_policy(lane, partition);
    }
}

/* For partitions of which the target has no offset, or the source has not yet told with which
 * record it began. */
static void locate_by_source(struct lane *lane, struct place *places, size_t count)
{
    struct error error;
    enum ods_status status = ODS_OK;
    error_init(&error);
    if (lane->source->ops->acked)
        status = lane->source->ops->acked(lane->source, places, count, &error);
    if (status != ODS_OK)
        lane_note_error(lane, error.text);
    for (size_t i = 0; i < count; i++)
        if (status == ODS_OK)
            locate_answered(lane, &places[i]);
        else
            later(partition_of(lane, &places[i]));
}

void locate_partitions(struct lane *lane)
{
    size_t count, asked = 0;
    gaps_look(lane);
    struct place *places = rebalance_due(lane, PARTITION_LOCATING, DUE_AT_ONCE, &count);
    bool asks = target_stores(lane) && lane->source->ops->acked;
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &places[i]);
        partition->position = partition->stored;
        if (partition->stored != OFFSET_NONE && (!asks || partition->first != FIRST_UNTOLD))
            partition->state = PARTITION_SEEKING;
        else
            places[asked++] = places[i];
    }
    if (asked)
        locate_by_source(lane, places, asked);
    free(places);
}
