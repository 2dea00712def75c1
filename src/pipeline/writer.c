/* The writer thread of a lane: applies batches to the target, tries again for as long as the target
 * (or the dead-letter topic) is away, and answers what the target's offsets are.
 *
 * An outage keeps the batch and waits, a bad record goes to the dead letters inside the sink's
 * transaction, a lost partition drops the batch, anything else stops the lane.
 */
#include <stdio.h>
#include <string.h>

#include "core/exit.h"
#include "core/log.h"
#include "core/time.h"
#include "core/traceparent.h"
#include "pipeline/lane_room.h"

/* How often a target without work is called all the same (sink_ops.rest). */
#define REST_MS INT64_C(5000)

/* An outage, from its first failure to the next success. */
struct outage {
    struct backoff backoff;
    int64_t since_us; /* 0: there is none */
    struct rare rare;
    int64_t said_us; /* when the log last had a line about it, and which */
    char said[ERROR_TEXT_BYTES];
};

static bool given_up(struct lane *lane, const struct slot *slot)
{
    return atomic_load(&lane->abandon) || atomic_load(&lane->failed) ||
           atomic_load(&slot->abandoned);
}

static void set_state(struct lane *lane, enum lane_state state)
{
    int64_t now_us = time_monotonic_us();
    if (atomic_exchange(&lane->writer_state, state) != (int) state)
        atomic_store(&lane->writer_since_us, now_us);
    atomic_store(&lane->writer_beat_us, now_us);
}

/* Clears an interrupt that was meant for an earlier batch. Whoever abandons a batch marks it first
 * and interrupts then, so given_up() still sees it afterwards. */
static void begin(struct lane *lane)
{
    worker_clear_interrupt(&lane->worker);
    if (lane->deadletter)
        lane->deadletter->ops->clear_interrupt(lane->deadletter);
}

/* Ends early when the batch is given up or the lane is to stop. */
static void pause_for(struct lane *lane, const struct slot *slot, int64_t wait_ms)
{
    struct timespec until = time_deadline(wait_ms);
    pthread_mutex_lock(&lane->mutex);
    while (!given_up(lane, slot) && !atomic_load(&lane->stop))
        if (pthread_cond_timedwait(&lane->pause, &lane->mutex, &until))
            break;
    pthread_mutex_unlock(&lane->mutex);
}

static bool begin_outage(struct lane *lane, struct outage *outage)
{
    if (outage->since_us)
        return false;
    outage->since_us = time_monotonic_us();
    atomic_store(&lane->outage_us, time_wall_us());
    outage->rare = (struct rare){0};
    backoff_init(&outage->backoff, atomic_load(&lane->limits->retry_initial_ms),
                 atomic_load(&lane->limits->retry_max_ms));
    return true;
}

/* Logs the outage once at first, then once a minute, and sooner when the reason changes. */
static bool is_news(struct outage *outage, const struct error *error)
{
    int64_t now_us = time_monotonic_us();
    bool other = strcmp(outage->said, error->text) != 0 && now_us - outage->said_us >= 1000000;
    if (other) /* what was held back was of another reason */
        outage->rare = (struct rare){0};
    if (!rare_due(&outage->rare))
        return false;
    outage->said_us = now_us;
    snprintf(outage->said, sizeof outage->said, "%s", error->text);
    return true;
}

