/* One member of a consumer group, on librdkafka. source_ops say what each function answers.
 *
 * Messages are taken one by one with rd_kafka_consumer_poll(rk, 0) until the queue is empty; the
 * thread then sleeps on an eventfd that librdkafka (and the lane's writer) write to. That costs a
 * tenth of a microsecond a message and leaves out the batch API, which in librdkafka 2.0 can return
 * messages of partitions that a rebalance in the same call took away.
 *
 * A partition is assigned paused, and starts when its offset has been read from the target. The
 * group's protocol never waits for the target.
 */
#include "source/kafka/kafka_conf.h"
#include "source/kafka/kafka_member.h"
#include "source/kafka/kafka_record.h"
#include "source/kafka/kafka_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"

#define GIVING_US INT64_C(30000000) /* a rebalance that takes partitions is over by then */
#define PROBE_US  INT64_C(5000000)  /* between two questions whether a broker is there */
#define PROD_US   INT64_C(100000)
#define PROD_MS   (PROD_US / 1000)

static atomic_bool left_running; /* a consumer was not closed */

/* Of the leak detector, where the program is built with it. */
extern void __lsan_ignore_object(const void *object) __attribute__((weak));

/* Kafka can't be used at the moment. librdkafka goes on trying; the log says so once, then rarely.
 */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_source *source = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        return; /* also comes as a message, where it stops the lane */
    source->cluster_in_doubt = true;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
        code == RD_KAFKA_RESP_ERR__SSL)
        atomic_store(&source->away, true);
    else
        atomic_store(&source->in_doubt, true);
    if (rare_due(&source->trouble))
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "Kafka: %s (%s); trying again", reason, rd_kafka_err2name(code));
}

/* Served from the consumer's poll. */
static int on_statistics(rd_kafka_t *rk, char *json, size_t length, void *opaque)
{
    struct kafka_source *source = opaque;
    kafka_statistics_take(&source->statistics, json, length);
    return 0; /* librdkafka frees it */
}

static void is_back(struct kafka_source *source)
{
    if (!atomic_exchange(&source->away, false))
        return;
    source->trouble = (struct rare){0};
    if (atomic_load(&source->joining_us)) /* the group could not answer while they were away */
        atomic_store(&source->joining_us, time_wall_us());
    log_event(LOG_INFO, LOG_FIELDS(source), "Kafka answers again");
}

/* The lanes of a pipeline tell of a rebalance together; this is one lane's part of it. */
static void log_rebalance(struct kafka_source *source, const char *what,
                          const rd_kafka_topic_partition_list_t *partitions)
{
    log_event(LOG_DEBUG, LOG_FIELDS(source), "%d partition%s %s", partitions->cnt,
              partitions->cnt == 1 ? "" : "s", what);
    for (int i = 0; i < partitions->cnt; i++)
        log_event(LOG_DEBUG, LOG_FIELDS(source), "%s: %s [%d]", what, partitions->elems[i].topic,
                  (int) partitions->elems[i].partition);
}

static void log_failure(struct kafka_source *source, rd_kafka_error_t *failure)
{
    if (!failure)
        return;
    log_event(LOG_WARN, LOG_FIELDS(source), "rebalance: %s", rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
}

/* A paused partition that is assigned at an absolute offset asks the broker for nothing, and can be
 * sought at once. */
static void assign_paused(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = 0;
    rd_kafka_pause_partitions(source->rk, partitions);
    log_failure(source, rd_kafka_incremental_assign(source->rk, partitions));
    rd_kafka_pause_partitions(source->rk, partitions);
}

/* A partition that librdkafka has stopped (its offset was out of range) can't be sought. */
void kafka_assign_again(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    log_failure(source, rd_kafka_incremental_unassign(source->rk, partitions));
    assign_paused(source, partitions);
}

/* All at once; one by one when memory is out. */
static void tell_assigned(struct kafka_source *source,
                          const rd_kafka_topic_partition_list_t *list)
{
    struct place *places = kafka_places(list);
    if (places)
        source->events.assigned(source->events.context, places, (size_t) list->cnt);
    for (int i = 0; !places && i < list->cnt; i++) {
        const struct place place = {.topic = list->elems[i].topic,
                                    .partition = list->elems[i].partition};
        source->events.assigned(source->events.context, &place, 1);
    }
    free(places);
}

static void tell_revoked(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list,
                         bool lost)
{
    struct place *places = kafka_places(list);
    if (places)
        source->events.revoked(source->events.context, places, (size_t) list->cnt, lost);
    for (int i = 0; !places && i < list->cnt; i++) {
        const struct place place = {.topic = list->elems[i].topic,
                                    .partition = list->elems[i].partition};
        source->events.revoked(source->events.context, &place, 1, lost);
    }
    free(places);
}

static void on_assign(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    assign_paused(source, partitions);
    source->was_assigned = true;
    source->giving_until_us = 0;
    source->assigned += partitions->cnt;
    kafka_has_joined(source);
    is_back(source);
    log_rebalance(source, "assigned", partitions);
    tell_assigned(source, partitions);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct kafka_source *source = opaque;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(source, partitions);
        return;
    }
    bool lost = rd_kafka_assignment_lost(rk);
    if (lost)
        kafka_is_joining(source);
    source->giving_until_us = time_monotonic_us() + GIVING_US;
    source->assigned -= partitions->cnt;
    if (partitions->cnt)
        log_rebalance(source, lost ? "lost" : "revoked", partitions);
    tell_revoked(source, partitions, lost);
    log_failure(source, rd_kafka_incremental_unassign(rk, partitions));
}

