/* A lane's beginning, end, and what others may ask of it. What its threads do stands in consumer.c,
 * rebalance.c and writer.c. */
#include "pipeline/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/time.h"
#include "core/utf8.h"
#include "core/wait.h"
#include "pipeline/lane_room.h"

/* A thread without a sign of life for this long is stuck. A thread that waits during an outage, or
 * for a statement of the target, gives signs of life: a statement may take hours, and an alter that
 * rewrites a table must not be ended and begun again for ever. */
#define CONSUMER_STUCK_US INT64_C(60000000)
#define WRITER_STUCK_US   INT64_C(600000000)

void lane_limits_set(struct lane_limits *limits, const struct settings *settings)
{
    atomic_store(&limits->max_events, settings->batch.max_events);
    atomic_store(&limits->max_bytes, settings->batch.max_bytes);
    atomic_store(&limits->max_wait_ms, settings->batch.max_wait_ms);
    atomic_store(&limits->retry_initial_ms, settings->retry.initial_ms);
    atomic_store(&limits->retry_max_ms, settings->retry.max_ms);
    atomic_store(&limits->retry_max_elapsed_ms, settings->retry.max_elapsed_ms);
    atomic_store(&limits->constraint_attempts, settings->retry.constraint_attempts);
}

void lane_wake(void *context)
{
    struct lane *lane = context;
    const uint64_t one = 1;
    ssize_t sent = write(lane->wake_fd, &one, sizeof one);
    (void) sent; /* full: it is awake already */
}

void lane_wake_writer(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    pthread_cond_broadcast(&lane->pause);
    pthread_mutex_unlock(&lane->mutex);
}

void lane_note_error(struct lane *lane, const char *text)
{
    pthread_mutex_lock(&lane->mutex);
    utf8_copy(lane->last_error, sizeof lane->last_error, text, strlen(text));
    recent_note(&lane->recent, false, text);
    pthread_mutex_unlock(&lane->mutex);
}

void lane_note_letters(struct lane *lane, const char *text)
{
    pthread_mutex_lock(&lane->mutex);
    recent_note(&lane->recent, true, text);
    pthread_mutex_unlock(&lane->mutex);
}

json_t *lane_recent(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    json_t *list = recent_describe(&lane->recent);
    pthread_mutex_unlock(&lane->mutex);
    return list;
}

void lane_fail(struct lane *lane, int exit_code, const struct error *error)
{
    lane_fail_for(lane, exit_code, error, "");
}

void lane_fail_for(struct lane *lane, int exit_code, const struct error *error, const char *trace)
{
    pthread_mutex_lock(&lane->mutex);
    bool first = !lane->exit_code;
    if (first) {
        lane->exit_code = exit_code;
        lane->failure = *error;
        utf8_copy(lane->last_error, sizeof lane->last_error, error->text, strlen(error->text));
    }
    recent_note(&lane->recent, false, error->text);
    atomic_store(&lane->failed, true);
    pthread_cond_broadcast(&lane->pause);
    pthread_mutex_unlock(&lane->mutex);
    log_event(LOG_ERROR, RECORD_FIELDS(lane, trace), "%s%s", first ? "stopped: " : "", error->text);
    lane_wake(lane);
}

struct slot *lane_slot(struct lane *lane, const struct batch *batch)
{
    struct slot *slot = lane->slots;
    while (slot->batch != batch)
        slot++;
    return slot;
}

/* Is this the first lane with this notice? When the table is full, each lane logs it. */
static bool first_to_tell(struct lane_shared *shared, const char *text)
{
    uint_fast64_t hash = hash_bytes(text, strlen(text), 0) | 1;
    for (size_t i = 0; i < sizeof shared->told / sizeof *shared->told; i++) {
        uint_fast64_t held = 0;
        if (atomic_compare_exchange_strong(&shared->told[i], &held, hash))
            return true;
        if (held == hash)
            return false;
    }
    return true;
}

