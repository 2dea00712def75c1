/* Partitions coming and going, and where each starts. Consumer thread; the two callbacks run inside
 * kafka_poll() or kafka_leave().
 *
 * A new partition goes ASKING → ASKED → LOCATING → SEEKING → ACTIVE. The question for the target's
 * offsets travels through the same queue as the batches, so its answer always counts what was
 * handed over before it, and a target that is away keeps the writer waiting, never the group.
 */
#include "core/exit.h"
#include "pipeline/lane_room.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"

#define REVOKE_WAIT_US  INT64_C(10000000) /* for batches that are being applied */
#define OUTAGE_WAIT_US  INT64_C(1000000)  /* the target is away: no use in waiting longer */
#define ABANDON_WAIT_US INT64_C(2000000)  /* for an interrupted writer to come back */
#define COMMIT_WAIT_MS  500
#define LATER_US        INT64_C(200000)

void rebalance_assigned(void *context, const rd_kafka_topic_partition_list_t *partitions)
{
    struct lane *lane = context;
    atomic_fetch_add(&lane->metrics.rebalances, 1);
    atomic_store(&lane->shared->led, true);
    for (int i = 0; i < partitions->cnt; i++)
        if (!assignment_add(&lane->assignment, partitions->elems[i].topic,
                            partitions->elems[i].partition)) {
            struct error error;
            error_init(&error);
            error_set(&error, ODS_FATAL, "out of memory for a partition of %s",
                      partitions->elems[i].topic);
            lane_fail(lane, CLI_INTERNAL, &error);
        }
}

static bool any_in_flight(struct lane *lane, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++) {
        const struct partition *partition = assignment_find(
            &lane->assignment, partitions->elems[i].topic, partitions->elems[i].partition);
        if (partition && partition->in_flight)
            return true;
    }
    return false;
}

static void wait_for_batches(struct lane *lane, const rd_kafka_topic_partition_list_t *partitions,
                             int64_t at_most_us, bool patient)
{
    int64_t started_us = time_monotonic_us(), now_us = started_us;
    while (any_in_flight(lane, partitions) && now_us - started_us < at_most_us) {
        bool away = atomic_load(&lane->writer_state) == LANE_WAITING;
        if (patient && away && now_us - started_us >= OUTAGE_WAIT_US)
            return;
        if (patient && (atomic_load(&lane->failed) || atomic_load(&lane->abandon)))
            return;
        struct batch *batch = queue_take_done(lane->queue, 50);
        if (batch)
            consumer_take_back(lane, batch);
        now_us = time_monotonic_us();
        atomic_store(&lane->consumer_beat_us, now_us);
    }
}

/* Every batch with the writer is given up. Those that it commits nevertheless are harmless: the
 * next owner starts where the target stands then, or is fenced and asks again. */
static void abandon_batches(struct lane *lane)
{
    for (size_t i = 0; i < lane->slot_count; i++)
        if (!lane->slots[i].is_request)
            atomic_store(&lane->slots[i].abandoned, true);
    lane->worker.sink->ops->interrupt(lane->worker.sink);
    if (lane->deadletter)
        lane->deadletter->ops->interrupt(lane->deadletter);
    lane_wake_writer(lane);
}

static void forget(struct lane *lane, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++) {
        struct partition *partition = assignment_find(&lane->assignment, partitions->elems[i].topic,
                                                      partitions->elems[i].partition);
        if (partition)
            partition->state = PARTITION_GONE;
    }
    assignment_sweep(&lane->assignment);
}

static bool filling_covers(struct lane *lane, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; lane->filling && i < partitions->cnt; i++)
        for (uint32_t j = 0; j < lane->filling->range_count; j++)
            if (lane->filling->ranges[j].partition == partitions->elems[i].partition &&
                strcmp(lane->filling->ranges[j].topic, partitions->elems[i].topic) == 0)
                return true;
    return false;
}

/* What is being filled is dropped rather than hurried to the target: the next owner reads it again
 * at once. What the writer has is waited for, within reason. */
void rebalance_revoked(void *context, const rd_kafka_topic_partition_list_t *partitions, bool lost)
{
    struct lane *lane = context;
    atomic_fetch_add(&lane->metrics.rebalances, 1);
    if (filling_covers(lane, partitions))
        consumer_discard_filling(lane);
    if (!lost)
        wait_for_batches(lane, partitions, REVOKE_WAIT_US, true);
    if (any_in_flight(lane, partitions)) {
        log_event(LOG_WARN, LANE_FIELDS(lane),
                  "gives up batches that cover %s partitions; their "
                  "next owner reads them again",
                  lost ? "lost" : "revoked");
        abandon_batches(lane);
        wait_for_batches(lane, partitions, ABANDON_WAIT_US, false);
    }
    /* Waited for: behind the request to join again it would come with an old generation. */
    if (!lost)
        rebalance_commit(lane, COMMIT_WAIT_MS);
    forget(lane, partitions);
}