/* One for so many partitions; NULL with the error filled. */
static rd_kafka_t *client_new(struct kafka_source *source, int partitions, struct error *error)
{
    char text[512];
    rd_kafka_conf_t *conf = kafka_consumer_conf(source->settings, source->pipeline, source->index,
                                                partitions, error);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_stats_cb(conf, on_statistics);
    rd_kafka_t *rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk)
        return rk;
    error_set(error, ODS_FATAL, "can't make a Kafka consumer: %s", text);
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static void listen_to(struct kafka_source *source, rd_kafka_t *rk)
{
    static const uint64_t one = 1;
    source->rk = rk;
    rd_kafka_poll_set_consumer(rk);
    source->queue = rd_kafka_queue_get_consumer(rk);
    source->commits = rd_kafka_queue_new(rk);
    rd_kafka_queue_io_event_enable(source->queue, source->wake_fd, &one, sizeof one);
}

static void drop_queues(struct kafka_source *source)
{
    if (source->queue)
        rd_kafka_queue_destroy(source->queue);
    if (source->commits)
        rd_kafka_queue_destroy(source->commits);
    source->queue = source->commits = NULL;
}

bool kafka_fit(struct kafka_source *source, int partitions, struct error *error)
{
    rd_kafka_t *old = source->rk, *fitting = client_new(source, partitions, error);
    if (!fitting)
        return false;
    drop_queues(source);
    rd_kafka_destroy(old);
    listen_to(source, fitting);
    source->look_us = kafka_look_ms(&source->settings->kafka, partitions) * 1000;
    return true;
}

static void kafka_close(struct source *base);

static enum ods_status kafka_open(struct source **out, const struct source_config *config,
                                  struct error *error)
{
    const struct settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    enum ods_status status = ODS_FATAL;
    rd_kafka_t *rk;
    struct kafka_source *source = calloc(1, sizeof *source);
    if (source)
        source->topics = kafka_topics_new(settings, pipeline);
    if (!source || !source->topics) {
        error_set(error, ODS_FATAL, "out of memory for a consumer");
        goto out;
    }
    source->base.ops = &kafka_source_ops;
    source->events = config->events;
    source->settings = settings;
    source->pipeline = pipeline;
    source->index = config->lane;
    source->wake_fd = config->wake_fd;
    source->is_static = properties_find(&settings->kafka.properties, "group.instance.id") != NULL;
    source->look_us = kafka_look_ms(&settings->kafka, 0) * 1000;
    snprintf(source->lane, sizeof source->lane, "%zu", config->lane);
    kafka_nudge_init(&source->nudge);
    rk = client_new(source, 0, error);
    if (!rk)
        goto out;
    listen_to(source, rk);
    status = ODS_OK;
out:
    if (status != ODS_OK) {
        kafka_close(source ? &source->base : NULL);
        source = NULL;
    }
    *out = source ? &source->base : NULL;
    return status;
}

static void kafka_close(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    if (!source)
        return;
    drop_queues(source);
    if (source->subscribed)
        rd_kafka_topic_partition_list_destroy(source->subscribed);
    if (source->rk && source->must_leak) {
        /* The process ends; its callbacks may still use the source. */
        atomic_store(&left_running, true);
        if (__lsan_ignore_object) {
            __lsan_ignore_object(source);
            __lsan_ignore_object(source->rk);
        }
        return;
    }
    if (source->rk)
        rd_kafka_destroy(source->rk);
    kafka_topics_free(source->topics);
    free(source);
}

bool kafka_left_running(void)
{
    return atomic_load(&left_running);
}

/* True: passing trouble that librdkafka goes on with, logged rarely. */
static bool passes(struct kafka_source *source, const rd_kafka_message_t *message,
                   struct error *error)
{
    char text[512];
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t code = rd_kafka_fatal_error(source->rk, text, sizeof text);
        error_set(error, ODS_FATAL, "Kafka: %s: %s", rd_kafka_err2name(code), text);
        return false;
    }
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        if (rare_due(&source->missing_topic))
            log_event(LOG_INFO, LOG_FIELDS(source),
                      "there is no topic %s yet; it is picked up when "
                      "it appears",
                      topic);
        return true;
    }
    if (rare_due(&source->trouble))
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "Kafka: %s%s%s; trying again", topic, *topic ? ": " : "",
                  rd_kafka_message_errstr(message));
    return true;
}