static void decoder_notice(void *context, const char *text)
{
    struct lane *lane = context;
    if (first_to_tell(lane->shared, text))
        log_event(LOG_WARN, LANE_FIELDS(lane), "%s", text);
}

static void writer_is_alive(void *context)
{
    struct lane *lane = context;
    atomic_store_explicit(&lane->writer_beat_us, time_monotonic_us(), memory_order_relaxed);
}

static enum ods_status open_source(struct lane *lane, struct error *error)
{
    struct source_config config = {.lane = lane->index,
                                   .wake_fd = lane->wake_fd,
                                   .events = {rebalance_assigned, rebalance_revoked,
                                              rebalance_acknowledged, lane}};
    const struct source_ops *ops = worker_source(lane->settings, lane->pipeline, &config);
    return ops->open(&lane->source, &config, error);
}

static enum ods_status open_plugins(struct lane *lane, int *exit_code, struct error *error)
{
    const struct pipeline_settings *pipeline = lane->pipeline;
    enum ods_status status;
    *exit_code = CLI_CONFIG;
    for (size_t i = 0; i < pipeline->topics.count; i++)
        if (strcmp(pipeline->topics.items[i], lane->settings->dead_letter.topic) == 0)
            return error_set(error, ODS_FATAL,
                             "pipeline \"%s\" reads \"%s\", which is dead_letter.topic: its bad "
                             "records would come back for ever",
                             pipeline->name, lane->settings->dead_letter.topic);
    const struct worker_options options = {.settings = lane->settings,
                                           .pipeline = pipeline,
                                           .helper = lane->shared->helper,
                                           .quality = &lane->shared->quality,
                                           .notice = decoder_notice,
                                           .context = lane,
                                           .alive = writer_is_alive,
                                           .alive_context = lane};
    status = worker_open(&lane->worker, &options, error);
    const struct deadletter_origin origin = {
        .pipeline = pipeline, .target_type = lane->target->type, .lane = lane->index};
    if (status == ODS_OK && *lane->settings->dead_letter.topic)
        status = deadletter_kafka_open(&lane->deadletter, lane->settings, &origin, error);
    if (status == ODS_OK && *lane->settings->dead_letter.address)
        status = deadletter_amqp_open(&lane->deadletter, lane->settings, &origin, error);
    if (status == ODS_OK && *lane->settings->dead_letter.table)
        status = deadletter_table_open(&lane->deadletter, lane->settings, &origin, error);
    if (status != ODS_OK)
        return status;
    return open_source(lane, error);
}

/* How many batches the lane owns. */
static size_t batch_count(const struct lane *lane)
{
    size_t count = (size_t) lane->settings->batch.per_lane;
    size_t most = lane->worker.sink->wants.batches;
    if (!most || most > BATCHES_MAX)
        most = BATCHES_MAX;
    return count < most ? count : most;
}

/* The pool, and one more batch that carries requests for offsets to the writer. */
static enum ods_status make_batches(struct lane *lane, struct error *error)
{
    const struct sink_wants *wants = &lane->worker.sink->wants;
    size_t count = batch_count(lane);
    for (size_t i = 0; i <= count; i++) {
        struct batch *batch = batch_new();
        if (!batch)
            return error_set(error, ODS_FATAL, "out of memory for batches");
        if (wants->fills && wants->min_bytes > 0)
            batch->keep_bytes = (size_t) wants->min_bytes;
        lane->slots[lane->slot_count].batch = batch;
        lane->slots[lane->slot_count++].is_request = i == count;
        if (i < count)
            lane->idle[lane->idle_count++] = batch;
    }
    lane->queue = queue_new(lane->slot_count);
    if (!lane->queue)
        return error_set(error, ODS_FATAL, "out of memory for a queue");
    queue_on_done(lane->queue, lane_wake, lane);
    return ODS_OK;
}

static enum ods_status start_threads(struct lane *lane, struct error *error)
{
    int code = pthread_create(&lane->writer, NULL, writer_main, lane);
    lane->writer_runs = code == 0;
    if (lane->writer_runs) {
        code = pthread_create(&lane->consumer, NULL, consumer_main, lane);
        lane->consumer_runs = code == 0;
    }
    if (code)
        return error_set(error, ODS_FATAL, "can't start a thread: %s", strerror(code));
    return ODS_OK;
}