/* Where fetching starts: before the position, where the decoder has to see what stands there. */
static int64_t start_of(const struct lane *lane, const struct partition *partition)
{
    int64_t back = lane->worker.decoder->ops->look_back;
    if (!partition->looks_back || partition->position <= 0)
        return partition->position;
    return partition->position > back ? partition->position - back : 0;
}

/* A list of partitions in some state that are due. */
static rd_kafka_topic_partition_list_t *list_due(struct lane *lane, enum partition_state state)
{
    int64_t now_us = time_monotonic_us();
    rd_kafka_topic_partition_list_t *list = NULL;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        if (partition->state != state || partition->not_before_us > now_us)
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new(16);
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
            state == PARTITION_SEEKING ? start_of(lane, partition) : partition->position;
    }
    return list;
}

void rebalance_pause(struct lane *lane, struct partition *partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    kafka_pause(lane->source, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void rebalance_restart(struct lane *lane, struct partition *partition)
{
    if (partition->state == PARTITION_ACTIVE)
        rebalance_pause(lane, partition);
    partition_restart(partition);
}

void rebalance_hold(struct lane *lane, bool hold)
{
    lane->held = hold;
    if (!hold)
        return; /* rebalance_locate() starts them again */
    rd_kafka_topic_partition_list_t *list = list_due(lane, PARTITION_ACTIVE);
    if (!list)
        return;
    kafka_pause(lane->source, list);
    rd_kafka_topic_partition_list_destroy(list);
    for (size_t i = 0; i < lane->assignment.count; i++)
        if (lane->assignment.items[i]->state == PARTITION_ACTIVE)
            lane->assignment.items[i]->state = PARTITION_SEEKING;
}

void rebalance_ask(struct lane *lane)
{
    int64_t now_us = time_monotonic_us();
    struct slot *slot = &lane->slots[lane->slot_count - 1];
    if (lane->request_out || lane->assignment.count > lane->asked_capacity) {
        if (lane->request_out)
            return;
        struct position *larger = realloc(lane->asked, lane->assignment.count * sizeof *larger);
        if (!larger)
            return; /* tried again in the next turn */
        lane->asked = larger;
        lane->asked_capacity = lane->assignment.count;
    }
    lane->asked_count = 0;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        struct partition *partition = lane->assignment.items[i];
        if (partition->state != PARTITION_ASKING || partition->not_before_us > now_us)
            continue;
        partition->state = PARTITION_ASKED;
        lane->asked[lane->asked_count++] = (struct position){
            .topic = partition->topic, .partition = partition->number, .offset = OFFSET_NONE};
    }
    /* The first question is asked without partitions too: it makes the target known to be there. */
    if (!lane->asked_count && lane->greeted)
        return;
    lane->greeted = lane->request_out = true;
    slot->outcome = ODS_OK;
    queue_push(lane->queue, slot->batch);
}

void rebalance_answer(struct lane *lane)
{
    const struct slot *slot = &lane->slots[lane->slot_count - 1];
    lane->request_out = false;
    for (size_t i = 0; i < lane->asked_count; i++) {
        const struct position *answer = &lane->asked[i];
        struct partition *partition =
            assignment_find(&lane->assignment, answer->topic, answer->partition);
        if (!partition || partition->state != PARTITION_ASKED)
            continue;
        if (slot->outcome != ODS_OK) {
            partition->state = PARTITION_ASKING;
            continue;
        }
        partition->state = PARTITION_LOCATING;
        partition->stored = partition->chain = partition->applied = answer->offset;
        partition->stored_us = answer->offset == OFFSET_NONE ? 0 : answer->stored_us;
    }
}

/* Neither the target nor the group knows the partition. */
static void locate_by_policy(struct lane *lane, struct partition *partition)
{
    struct error error;
    const char *policy = lane->settings->kafka.auto_offset_reset;
    int64_t low, high;
    error_init(&error);
    if (strcmp(policy, "earliest") == 0) {
        partition->position = POSITION_BEGINNING;
    } else if (strcmp(policy, "latest") == 0) {
        if (kafka_watermarks(lane->source, partition->topic, partition->number, &low, &high,
                             &error) != ODS_OK) {
            lane_note_error(lane, error.text);
            partition->not_before_us = time_monotonic_us() + LATER_US;
            return;
        }
        /* Committed at once: after a crash before the first batch, "latest" is still this one. */
        partition->position = partition->applied = high;
    } else {
        error_set(&error, ODS_FATAL,
                  "topic %s partition %d: neither the target nor the group \"%s\" holds an offset, "
                  "and kafka.auto_offset_reset is \"error\": set it to \"earliest\" or \"latest\"",
                  partition->topic, (int) partition->number, lane->pipeline->group_id);
        lane_fail(lane, CLI_SOURCE, &error);
        return;
    }
    partition->state = PARTITION_SEEKING;
}

static void locate(struct lane *lane)
{
    struct error error;
    error_init(&error);
    gaps_look(lane);
    rd_kafka_topic_partition_list_t *list = list_due(lane, PARTITION_LOCATING), *unknown;
    if (!list)
        return;
    unknown = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition =
            assignment_find(&lane->assignment, list->elems[i].topic, list->elems[i].partition);
        partition->position = partition->stored;
        if (partition->stored != OFFSET_NONE)
            partition->state = PARTITION_SEEKING;
        else
            rd_kafka_topic_partition_list_add(unknown, partition->topic, partition->number);
    }
    enum ods_status status = unknown->cnt ? kafka_committed(lane->source, unknown, &error) : ODS_OK;
    if (status != ODS_OK)
        lane_note_error(lane, error.text);
    for (int i = 0; i < unknown->cnt; i++) {
        struct partition *partition = assignment_find(&lane->assignment, unknown->elems[i].topic,
                                                      unknown->elems[i].partition);
        if (status != ODS_OK) {
            partition->not_before_us = time_monotonic_us() + LATER_US;
        } else if (unknown->elems[i].offset >= 0) {
            partition->position = unknown->elems[i].offset;
            partition->state = PARTITION_SEEKING;
        } else {
            locate_by_policy(lane, partition);
        }
    }
    rd_kafka_topic_partition_list_destroy(unknown);
    rd_kafka_topic_partition_list_destroy(list);
}