/* SOURCE_NOTHING: one that says nothing to the lane. */
static enum source_event event_of(struct kafka_source *source, const rd_kafka_message_t *message,
                                  struct error *error)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return SOURCE_END;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && message->rkt)
        return SOURCE_GAP;
    return passes(source, message, error) ? SOURCE_NOTHING : SOURCE_FAILED;
}

static enum source_event kafka_next(struct source *base, struct record *record,
                                    struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    enum source_event event = SOURCE_NOTHING;
    rd_kafka_message_t *message;
    while (event == SOURCE_NOTHING && (message = rd_kafka_consumer_poll(source->rk, 0))) {
        source->nudge.taken_bytes += message->len;
        if (!message->err) {
            if (atomic_load_explicit(&source->away, memory_order_relaxed))
                is_back(source);
            event = SOURCE_RECORD;
        } else {
            event = event_of(source, message, error);
        }
        if (event == SOURCE_NOTHING)
            rd_kafka_message_destroy(message);
        else
            kafka_record(message, record);
    }
    return event;
}

static void kafka_look(const struct source *base, struct source_state *state)
{
    const struct kafka_source *source = (const struct kafka_source *) base;
    *state = (struct source_state){.joined = atomic_load(&source->joined),
                                   .without_topics = atomic_load(&source->without_topics),
                                   .away = atomic_load(&source->away),
                                   .joining_us = atomic_load(&source->joining_us),
                                   .hindrance = atomic_load(&source->hindrance)};
}

/* librdkafka's main thread looks at its clock when something wakes it, else once a second, so that
 * heartbeats come late, and with them the news that another member joins and waits. A question
 * wakes it. */
static void prod(struct kafka_source *source)
{
    int64_t now_us = time_monotonic_us();
    if (now_us < source->next_prod_us)
        return;
    source->next_prod_us = now_us + PROD_US;
    if (!kafka_is_member(source) && source->was_assigned)
        kafka_is_joining(source); /* expelled, with partitions or without */
}

static int64_t kafka_turn(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    prod(source);
    kafka_nudge_now(&source->nudge, source->rk, source->queue);
    int64_t patience_ms = kafka_nudge_patience_ms(&source->nudge);
    return patience_ms < PROD_MS ? patience_ms : PROD_MS;
}

/* Are the brokers there? librdkafka tells that all of them are down in most cases, not in all; and
 * without records nothing tells that they are back. */
static void probe(struct kafka_source *source)
{
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(source->rk, 0, NULL, &metadata, 1000)) {
        atomic_store(&source->away, true);
        return;
    }
    rd_kafka_metadata_destroy(metadata);
    is_back(source);
}

static void kafka_housekeep(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    int64_t now_us = time_monotonic_us();
    kafka_take_commits(source);
    kafka_watch_joining(source);
    if (source->may_join && !atomic_load(&source->away) && now_us >= source->next_look_us)
        kafka_look_for_topics(source, now_us);
    kafka_watch_shares(source, now_us);
    if (now_us >= source->next_probe_us &&
        (atomic_exchange(&source->in_doubt, false) || atomic_load(&source->away))) {
        source->next_probe_us = now_us + PROBE_US;
        probe(source);
    }
}

static void kafka_tell(const struct source *base, double *values)
{
    kafka_statistics_tell(&((const struct kafka_source *) base)->statistics, values);
}

static void kafka_refresh(struct source *base)
{
    ((struct kafka_source *) base)->next_look_us = 0;
}

static enum ods_status kafka_open_reader(struct topic_reader **reader,
                                         const struct source_config *config, struct error *error)
{
    struct kafka_tool *tool;
    enum ods_status status =
        kafka_tool_open(&tool, config->settings, config->pipeline->group_id, error);
    *reader = status == ODS_OK ? kafka_tool_reader(tool) : NULL;
    return status;
}

const struct source_ops kafka_source_ops = {
    .type = "kafka",
    .summary = "topics of a Kafka cluster, shared among the lanes of a consumer group",
    .kind = SOURCE_OFFSETS,
    .parted = true,
    .open = kafka_open,
    .join = kafka_join,
    .next = kafka_next,
    .start = kafka_start,
    .pause = kafka_pause,
    .ack = kafka_ack,
    .acked = kafka_acked,
    .ends = kafka_ends,
    .offsets_at = kafka_offsets_at,
    .partitions = kafka_partitions,
    .known_end = kafka_known_end,
    .cluster = kafka_cluster,
    .turn = kafka_turn,
    .housekeep = kafka_housekeep,
    .refresh = kafka_refresh,
    .look = kafka_look,
    .numbers = kafka_statistic_rows,
    .tell = kafka_tell,
    .release = kafka_release,
    .headers = kafka_headers,
    .leave = kafka_leave,
    .close = kafka_close,
    .check = kafka_check,
    .membership = kafka_membership,
    .open_reader = kafka_open_reader,
};