/* False: no more attempts. */
static bool wait_out(struct lane *lane, const struct slot *slot, struct outage *outage,
                     struct error *error)
{
    bool first = begin_outage(lane, outage);
    int64_t elapsed_ms = (time_monotonic_us() - outage->since_us) / 1000;
    int64_t most_ms = atomic_load(&lane->limits->retry_max_elapsed_ms);
    if (given_up(lane, slot) || atomic_load(&lane->stop))
        return false;
    atomic_fetch_add(&lane->metrics.retries[lane->letters_failed ? RETRY_LETTERS : RETRY_OUTAGE],
                     1);
    atomic_store(&lane->target_ready, lane->letters_failed);
    atomic_store(&lane->letters_ready, !lane->letters_failed);
    lane_note_error(lane, error->text);
    if (most_ms > 0 && elapsed_ms >= most_ms) {
        error_prefix(error, "away for %lld s, longer than retry.max_elapsed_ms allows: ",
                     (long long) (elapsed_ms / 1000));
        lane_fail(lane, CLI_TARGET, error);
        return false;
    }
    if (is_news(outage, error)) {
        if (first)
            log_event(LOG_WARN, LANE_FIELDS(lane), "waiting, and trying again until it works: %s",
                      error->text);
        else
            log_event(LOG_WARN, LANE_FIELDS(lane), "still waiting after %lld s and %u attempts: %s",
                      (long long) (elapsed_ms / 1000), outage->backoff.attempts + 1, error->text);
    }
    set_state(lane, LANE_WAITING);
    pause_for(lane, slot, backoff_next_ms(&outage->backoff));
    return true;
}

static void end_outage(struct lane *lane, struct outage *outage)
{
    atomic_store(&lane->target_ready, true);
    atomic_store(&lane->letters_ready, true);
    if (!outage->since_us)
        return;
    log_event(LOG_INFO, LANE_FIELDS(lane), "goes on after %lld ms",
              (long long) ((time_monotonic_us() - outage->since_us) / 1000));
    outage->since_us = 0;
    atomic_store(&lane->outage_us, 0);
}

/* --- phases --------------------------------------------------------------------------------- */

/* The time of the phase so far counts, and this one begins; APPLY_PHASES: none does. */
static void begin_phase(struct lane *lane, enum apply_phase phase)
{
    int64_t now_us = time_monotonic_us();
    if (lane->phase < APPLY_PHASES)
        metrics_phase(&lane->metrics, lane->phase, now_us - lane->phase_us);
    lane->phase = phase;
    lane->phase_us = now_us;
    if (phase == APPLY_COMMIT)
        lane->commit_us = time_wall_us();
}

static void note_phase(void *context, enum apply_phase phase)
{
    begin_phase(context, phase);
}

/* --- letters -------------------------------------------------------------------------------- */

/* The lane stops instead of writing a dead letter. */
static enum ods_status refuse(struct lane *lane, const struct batch *batch,
                              const struct reject *reject, const char *why, struct error *error)
{
    const struct record *record = &batch->records[reject->record];
    struct traceparent parent;
    lane->refusal_code = CLI_NEGATIVE;
    traceparent_of(&parent, batch->headers, record);
    memcpy(lane->refused_trace, parent.trace, sizeof lane->refused_trace);
    return error_set(error, ODS_FATAL,
                     "topic %s partition %d offset %lld can't be applied (%s: %s), and %s",
                     record->topic, (int) record->partition, (long long) record->offset,
                     reject->stage, reject->error.text, why);
}

/* Rejects of the batch that are not delivered yet; *first is one of them. */
static uint32_t count_letters(const struct batch *batch, const struct reject **first)
{
    uint32_t letters = 0;
    for (uint32_t i = 0; i < batch->reject_count; i++)
        if (!batch->rejects[i].delivered && !letters++)
            *first = &batch->rejects[i];
    return letters;
}

static enum ods_status before_commit(void *context, struct batch *batch, struct error *error)
{
    struct lane *lane = context;
    struct fuse *fuse = &lane->shared->fuse;
    int64_t most = lane->settings->dead_letter.max_per_minute;
    const struct reject *reject = NULL;
    uint32_t letters = count_letters(batch, &reject);
    if (!letters)
        return ODS_OK;
    if (lane->pipeline->on_error == ON_ERROR_STOP)
        return refuse(lane, batch, reject, "on_error is stop", error);
    if (!lane->deadletter)
        return refuse(lane, batch, reject,
                      "none of dead_letter.topic, dead_letter.address and dead_letter.table is "
                      "set: set one to have such records put aside",
                      error);
    if (!fuse_take(fuse, most, letters, time_monotonic_us()))
        return refuse(lane, batch, reject,
                      "with it more than dead_letter.max_per_minute would be put aside: see to the "
                      "cause, or raise the limit, and start again",
                      error);
    enum apply_phase phase = lane->phase;
    begin_phase(lane, APPLY_LETTERS);
    enum ods_status status = lane->deadletter->ops->deliver(lane->deadletter, batch, error);
    begin_phase(lane, phase);
    lane->letters_failed = status == ODS_RETRY;
    fuse_give_back(fuse, count_letters(batch, &reject));
    if (status == ODS_FATAL)
        lane->refusal_code = CLI_SOURCE;
    return status;
}

