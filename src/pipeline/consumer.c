/* The consumer thread of a lane: takes records, decodes them into the batch being filled, hands
 * batches over and takes them back.
 *
 * A batch goes to the writer as soon as the writer is idle, so a quiet topic gets the lowest
 * latency; while the writer is busy the next batch fills up to its ceilings, so a busy one gets the
 * largest batches. A batch also goes when its first record is max_wait_ms old and another batch is
 * free to go on with. When none is free no record is taken: for a second the source is simply not
 * asked, then the partitions are paused so that rebalances are still served. So the pool of batches
 * bounds the memory and is the back-pressure.
 */
#include <poll.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/log.h"
#include "core/time.h"
#include "pipeline/intake.h"
#include "pipeline/lane_room.h"

#define TURN_MESSAGES 256 /* between two looks at the writer */
#define TICK_US       INT64_C(1000000)
/* Where they are for monitoring only, no oftener than Kafka's own clients do it: one that meets a
 * rebalance under way carries an old generation, and librdkafka then gives all partitions up. */
#define ACK_US       INT64_C(5000000)
#define IDLE_WAIT_MS INT64_C(1000)
#define FOLLOW_US    INT64_C(300000)
#define TURN_WAIT_MS INT64_C(10) /* for join_in_turn() */
#define STARVED_US   INT64_C(1000000)

/* NULL: it is not this lane's. */
static struct partition *partition_of(struct lane *lane, const struct claim *claim)
{
    return assignment_find(&lane->assignment, claim->topic, claim->partition);
}

/* Only of a source that would have to search for the end: what others answer may be newer. */
bool consumer_is_at_end(const struct lane *lane, const struct partition *partition)
{
    return lane->source->ops->parted && partition->end >= 0 &&
           partition->end == partition->position && !lane->starved_us;
}

int64_t consumer_known_end(struct lane *lane, const struct partition *partition)
{
    const struct source_ops *source = lane->source->ops;
    if (consumer_is_at_end(lane, partition))
        return partition->end;
    if (!source->known_end)
        return -1;
    return source->known_end(lane->source, partition->topic, partition->number);
}

/* Where the partition goes on, another change of that time may follow. */
static void bound_time(struct lane *lane, struct claim *run, const struct partition *partition)
{
    int64_t end = consumer_known_end(lane, partition);
    if (run->complete_us && (end < 0 || run->upto < end))
        run->complete_us--;
}

/* can_wait: it may as well go in a later turn. */
static void push_filling(struct lane *lane, bool can_wait)
{
    struct batch *batch = lane->filling;
    struct slot *slot = lane_slot(lane, batch);
    if (!gaps_same_cluster(lane, batch, can_wait))
        return;
    lane->filling = NULL;
    lane->in_flight++;
    uint32_t count;
    struct claim *runs = batch_runs(batch, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &runs[i]);
        if (!partition)
            continue;
        partition->in_flight++;
        bound_time(lane, &runs[i], partition);
    }
    slot->outcome = ODS_OK;
    slot->epoch = lane->epoch;
    slot->bytes = batch_bytes(batch);
    atomic_fetch_add(&lane->metrics.in_flight_bytes, slot->bytes);
    atomic_store(&slot->abandoned, false);
    queue_push(lane->queue, batch);
}

/* One without records is not: it would be waited for, and the source not listened to. */
static bool is_full(const struct lane *lane, const struct batch *batch)
{
    const struct sink_wants *wants = &lane->worker.sink->wants;
    int64_t most = atomic_load(&lane->limits->max_bytes);
    if (!batch_covers(batch))
        return false;
    if (wants->fills && wants->min_bytes > most)
        return batch_bytes(batch) >= (uint64_t) wants->min_bytes;
    if (most > lane->batch_bytes)
        most = lane->batch_bytes;
    return batch->record_count >= (uint64_t) atomic_load(&lane->limits->max_events) ||
           batch_bytes(batch) >= (uint64_t) most;
}

static int64_t age_ms(const struct batch *batch)
{
    return (time_monotonic_us() - batch->opened_us) / 1000;
}