static struct lane *lane_new(void)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    pthread_mutex_init(&lane->mutex, NULL);
    atomic_init(&lane->letters_ready, true);
    atomic_init(&lane->obeyed, -1);
    lane->ordered = -1;
    wait_init(&lane->pause);
    assignment_init(&lane->assignment);
    metrics_init(&lane->metrics);
    error_init(&lane->failure);
    lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    atomic_store(&lane->writer_state, LANE_IDLE);
    atomic_store(&lane->consumer_beat_us, time_monotonic_us());
    atomic_store(&lane->writer_beat_us, time_monotonic_us());
    atomic_store(&lane->writer_since_us, time_monotonic_us());
    return lane;
}

enum ods_status lane_start(struct lane **out, const struct settings *settings,
                           const struct pipeline_settings *pipeline,
                           struct lane_shared *shared, size_t index, int *exit_code,
                           struct error *error)
{
    enum ods_status status;
    struct lane *lane = lane_new();
    *out = NULL;
    *exit_code = CLI_INTERNAL;
    if (!lane)
        return error_set(error, ODS_FATAL, "out of memory for a lane");
    lane->settings = settings;
    lane->pipeline = pipeline;
    lane->target = settings_target(settings, pipeline->target);
    lane->shared = shared;
    lane->limits = shared->limits;
    lane->batch_bytes = worker_batch_bytes(settings, pipeline, INT64_MAX);
    lane->counting = (struct table_counting){.counts = &shared->tables, .lane = index};
    lane->index = index;
    lane->patience = -1;
    lane->phase = APPLY_PHASES;
    snprintf(lane->index_text, sizeof lane->index_text, "%zu", index);
    if (lane->wake_fd < 0)
        status = error_set(error, ODS_FATAL, "eventfd: out of file descriptors");
    else
        status = open_plugins(lane, exit_code, error);
    if (status == ODS_OK) {
        *exit_code = CLI_INTERNAL;
        status = make_batches(lane, error);
    }
    if (status == ODS_OK)
        status = start_threads(lane, error);
    if (status != ODS_OK) {
        lane_join(lane);
        return status;
    }
    *out = lane;
    return ODS_OK;
}

void lane_look_again(struct lane *lane)
{
    lane_wake(lane);
}

int64_t lane_obeys(const struct lane *lane)
{
    return atomic_load(&lane->ended) ? INT64_MAX : atomic_load(&lane->obeyed);
}

void lane_give_up(struct lane *lane, int exit_code, const struct error *error)
{
    lane_fail(lane, exit_code, error);
}

struct watch *lane_watch(const struct lane *lane)
{
    return lane->shared->watch;
}

const struct number *lane_source_numbers(const struct lane *lane, double *values)
{
    const struct source_ops *ops = lane->source->ops;
    if (ops->numbers)
        ops->tell(lane->source, values);
    return ops->numbers;
}

const struct number *lane_target_numbers(const struct lane *lane, double *values)
{
    const struct sink *sink = lane->worker.sink;
    if (sink->ops->numbers)
        sink->ops->tell(sink, values);
    return sink->ops->numbers;
}

struct table_counts *lane_tables(const struct lane *lane)
{
    return &lane->shared->tables;
}

void lane_stop(struct lane *lane)
{
    atomic_store(&lane->stop, true);
    lane_wake(lane);
    lane_wake_writer(lane);
}

void lane_abandon(struct lane *lane)
{
    atomic_store(&lane->abandon, true);
    worker_interrupt(&lane->worker);
    if (lane->deadletter)
        lane->deadletter->ops->interrupt(lane->deadletter);
    lane_wake(lane);
    lane_wake_writer(lane);
}

bool lane_ended(const struct lane *lane)
{
    return atomic_load(&lane->ended);
}