static enum ods_status partitions(void *context, const char *topic, int32_t *count,
                                  struct error *error)
{
    struct lane *lane = context;
    const struct source_ops *source = lane->source->ops;
    *count = 1;
    return source->partitions ? source->partitions(lane->source, topic, count, error) : ODS_OK;
}

/* Asked before it is looked whether the batch is still the lane's: the consumer marks a batch that
 * it gives up before others may have its partitions, so as long as there is no mark the answer is
 * of a time at which nobody else had them. */
static enum ods_status membership(void *context, struct buffer *out, struct error *error)
{
    struct lane *lane = context;
    enum ods_status status = lane->source->ops->membership(lane->source, out, error);
    if (status == ODS_OK && given_up(lane, lane->applying))
        return error_set(error, ODS_RETRY, "the batch is given up");
    return status;
}

static void notice(void *context, const char *text)
{
    struct lane *lane = context;
    log_event(LOG_INFO, LANE_FIELDS(lane), "%s", text);
}

static void log_rejects(struct lane *lane, const struct batch *batch)
{
    /* The dead-letter topic has each reject with its reason; the log has only the first of a batch.
     */
    const struct reject *reject = batch->rejects;
    const struct record *record = &batch->records[reject->record];
    struct traceparent parent;
    char text[ERROR_TEXT_BYTES + 400];
    traceparent_of(&parent, batch->headers, record);
    snprintf(text, sizeof text, "%u record%s set aside; topic %s partition %d offset %lld: %s: %s",
             batch->reject_count, batch->reject_count == 1 ? "" : "s", record->topic,
             (int) record->partition, (long long) record->offset, reject->stage,
             reject->error.text);
    lane_note_letters(lane, text);
    log_event(LOG_WARN, RECORD_FIELDS(lane, parent.trace), "%s", text);
}

static void fail(struct lane *lane, struct error *error)
{
    int code = lane->refusal_code ? lane->refusal_code : CLI_TARGET;
    lane_fail_for(lane, code, error, lane->refused_trace);
}

/* How often the next batch with such rows is tried: if waiting did not help, a stream of them must
 * not make each batch wait its full time. */
static int64_t patience_of(const struct lane *lane)
{
    int64_t most = atomic_load(&lane->limits->constraint_attempts);
    return lane->patience >= 0 && lane->patience < most ? lane->patience : most;
}

static void learn_patience(struct lane *lane, const struct batch *batch, int64_t had)
{
    bool in_vain = false;
    for (uint32_t i = 0; i < batch->reject_count; i++)
        in_vain |= batch->rejects[i].error.fault == FAULT_ORDER;
    if (batch->patience < had)
        lane->patience = !in_vain ? -1 : had > 1 ? had / 2 : 1;
}

/* This is not an outage: the target answers, and what comes before the row is committed. */
static void wait_for_partner(struct lane *lane, const struct slot *slot, struct backoff *backoff,
                             const struct error *error)
{
    if (!backoff->attempts)
        log_event(LOG_INFO, LANE_FIELDS(lane), "%s", error->text);
    atomic_fetch_add(&lane->metrics.retries[RETRY_ORDER], 1);
    lane_note_error(lane, error->text);
    set_state(lane, LANE_WAITING);
    pause_for(lane, slot, backoff_next_ms(backoff));
}

