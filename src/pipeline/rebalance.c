/* Partitions that are assigned and revoked, and started where locate.c says. Consumer thread; the
 * two callbacks run inside the source's next() or leave().
 *
 * A new partition goes ASKING → ASKED → LOCATING → SEEKING → ACTIVE. The question for the target's
 * offsets travels through the same queue as the batches, so its answer always counts what was
 * handed over before it, and a target that is away keeps the writer waiting, never the group. It is
 * not asked about partitions that an order holds, which are PAUSED until that is over.
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
#define ACK_WAIT_MS  500
#define LATER_US        INT64_C(200000)

/* For the log. What a lane gives up because it ends is no rebalance. */
static void note_moves(struct lane *lane, enum move_kind kind, const struct place *places,
                       size_t count)
{
    if (!atomic_load(&lane->stop) && !atomic_load(&lane->abandon))
        moves_add(&lane->shared->moves, kind, lane->index, places, count, time_monotonic_us());
}

void rebalance_assigned(void *context, const struct place *places, size_t count)
{
    struct lane *lane = context;
    atomic_fetch_add(&lane->metrics.rebalances, 1);
    atomic_store(&lane->shared->led, true);
    note_moves(lane, MOVE_ASSIGNED, places, count);
    for (size_t i = 0; i < count; i++)
        if (!assignment_add(&lane->assignment, places[i].topic, places[i].partition)) {
            struct error error;
            error_init(&error);
            error_set(&error, ODS_FATAL, "out of memory for a partition of %s", places[i].topic);
            lane_fail(lane, CLI_INTERNAL, &error);
        }
}

static struct partition *partition_of(struct lane *lane, const struct place *place)
{
    return assignment_find(&lane->assignment, place->topic, place->partition);
}

static bool any_in_flight(struct lane *lane, const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct partition *partition = partition_of(lane, &places[i]);
        if (partition && partition->in_flight)
            return true;
    }
    return false;
}

static void wait_for_batches(struct lane *lane, const struct place *places, size_t count,
                             int64_t at_most_us, bool patient)
{
    int64_t started_us = time_monotonic_us(), now_us = started_us;
    while (any_in_flight(lane, places, count) && now_us - started_us < at_most_us) {
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

void rebalance_abandon(struct lane *lane)
{
    for (size_t i = 0; i < lane->slot_count; i++)
        if (!lane->slots[i].is_request)
            atomic_store(&lane->slots[i].abandoned, true);
    worker_interrupt(&lane->worker);
    if (lane->deadletter)
        lane->deadletter->ops->interrupt(lane->deadletter);
    lane_wake_writer(lane);
}

static void forget(struct lane *lane, const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &places[i]);
        if (partition)
            partition->state = PARTITION_GONE;
    }
    assignment_sweep(&lane->assignment);
}

static bool filling_covers(struct lane *lane, const struct place *places, size_t count)
{
    uint32_t covered = 0;
    const struct claim *runs = lane->filling ? batch_runs(lane->filling, &covered) : NULL;
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < covered; j++)
            if (runs[j].partition == places[i].partition &&
                strcmp(runs[j].topic, places[i].topic) == 0)
                return true;
    return false;
}

/* The batch being filled is dropped, since the next owner reads its records again at once. Batches
 * that the writer has are waited for, up to a limit. */
void rebalance_revoked(void *context, const struct place *places, size_t count, bool lost)
{
    struct lane *lane = context;
    atomic_fetch_add(&lane->metrics.rebalances, 1);
    note_moves(lane, lost ? MOVE_LOST : MOVE_REVOKED, places, count);
    if (filling_covers(lane, places, count))
        consumer_discard_filling(lane);
    if (!lost)
        wait_for_batches(lane, places, count, REVOKE_WAIT_US, true);
    if (any_in_flight(lane, places, count)) {
        log_event(LOG_WARN, LANE_FIELDS(lane),
                  "gives up batches that cover %s partitions; their "
                  "next owner reads them again",
                  lost ? "lost" : "revoked");
        rebalance_abandon(lane);
        wait_for_batches(lane, places, count, ABANDON_WAIT_US, false);
    }
    /* Wait for the answer: sent after the request to join again, it would carry an old generation.
     */
    if (!lost)
        rebalance_ack(lane, ACK_WAIT_MS);
    forget(lane, places, count);
}

/* Where fetching starts: before the position, if the decoder needs the records there and has not
 * just seen them. What a pipe has delivered can't be had again. */
static int64_t start_of(const struct lane *lane, const struct partition *partition)
{
    int64_t back = lane->worker.decoder->ops->look_back;
    if (!partition->looks_back || partition->position <= 0 ||
        partition->position == partition->decoded || lane->source->ops->kind != SOURCE_OFFSETS)
        return partition->position;
    return partition->position > back ? partition->position - back : 0;
}

struct place *rebalance_due(struct lane *lane, enum partition_state state, size_t most,
                            size_t *count)
{
    int64_t now_us = time_monotonic_us();
    struct place *places = NULL;
    *count = 0;
    for (size_t i = 0; i < lane->assignment.count && *count < most; i++) {
        const struct partition *partition = lane->assignment.items[i];
        if (partition->state != state || partition->not_before_us > now_us)
            continue;
        if (!places)
            places = malloc(lane->assignment.count * sizeof *places);
        if (!places)
            break;
        places[(*count)++] = (struct place){
            .topic = partition->topic,
            .partition = partition->number,
            .offset =
                state == PARTITION_SEEKING ? start_of(lane, partition) : partition->position};
    }
    return places;
}