/* Is the batch as large as its target would like to have it, or has it waited long enough? */
static bool is_wanted(const struct lane *lane, const struct batch *batch)
{
    const struct sink_wants *wants = &lane->worker.sink->wants;
    if (!wants->max_wait_ms)
        return true;
    return (wants->min_events && batch->record_count >= wants->min_events) ||
           (wants->min_bytes && batch_bytes(batch) >= (uint64_t) wants->min_bytes) ||
           age_ms(batch) >= wants->max_wait_ms;
}

/* The longest time that a record waits for others. */
static int64_t max_wait_ms(const struct lane *lane)
{
    int64_t configured = atomic_load(&lane->limits->max_wait_ms);
    int64_t wanted = lane->worker.sink->wants.max_wait_ms;
    return wanted > configured ? wanted : configured;
}

void consumer_push(struct lane *lane)
{
    push_filling(lane, false);
}

void consumer_hand_over(struct lane *lane)
{
    struct batch *batch = lane->filling;
    if (!batch || !batch_covers(batch))
        return;
    bool full = is_full(lane, batch);
    if (full || (queue_writer_idle(lane->queue) && is_wanted(lane, batch)) ||
        (lane->idle_count && age_ms(batch) >= max_wait_ms(lane)))
        push_filling(lane, !full);
}

void consumer_discard_filling(struct lane *lane)
{
    struct batch *batch = lane->filling;
    if (!batch)
        return;
    uint32_t count;
    const struct claim *runs = batch_runs(batch, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &runs[i]);
        if (partition)
            rebalance_restart(lane, partition);
    }
    traces_reset(&lane_slot(lane, batch)->traces);
    batch_reset(batch);
}

static bool fills(const struct lane *lane, const struct partition *partition)
{
    uint32_t count = 0;
    const struct claim *runs = lane->filling ? batch_runs(lane->filling, &count) : NULL;
    for (uint32_t i = 0; i < count; i++)
        if (runs[i].topic == partition->topic && runs[i].partition == partition->number)
            return true;
    return false;
}

/* A batch was dropped: its partitions start again at the target's offset, or with what is not
 * settled, and so do the batches after it. */
static void restart_runs(struct lane *lane, const struct batch *batch, bool fenced)
{
    bool touches_filling = false;
    uint32_t count;
    const struct claim *runs = batch_runs(batch, &count);
    lane->epoch++;
    for (uint32_t i = 0; i < count; i++) {
        struct partition *partition = partition_of(lane, &runs[i]);
        if (!partition)
            continue;
        /* Two members that fence each other in turn must not do so at full speed. */
        unsigned step = partition->fences < 6 ? partition->fences : 6;
        if (fenced && partition->fences++)
            partition->not_before_us = time_monotonic_us() + (INT64_C(50000) << step);
        rebalance_restart(lane, partition);
        touches_filling |= fills(lane, partition);
    }
    if (touches_filling)
        consumer_discard_filling(lane);
}

static void settle_runs(struct lane *lane, const struct batch *batch, enum ods_status outcome)
{
    uint32_t count;
    const struct claim *runs = batch_runs(batch, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct claim *claim = &runs[i];
        struct partition *partition = partition_of(lane, claim);
        if (!partition)
            continue;
        partition->in_flight--;
        if (outcome == ODS_OK && partition->state != PARTITION_GONE) {
            partition->applied = claim->upto;
            partition->fences = 0;
            if (partition->awaits_at >= 0 && partition->awaits_at < claim->upto)
                partition->awaits_at = -1;
        }
    }
    if (atomic_load(&lane->awaiting))
        later_look(lane);
}

/* Their letters are acknowledged, and the batch is committed: the source is told which they are
 * before they are settled with the others. */
static void reject_letters(struct lane *lane, const struct batch *batch)
{
    const struct source_ops *source = lane->source->ops;
    if (!batch->delivers || !source->reject)
        return;
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        const struct record *record = &batch->records[batch->rejects[i].record];
        const struct place place = {
            .topic = record->topic, .partition = record->partition, .offset = record->offset};
        source->reject(lane->source, &place);
    }
}