int lane_join(struct lane *lane)
{
    if (!lane)
        return 0;
    if (lane->consumer_runs)
        pthread_join(lane->consumer, NULL);
    if (lane->queue)
        queue_close(lane->queue);
    if (lane->writer_runs)
        pthread_join(lane->writer, NULL);
    int exit_code = lane->exit_code;
    for (size_t i = 0; i < lane->slot_count; i++) {
        batch_free(lane->slots[i].batch);
        traces_done(&lane->slots[i].traces);
    }
    if (lane->source)
        lane->source->ops->close(lane->source);
    arrivals_done(&lane->arrivals);
    worker_close(&lane->worker);
    deadletter_close(lane->deadletter);
    queue_free(lane->queue);
    table_counting_done(&lane->counting);
    assignment_done(&lane->assignment);
    if (lane->wake_fd >= 0)
        close(lane->wake_fd);
    pthread_mutex_destroy(&lane->mutex);
    pthread_cond_destroy(&lane->pause);
    free(lane->asked);
    free(lane->shown);
    free(lane);
    return exit_code;
}

const char *lane_state_name(enum lane_state state)
{
    static const char *const names[] = {
        [LANE_JOINING] = "joining", [LANE_WITHOUT_TOPICS] = "waiting for topics",
        [LANE_IDLE] = "idle",    [LANE_APPLYING] = "applying",
        [LANE_WAITING] = "waiting", [LANE_STOPPED] = "stopped"};
    return names[state];
}

static bool is_stuck(const struct lane *lane)
{
    int64_t now_us = time_monotonic_us();
    if (atomic_load(&lane->ended))
        return false;
    if (now_us - atomic_load(&lane->consumer_beat_us) > CONSUMER_STUCK_US)
        return true;
    return atomic_load(&lane->writer_state) == LANE_APPLYING &&
           now_us - atomic_load(&lane->writer_beat_us) > WRITER_STUCK_US;
}

void lane_status(struct lane *lane, struct lane_status *status)
{
    struct source_state source;
    lane->source->ops->look(lane->source, &source);
    *status = (struct lane_status){
        .pipeline = lane->pipeline->name,
        .group = lane->pipeline->group_id,
        .target = lane->pipeline->target,
        .index = lane->index,
        .state = (enum lane_state) atomic_load(&lane->writer_state),
        .joined = source.joined,
        .without_topics = source.without_topics,
        .source_away = source.away,
        .joining_us = source.joining_us,
        .hindrance = source.hindrance,
        .target_ready = atomic_load(&lane->target_ready),
        .letters_ready = atomic_load(&lane->letters_ready),
        .stuck = is_stuck(lane),
        .source_away_us = atomic_load(&lane->source_away_us),
        .outage_us = atomic_load(&lane->outage_us),
        .put_off_us = atomic_load(&lane->put_off_us),
        .state_us = time_monotonic_us() - atomic_load(&lane->writer_since_us),
    };
    if (atomic_load(&lane->ended) || atomic_load(&lane->failed))
        status->state = LANE_STOPPED;
    else if (status->state == LANE_IDLE && !status->joined)
        status->state = status->without_topics ? LANE_WITHOUT_TOPICS : LANE_JOINING;
    pthread_mutex_lock(&lane->mutex);
    status->exit_code = lane->exit_code;
    memcpy(status->last_error, lane->last_error, sizeof status->last_error);
    pthread_mutex_unlock(&lane->mutex);
}

const struct lane_partition *lane_lock_partitions(struct lane *lane, size_t *count)
{
    pthread_mutex_lock(&lane->mutex);
    *count = lane->shown_count;
    return lane->shown;
}

int64_t lane_shown_us(const struct lane *lane)
{
    return lane->shown_us;
}

int64_t lane_released_us(const struct lane *lane)
{
    return atomic_load(&lane->released_us);
}

void lane_unlock_partitions(struct lane *lane)
{
    pthread_mutex_unlock(&lane->mutex);
}

const struct metrics *lane_metrics(const struct lane *lane)
{
    return &lane->metrics;
}