/* A batch and the state of its attempts. */
struct attempts {
    struct lane *lane;
    struct slot *slot;
    struct outage *outage;
    struct backoff partner;
    int64_t patience; /* what the batch had left before this attempt */
    bool in_vain;     /* the row that it waits for may be one that waits in this lane */
    int64_t started_us, begun_us; /* the last one; the first one, by the wall clock */
};

static void begin_attempt(struct attempts *attempts)
{
    attempts->patience = attempts->slot->batch->patience;
    attempts->slot->batch->awaiting = 0;
    attempts->lane->letters_failed = false;
    set_state(attempts->lane, LANE_APPLYING);
    attempts->started_us = time_monotonic_us();
    if (!attempts->begun_us)
        attempts->begun_us = time_wall_us();
    attempts->lane->commit_us = 0;
    begin_phase(attempts->lane, APPLY_WRITE);
}

/* False: no more attempts. */
static bool wait_more(void *context, struct error *error)
{
    struct attempts *attempts = context;
    struct lane *lane = attempts->lane;
    struct slot *slot = attempts->slot;
    begin_phase(lane, APPLY_PHASES);
    if (slot->batch->awaiting)
        return false;
    if (slot->batch->patience == attempts->patience) {
        if (!wait_out(lane, slot, attempts->outage, error))
            return false;
    } else {
        end_outage(lane, attempts->outage);
        if (given_up(lane, slot) || atomic_load(&lane->stop))
            return false;
        wait_for_partner(lane, slot, &attempts->partner, error);
        attempts->in_vain = atomic_load(&lane->awaiting);
        if (attempts->in_vain)
            return false;
    }
    if (given_up(lane, slot))
        return false;
    begin_attempt(attempts);
    return true;
}

static void trace(const struct attempts *attempts)
{
    struct lane *lane = attempts->lane;
    struct slot *slot = attempts->slot;
    const struct tracer_batch batch = {.pipeline = lane->pipeline,
                                       .lane = lane->index,
                                       .batch = slot->batch,
                                       .begun_us = attempts->begun_us,
                                       .commit_us = lane->commit_us,
                                       .done_us = time_wall_us()};
    tracer_take(lane->shared->tracer, &slot->traces, &batch);
}

/* Can a record be given again that needs what another partition brings? */
static bool can_await(const struct lane *lane, const struct batch *batch)
{
    return lane->source->ops->parted && !batch->delivers &&
           lane->worker.sink->ops->guarantee == EXACT_BY_STORED_OFFSET;
}

/* The batch goes back, and comes again without what has to wait. */
static void give_back(struct lane *lane, const struct slot *slot)
{
    if (slot->batch->awaiting)
        arrivals_await(&lane->arrivals, lane->source, slot->batch);
    lane->given_back = lane->lost + 1;
}

static enum ods_status apply(struct lane *lane, struct slot *slot, struct outage *outage)
{
    const struct apply_hooks hooks = {.notice = notice,
                                      .before_commit = before_commit,
                                      .partitions = partitions,
                                      .membership =
                                          lane->source->ops->membership ? membership : NULL,
                                      .phase = note_phase,
                                      .context = lane};
    struct attempts attempts = {.lane = lane, .slot = slot, .outage = outage};
    struct apply_result result;
    struct error error;
    int64_t patience = patience_of(lane);
    if (given_up(lane, slot))
        return ODS_RETRY;
    backoff_init(&attempts.partner, atomic_load(&lane->limits->retry_initial_ms),
                 atomic_load(&lane->limits->retry_max_ms));
    slot->batch->patience = patience;
    slot->batch->can_await = can_await(lane, slot->batch);
    lane->applying = slot;
    begin(lane);
    if (given_up(lane, slot))
        return ODS_RETRY;
    arrivals_tell(&lane->arrivals, lane->worker.sink, slot->batch);
    begin_attempt(&attempts);
    enum ods_status status = worker_apply(&lane->worker, slot->batch, &hooks, &result, wait_more,
                                          &attempts, &error);
    begin_phase(lane, APPLY_PHASES);