void consumer_take_back(struct lane *lane, struct batch *batch)
{
    struct slot *slot = lane_slot(lane, batch);
    if (slot->is_request) {
        rebalance_answer(lane);
        return;
    }
    lane->in_flight--;
    atomic_fetch_sub(&lane->metrics.in_flight_bytes, slot->bytes);
    settle_runs(lane, batch, slot->outcome);
    if (batch->awaiting && slot->outcome == ODS_RETRY)
        later_note(lane, batch);
    if (slot->outcome == ODS_OK)
        reject_letters(lane, batch);
    else
        restart_runs(lane, batch, slot->outcome == ODS_FENCED);
    traces_reset(&slot->traces);
    batch_reset(batch);
    lane->idle[lane->idle_count++] = batch;
    assignment_sweep(&lane->assignment);
    if (lane->source->ops->awaits_acks && slot->outcome == ODS_OK)
        rebalance_ack(lane, 0);
}

bool consumer_pass(struct lane *lane, struct partition *partition, int64_t offset)
{
    struct batch *batch = lane->filling;
    if (!batch ||
        !batch_cover(batch, partition->topic, partition->number, partition->chain, offset - 1))
        return false;
    if (!batch->opened_us)
        batch->opened_us = time_monotonic_us();
    if (partition->chain == OFFSET_NONE && partition->first < 0)
        partition->first = offset;
    partition->chain = partition->position = offset;
    return true;
}

/* Was fetching started before the position? */
static bool looks_back(const struct lane *lane, const struct partition *partition)
{
    return partition->looks_back && partition->position > 0 &&
           lane->worker.decoder->ops->look_back && lane->source->ops->kind == SOURCE_OFFSETS;
}

/* All records have been taken. The offsets between the last one and the end are no records: a
 * transaction's marker, aborted or compacted records. */
static void end_reached(struct lane *lane, struct partition *partition, int64_t end)
{
    if (partition->state == PARTITION_ACTIVE && end < partition->position &&
        looks_back(lane, partition))
        gaps_out_of_sight(lane, partition);
    if (partition->state != PARTITION_ACTIVE || end < partition->position ||
        end == partition->chain)
        return;
    if (end == 0 && partition->chain == OFFSET_NONE)
        partition->position = partition->applied = partition->first =
            0; /* empty from the beginning: nothing to keep */
    else
        consumer_pass(lane, partition, end);
}

static void take_event(struct lane *lane, enum source_event event, const struct record *record)
{
    struct partition *partition =
        assignment_find(&lane->assignment, record->topic, record->partition);
    if (!partition)
        return;
    if (event == SOURCE_END && partition->state == PARTITION_ACTIVE)
        partition->end = record->offset;
    if (event == SOURCE_END)
        end_reached(lane, partition, record->offset);
    else if (partition->state == PARTITION_ACTIVE && looks_back(lane, partition))
        gaps_out_of_sight(lane, partition);
    else if (partition->state == PARTITION_ACTIVE)
        gaps_out_of_range(lane, partition);
}

/* A record below the position is applied already, but the decoder may need it for the records after
 * it, which wait until it has understood it. If the partition ends below the position, the position
 * does not belong to it. */
static void take_context(struct lane *lane, struct partition *partition,
                         const struct record *record, struct error *error)
{
    struct decoder *decoder = lane->worker.decoder;
    int64_t high = consumer_known_end(lane, partition);
    if (!looks_back(lane, partition))
        return;
    if (high >= 0 && high < partition->position)
        gaps_out_of_sight(lane, partition);
    else if (decoder->ops->observe(decoder, record, error) != ODS_OK)
        later_put_off(lane, partition, record, error);
}