void rebalance_pause(struct lane *lane, struct partition *partition)
{
    const struct place place = {.topic = partition->topic, .partition = partition->number};
    lane->source->ops->pause(lane->source, &place, 1);
}

void rebalance_restart(struct lane *lane, struct partition *partition)
{
    if (partition->state == PARTITION_ACTIVE)
        rebalance_pause(lane, partition);
    partition_restart(partition);
}

void rebalance_hold(struct lane *lane, bool hold)
{
    size_t count;
    if (!hold) {
        lane->held = false;
        atomic_store(&lane->released_us, time_monotonic_us());
        return; /* rebalance_locate() starts them again */
    }
    struct place *places = rebalance_due(lane, PARTITION_ACTIVE, SIZE_MAX, &count);
    for (size_t i = 0; i < count; i++)
        partition_of(lane, &places[i])->state = PARTITION_SEEKING;
    if (count)
        lane->source->ops->pause(lane->source, places, count);
    free(places);
    lane->held = true;
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
        if (partition->state != PARTITION_ASKING || partition->not_before_us > now_us ||
            !obey_knows(lane) || obey_holds(lane, partition))
            continue;
        partition->state = PARTITION_ASKED;
        lane->asked[lane->asked_count++] = (struct position){
            .topic = partition->topic, .partition = partition->number, .offset = OFFSET_NONE};
    }
    /* The first request is sent even without partitions, since it shows that the target answers. */
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
        /* What another source of the same group and topic has left says nothing of a queue. */
        if (lane->source->ops->kind == SOURCE_DELIVERIES)
            continue;
        partition->stored = partition->chain = partition->applied = answer->offset;
        partition->stored_us = answer->offset == OFFSET_NONE ? 0 : answer->stored_us;
        partition->cluster = answer->offset == OFFSET_NONE || !*answer->cluster
                                 ? NULL
                                 : assignment_intern(&lane->assignment, answer->cluster);
    }
}

/* Where the target commits the offsets in its transactions, the lane acknowledges nothing: what it
 * would say could come behind a newer transaction's. */
bool rebalance_target_acks(const struct lane *lane)
{
    return lane->worker.guarantee == EXACT_BY_SOURCE_TRANSACTION;
}

void rebalance_locate(struct lane *lane)
{
    struct error error;
    size_t count = 0;
    error_init(&error);
    locate_partitions(lane);
    struct place *places =
        lane->held ? NULL : rebalance_due(lane, PARTITION_SEEKING, DUE_AT_ONCE, &count);
    if (!places)
        return;
    enum ods_status status = lane->source->ops->start(lane->source, places, count, &error);
    if (status != ODS_OK)
        lane_note_error(lane, error.text);
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &places[i]);
        if (status == ODS_OK && !places[i].failed) {
            partition->state = PARTITION_ACTIVE;
            partition->put_off = false;
            log_event(LOG_DEBUG, LANE_FIELDS(lane), "%s [%d] starts at %lld", partition->topic,
                      (int) partition->number, (long long) partition->position);
        } else {
            partition->not_before_us = time_monotonic_us() + LATER_US;
        }
    }
    free(places);
}

/* What failed is said again with the next one. */
void rebalance_acknowledged(void *context, const struct place *places, size_t count)
{
    struct lane *lane = context;
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &places[i]);
        if (partition && !places[i].failed)
            partition->acked = places[i].offset;
    }
}

void rebalance_ack(struct lane *lane, int wait_ms)
{
    struct place *places = NULL;
    size_t count = 0;
    if (rebalance_target_acks(lane))
        return;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        struct partition *partition = lane->assignment.items[i];
        /* One that is being located has nothing new, and `first` is not known yet. */
        if (partition->state == PARTITION_GONE || partition->state == PARTITION_LOCATING ||
            partition->applied == OFFSET_NONE)
            continue;
        /* The last acknowledgement is always sent: the answer to an earlier one may not have come.
         */
        if (partition->applied == partition->acked && !wait_ms)
            continue;
        if (!places)
            places = malloc(lane->assignment.count * sizeof *places);
        if (!places)
            return; /* said with the next one */
        places[count++] = (struct place){.topic = partition->topic,
                                         .partition = partition->number,
                                         .offset = partition->applied,
                                         .first = locate_first(lane, partition)};
    }
    if (places)
        lane->source->ops->ack(lane->source, places, count, wait_ms);
    free(places);
}

int64_t rebalance_due_ms(const struct lane *lane, int64_t limit_ms)
{
    int64_t now_us = time_monotonic_us(), due_ms = limit_ms;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        bool waits = partition->state == PARTITION_LOCATING ||
                     (partition->state == PARTITION_SEEKING && !lane->held) ||
                     (partition->state == PARTITION_ASKING && !lane->request_out &&
                      obey_knows(lane));
        int64_t left_ms = (partition->not_before_us - now_us + 999) / 1000;
        if (waits && left_ms < due_ms)
            due_ms = left_ms < 1 ? 1 : left_ms;
    }
    return due_ms;
}