void rebalance_locate(struct lane *lane)
{
    struct error error;
    error_init(&error);
    locate(lane);
    rd_kafka_topic_partition_list_t *list = lane->held ? NULL : list_due(lane, PARTITION_SEEKING);
    if (!list)
        return;
    enum ods_status status = kafka_start_partitions(lane->source, list, &error);
    if (status != ODS_OK)
        lane_note_error(lane, error.text);
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition =
            assignment_find(&lane->assignment, list->elems[i].topic, list->elems[i].partition);
        if (status == ODS_OK && !list->elems[i].err) {
            partition->state = PARTITION_ACTIVE;
            log_event(LOG_DEBUG, LANE_FIELDS(lane), "%s [%d] starts at %lld", partition->topic,
                      (int) partition->number, (long long) partition->position);
        } else {
            partition->not_before_us = time_monotonic_us() + LATER_US;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* What failed is said again with the next commit. */
void rebalance_committed(void *context, const rd_kafka_topic_partition_list_t *offsets)
{
    struct lane *lane = context;
    for (int i = 0; i < offsets->cnt; i++) {
        struct partition *partition = assignment_find(&lane->assignment, offsets->elems[i].topic,
                                                      offsets->elems[i].partition);
        if (partition && !offsets->elems[i].err)
            partition->committed = offsets->elems[i].offset;
    }
}

void rebalance_commit(struct lane *lane, int wait_ms)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        struct partition *partition = lane->assignment.items[i];
        if (partition->state == PARTITION_GONE || partition->applied == OFFSET_NONE)
            continue;
        /* The last word is said in any case: nobody waited for the answer to an earlier one. */
        if (partition->applied == partition->committed && !wait_ms)
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new(16);
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
            partition->applied;
    }
    if (!list)
        return;
    kafka_commit(lane->source, list, wait_ms);
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t rebalance_due_ms(const struct lane *lane, int64_t limit_ms)
{
    int64_t now_us = time_monotonic_us(), due_ms = limit_ms;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        bool waits = partition->state == PARTITION_LOCATING ||
                     (partition->state == PARTITION_SEEKING && !lane->held) ||
                     (partition->state == PARTITION_ASKING && !lane->request_out);
        int64_t left_ms = (partition->not_before_us - now_us + 999) / 1000;
        if (waits && left_ms < due_ms)
            due_ms = left_ms < 1 ? 1 : left_ms;
    }
    return due_ms;
}