/* True: the record is in the batch. */
static bool take_record(struct lane *lane, struct record *record, struct error *error)
{
    struct tracer *tracer = lane->shared->tracer;
    int64_t taken_us = tracer ? time_wall_us() : 0;
    struct partition *partition =
        assignment_find(&lane->assignment, record->topic, record->partition);
    if (!partition || partition->state != PARTITION_ACTIVE)
        return false;
    record->topic = partition->topic;
    if (record->offset < partition->position) {
        take_context(lane, partition, record, error);
        return false;
    }
    partition->end = -1; /* it was told before this one came, which may have to come again */
    if (record->offset == partition->awaits_at && later_awaits(lane, partition, record))
        return false;
    switch (intake_add(lane->filling, &lane->worker, record, partition->chain, error)) {
    case ODS_OK:
        if (partition->chain == OFFSET_NONE)
            partition->begun = record->offset;
        if (partition->chain == OFFSET_NONE && partition->first < 0)
            partition->first = record->offset;
        partition->chain = partition->position = partition->decoded = record->offset + 1;
        if (tracer)
            traces_note(&lane_slot(lane, lane->filling)->traces, tracer_limit(tracer),
                        lane->filling, taken_us);
        return true;
    case ODS_RETRY:
        later_put_off(lane, partition, record, error);
        return false;
    default:
        lane_fail(lane, CLI_INTERNAL, error);
        return false;
    }
}

/* The next thing that the source has. False: nothing for now. */
static bool take_next(struct lane *lane)
{
    struct record record = {0};
    struct error error;
    error_init(&error);
    enum source_event event = lane->source->ops->next(lane->source, &record, &error);
    switch (event) {
    case SOURCE_NOTHING:
        return false;
    case SOURCE_RECORD:
        if (lane->filling && take_record(lane, &record, &error))
            return true;
        break;
    case SOURCE_FAILED:
        lane_fail(lane, CLI_SOURCE, &error);
        break;
    default:
        take_event(lane, event, &record);
        break;
    }
    if (record.owner)
        lane->source->ops->release(record.owner);
    return true;
}

/* No batch is free. Rebalances are served all the same, from the second second on. */
static void starve(struct lane *lane)
{
    int64_t now_us = time_monotonic_us();
    if (!lane->starved_us)
        lane->starved_us = now_us;
    if (!lane->held && now_us - lane->starved_us >= STARVED_US)
        rebalance_hold(lane, true);
    while (lane->held && take_next(lane))
        ;
}

static bool get_batch(struct lane *lane)
{
    if (!lane->filling && lane->idle_count) {
        lane->filling = lane->idle[--lane->idle_count];
        lane->filling->release = lane->source->ops->release;
        lane->filling->headers = lane->source->ops->headers;
        lane->filling->delivers = lane->source->ops->kind == SOURCE_DELIVERIES;
    }
    if (!lane->filling)
        return false;
    lane->starved_us = 0;
    if (lane->held)
        rebalance_hold(lane, false);
    return true;
}

/* Take what is there, up to a turn's worth. True: there is nothing more to take now. */
static bool take_turn(struct lane *lane)
{
    for (unsigned taken = 0; taken < TURN_MESSAGES; taken++) {
        if (lane->filling && is_full(lane, lane->filling))
            break;
        if (!take_next(lane))
            return true;
        if (!lane->filling || atomic_load_explicit(&lane->failed, memory_order_relaxed))
            break;
    }
    return false;
}

static bool fill(struct lane *lane)
{
    if (!get_batch(lane)) {
        starve(lane);
        return true;
    }
    int64_t began_us = time_monotonic_us();
    bool drained = take_turn(lane);
    atomic_fetch_add_explicit(&lane->metrics.decode_us,
                              (uint64_t) (time_monotonic_us() - began_us), memory_order_relaxed);
    return drained;
}

/* One line for a rebalance, by whichever lane comes to it first. */
static void tell_moves(struct lane *lane, int64_t now_us)
{
    const char *const fields[] = {"pipeline", lane->pipeline->name, NULL};
    struct buffer text;
    buffer_init(&text);
    if (moves_take(&lane->shared->moves, now_us, &text))
        log_event(LOG_INFO, fields, "rebalance: %s", buffer_text(&text));
    buffer_done(&text);
}

static void tick(struct lane *lane)
{
    int64_t now_us = time_monotonic_us();
    if (now_us < lane->next_tick_us)
        return;
    lane->next_tick_us = now_us + TICK_US;
    if (lane->source->ops->housekeep)
        lane->source->ops->housekeep(lane->source);
    if (now_us >= lane->next_ack_us || lane->source->ops->awaits_acks) {
        lane->next_ack_us = now_us + ACK_US;
        rebalance_ack(lane, 0);
    }
    shown_renew(lane);
    tell_moves(lane, now_us);
}