    metrics_rows(&lane->metrics, &result);
    if (status == ODS_OK)
        learn_patience(lane, slot->batch, patience);
    if (status == ODS_OK) {
        end_outage(lane, outage);
        table_counting_add(&lane->counting, slot->batch);
        metrics_applied(&lane->metrics, slot->batch, time_monotonic_us() - attempts.started_us);
        if (lane->shared->tracer)
            trace(&attempts);
        if (slot->batch->reject_count)
            log_rejects(lane, slot->batch);
    } else if (status == ODS_FENCED) {
        end_outage(lane, outage);
        atomic_fetch_add(&lane->metrics.fenced, 1);
        lane_note_error(lane, error.text);
        log_event(LOG_WARN, LANE_FIELDS(lane), "drops a batch, its offsets moved meanwhile: %s",
                  error.text);
    } else if (status == ODS_RETRY && (slot->batch->awaiting || attempts.in_vain)) {
        end_outage(lane, outage);
        give_back(lane, slot);
    } else if (status == ODS_RETRY) {
        atomic_fetch_add(&lane->metrics.abandoned, 1);
    } else {
        fail(lane, &error);
        status = ODS_FATAL;
    }
    return status;
}

/* A batch that was not applied comes again, and what follows it must not come before it. Where the
 * stored offsets don't see to that, a batch is not applied either if the consumer handed it over
 * before it had all those back that the writer has not applied until now. (They do see to it, but
 * as to a fault, which it is none where a record has to wait.) */
static bool follows_lost(const struct lane *lane, const struct slot *slot)
{
    return slot->epoch < lane->given_back ||
           (slot->epoch < lane->lost &&
            (slot->batch->delivers ||
             lane->worker.sink->ops->guarantee != EXACT_BY_STORED_OFFSET));
}

static enum ods_status apply_in_turn(struct lane *lane, struct slot *slot, struct outage *outage)
{
    bool follows = follows_lost(lane, slot);
    enum ods_status status = follows ? ODS_RETRY : apply(lane, slot, outage);
    lane->lost += status != ODS_OK;
    if (follows && slot->epoch < lane->given_back)
        lane->given_back = lane->lost; /* what goes on behind it is given back too */
    return status;
}

/* False: no more attempts. */
static bool wait_for_target(void *context, struct error *error)
{
    struct attempts *attempts = context;
    if (!wait_out(attempts->lane, attempts->slot, attempts->outage, error) ||
        given_up(attempts->lane, attempts->slot))
        return false;
    set_state(attempts->lane, LANE_APPLYING);
    return true;
}

/* What the target's offsets are, for the partitions that the consumer asks about. */
static enum ods_status answer(struct lane *lane, struct slot *slot, struct outage *outage)
{
    struct attempts attempts = {.lane = lane, .slot = slot, .outage = outage};
    struct error error;
    begin(lane);
    if (given_up(lane, slot))
        return ODS_RETRY;
    set_state(lane, LANE_APPLYING);
    enum ods_status status = worker_resume(&lane->worker, lane->asked, lane->asked_count,
                                           wait_for_target, &attempts, &error);
    if (status == ODS_OK) {
        end_outage(lane, outage);
    } else if (status != ODS_RETRY) {
        fail(lane, &error);
        status = ODS_FATAL;
    }
    return status;
}

void *writer_main(void *context)
{
    struct lane *lane = context;
    struct outage outage = {0};
    struct batch *batch;
    bool closed;
    struct sink *sink = lane->worker.sink;
    int64_t wait_ms = sink->ops->rest ? REST_MS : -1;
    while ((batch = queue_pop(lane->queue, wait_ms, &closed)) || !closed) {
        if (!batch && sink->ops->rest)
            sink->ops->rest(sink);
        if (!batch)
            continue;
        struct slot *slot = lane_slot(lane, batch);
        slot->outcome = slot->is_request ? answer(lane, slot, &outage)
                                         : apply_in_turn(lane, slot, &outage);
        set_state(lane, LANE_IDLE);
        queue_push_done(lane->queue, batch);
    }
    set_state(lane, LANE_STOPPED);
    return NULL;
}