static void doze(struct lane *lane, int64_t at_most_ms)
{
    const struct source_ops *source = lane->source->ops;
    struct pollfd wake[] = {{.fd = lane->wake_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (source->poll_fd && !lane->held && (lane->filling || lane->idle_count))
        wake[1].fd = source->poll_fd(lane->source);
    int64_t wait_ms =
        rebalance_due_ms(lane, at_most_ms < IDLE_WAIT_MS ? at_most_ms : IDLE_WAIT_MS);
    if (lane->join_at_us && wait_ms > TURN_WAIT_MS)
        wait_ms = TURN_WAIT_MS;
    if (lane->filling && batch_covers(lane->filling) && lane->idle_count) {
        int64_t left_ms = max_wait_ms(lane) - age_ms(lane->filling);
        if (left_ms < wait_ms)
            wait_ms = left_ms < 1 ? 1 : left_ms;
    }
    poll(wake, 2, (int) wait_ms);
}

/* One lane joins first. If a second member joins before the first one's rebalance is over, that
 * rebalance fails, and librdkafka waits a second before it joins again; in that time nobody has
 * partitions. A moment later the first lane has them all and works until it shares them. (Brokers
 * that hold the first round open, as by default, see all lanes in it: so nobody waits for long.) */
static void join_in_turn(struct lane *lane)
{
    if (!lane->join_at_us ||
        (time_monotonic_us() < lane->join_at_us && !atomic_load(&lane->shared->led)))
        return;
    lane->join_at_us = 0;
    lane->source->ops->join(lane->source);
}

static void turn(struct lane *lane)
{
    struct batch *batch;
    uint64_t wakes;
    atomic_store(&lane->consumer_beat_us, time_monotonic_us());
    /* The eventfd is emptied before the queues are checked, so that later news ends the next sleep.
     */
    ssize_t got = read(lane->wake_fd, &wakes, sizeof wakes);
    (void) got;
    while ((batch = queue_take_done(lane->queue, 0)))
        consumer_take_back(lane, batch);
    join_in_turn(lane);
    later_take_up(lane);
    obey_orders(lane);
    rebalance_ask(lane);
    rebalance_locate(lane);
    bool drained = fill(lane);
    int64_t patience_ms =
        lane->source->ops->turn ? lane->source->ops->turn(lane->source) : IDLE_WAIT_MS;
    consumer_hand_over(lane);
    tick(lane);
    if (drained)
        doze(lane, patience_ms);
}

/* Finish the batch being filled, or drop it if there is no time or its lane has failed, and leave
 * the group. */
static void finish(struct lane *lane)
{
    if (atomic_load(&lane->failed) || atomic_load(&lane->abandon))
        consumer_discard_filling(lane);
    else if (lane->filling && batch_covers(lane->filling))
        push_filling(lane, false);
    lane_wake_writer(lane);
    while (lane->in_flight || lane->request_out) {
        atomic_store(&lane->consumer_beat_us, time_monotonic_us());
        struct batch *batch = queue_take_done(lane->queue, 100);
        if (batch)
            consumer_take_back(lane, batch);
    }
    queue_close(lane->queue);
    rebalance_ack(lane, 1000);
    lane->source->ops->leave(lane->source);
    if (lane->filling)
        batch_reset(lane->filling);
}

void *consumer_main(void *context)
{
    struct lane *lane = context;
    lane->join_at_us = time_monotonic_us() + (lane->index ? FOLLOW_US : 0);
    while (!atomic_load(&lane->stop) && !atomic_load(&lane->failed) && !atomic_load(&lane->abandon))
        turn(lane);
    finish(lane);
    pthread_mutex_lock(&lane->mutex);
    lane->shown_count = 0;
    pthread_mutex_unlock(&lane->mutex);
    atomic_store(&lane->ended, true);
    uint64_t one = 1;
    ssize_t sent = write(lane->shared->finished_fd, &one, sizeof one);
    (void) sent;
    return NULL;
}
