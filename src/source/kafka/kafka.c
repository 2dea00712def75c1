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
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_conf.h"
#include "source/kafka/kafka_record.h"
#include "source/kafka/kafka_tool.h"
#include "source/kafka/kafka_topics.h"
#include "source/kafka/kafka_workarounds.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/rare.h"
#include "core/time.h"

#define CALL_TIMEOUT_MS     2000
#define ASSIGNMENT_WAIT_US  INT64_C(4000000)
#define UNSUBSCRIBE_WAIT_US INT64_C(1000000)
#define LOOK_US             INT64_C(3000000) /* between two looks while there are no topics */
#define LOOK_TIMEOUT_MS     1000
#define GIVING_US           INT64_C(30000000) /* a rebalance that takes partitions is over by then */
#define PROBE_US            INT64_C(5000000) /* between two questions whether a broker is there */
#define PROD_US             INT64_C(100000)
#define PROD_MS             (PROD_US / 1000)

static atomic_bool left_running; /* a consumer was not closed */

/* Of the leak detector, where the program is built with it. */
extern void __lsan_ignore_object(const void *object) __attribute__((weak));

struct kafka_source {
    struct source base;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *commits; /* answers to those that nobody waits for */
    bool commit_out;           /* one is not answered yet */
    struct source_events events;
    const struct pipeline_settings *pipeline;
    char lane[24];
    struct kafka_nudge nudge;
    struct kafka_topics *topics;
    rd_kafka_topic_partition_list_t *subscribed; /* NULL: none yet */
    int64_t look_us;                             /* between two looks for topics */
    int64_t giving_until_us;                     /* partitions are being taken away */
    bool may_join;      /* kafka_join() was called */
    bool was_assigned;  /* at least once */
    bool must_leak;     /* left without ever having been assigned anything: not closed */
    atomic_bool joined, away, without_topics;
    struct rare trouble, missing_topic;
    atomic_bool in_doubt; /* a connection broke: are there brokers at all? */
    int64_t next_probe_us, next_look_us, next_prod_us;
};

#define LOG_FIELDS(source)                                                                         \
    ((const char *const[]){"pipeline", (source)->pipeline->name, "lane", (source)->lane, NULL})

/* Kafka can't be used at the moment. librdkafka goes on trying; the log says so once, then rarely.
 */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_source *source = opaque;
    uint64_t held_back;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        return; /* also comes as a message, where it stops the lane */
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
        code == RD_KAFKA_RESP_ERR__SSL)
        atomic_store(&source->away, true);
    else
        atomic_store(&source->in_doubt, true);
    if (rare_due(&source->trouble, &held_back))
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "Kafka: %s (%s); trying again, %llu more like it "
                  "since the last line",
                  reason, rd_kafka_err2name(code), (unsigned long long) held_back);
}

static void is_back(struct kafka_source *source)
{
    if (!atomic_exchange(&source->away, false))
        return;
    source->trouble = (struct rare){0};
    log_event(LOG_INFO, LOG_FIELDS(source), "Kafka answers again");
}

static void log_rebalance(struct kafka_source *source, const char *what,
                          const rd_kafka_topic_partition_list_t *partitions)
{
    log_event(LOG_INFO, LOG_FIELDS(source), "%d partition%s %s", partitions->cnt,
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
static void assign_again(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
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
    atomic_store(&source->joined, true);
    atomic_store(&source->without_topics, false);
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
    source->giving_until_us = time_monotonic_us() + GIVING_US;
    if (partitions->cnt)
        log_rebalance(source, lost ? "lost" : "revoked", partitions);
    tell_revoked(source, partitions, lost);
    log_failure(source, rd_kafka_incremental_unassign(rk, partitions));
}

static bool same_topics(const rd_kafka_topic_partition_list_t *one,
                        const rd_kafka_topic_partition_list_t *other)
{
    if (!one || !other || one->cnt != other->cnt)
        return false;
    for (int i = 0; i < one->cnt; i++)
        if (strcmp(one->elems[i].topic, other->elems[i].topic) != 0)
            return false;
    return true;
}

/* Takes the list. */
static void subscribe(struct kafka_source *source, rd_kafka_topic_partition_list_t *found)
{
    rd_kafka_resp_err_t code = rd_kafka_subscribe(source->rk, found);
    if (code) {
        log_event(LOG_WARN, LOG_FIELDS(source), "can't subscribe: %s", rd_kafka_err2str(code));
        rd_kafka_topic_partition_list_destroy(found);
        return;
    }
    if (source->subscribed)
        rd_kafka_topic_partition_list_destroy(source->subscribed);
    source->subscribed = found;
}

static void tell_what_is_missing(struct kafka_source *source,
                                 rd_kafka_topic_partition_list_t *found)
{
    uint64_t held_back;
    const char *name;
    if (!found->cnt) {
        if (!source->subscribed && !atomic_exchange(&source->without_topics, true))
            log_event(LOG_WARN, LOG_FIELDS(source),
                      "no topic matches \"topics\" yet; they are picked up when they appear");
        return;
    }
    atomic_store(&source->without_topics, false);
    for (size_t at = 0; (name = kafka_topics_missing(source->topics, found, &at));)
        if (rare_due(&source->missing_topic, &held_back))
            log_event(LOG_INFO, LOG_FIELDS(source),
                      "there is no topic %s yet; it is picked up when it appears", name);
}

/* librdkafka could expand patterns by itself, whenever its metadata is refreshed. But in 2.0 a topic
 * that comes while partitions are being given back makes the member join anew with half of that
 * undone, and from then on it ignores its group: neither that the others rebalance nor that it was
 * expelled reaches it. A subscription that changes by a call waits for a rebalance to end; and no
 * other news of topics may come in meanwhile. */
static void look_for_topics(struct kafka_source *source, int64_t now_us)
{
    if (now_us < source->giving_until_us)
        return;
    rd_kafka_topic_partition_list_t *found =
        kafka_topics_look(source->topics, source->rk, source->subscribed, LOOK_TIMEOUT_MS);
    bool any = found && found->cnt;
    source->next_look_us = !any && source->look_us > LOOK_US ? now_us + LOOK_US
                           : any && source->look_us <= 0     ? INT64_MAX
                                                             : now_us + source->look_us;
    if (!found)
        return;
    rd_kafka_topic_partition_list_sort(found, NULL, NULL);
    tell_what_is_missing(source, found);
    if (any && !same_topics(source->subscribed, found))
        subscribe(source, found);
    else
        rd_kafka_topic_partition_list_destroy(found);
}

static void kafka_join(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    source->may_join = true;
    look_for_topics(source, time_monotonic_us());
}

static void kafka_close(struct source *base);

static enum ods_status kafka_open(struct source **out, const struct source_config *config,
                                  struct error *error)
{
    const struct settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    enum ods_status status = ODS_FATAL;
    char text[512];
    static const uint64_t one = 1;
    struct kafka_source *source = calloc(1, sizeof *source);
    rd_kafka_conf_t *conf = kafka_consumer_conf(settings, pipeline, config->lane, error);
    if (source)
        source->topics = kafka_topics_new(settings, pipeline);
    if (!source || !source->topics)
        error_set(error, ODS_FATAL, "out of memory for a consumer");
    if (!source || !source->topics || !conf)
        goto out;
    source->base.ops = &kafka_source_ops;
    source->events = config->events;
    source->pipeline = pipeline;
    source->look_us = kafka_look_ms(&settings->kafka) * 1000;
    snprintf(source->lane, sizeof source->lane, "%zu", config->lane);
    kafka_nudge_init(&source->nudge);
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    source->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!source->rk) {
        error_set(error, ODS_FATAL, "can't make a Kafka consumer: %s", text);
        goto out;
    }
    conf = NULL;
    rd_kafka_poll_set_consumer(source->rk);
    source->queue = rd_kafka_queue_get_consumer(source->rk);
    source->commits = rd_kafka_queue_new(source->rk);
    rd_kafka_queue_io_event_enable(source->queue, config->wake_fd, &one, sizeof one);
    status = ODS_OK;
out:
    if (conf)
        rd_kafka_conf_destroy(conf);
    if (status != ODS_OK) {
        kafka_close(source ? &source->base : NULL);
        source = NULL;
    }
    *out = source ? &source->base : NULL;
    return status;
}

static bool is_member(const struct kafka_source *source)
{
    char *member = rd_kafka_memberid(source->rk);
    bool known = member && *member;
    if (member)
        rd_kafka_mem_free(source->rk, member);
    return known;
}

/* Events are served meanwhile; what they bring is dropped. */
static void poll_until(struct kafka_source *source,
                       bool (*until)(const struct kafka_source *source), int64_t at_most_us)
{
    int64_t until_us = time_monotonic_us() + at_most_us;
    while (!until(source) && time_monotonic_us() < until_us) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->rk, 20);
        if (message)
            rd_kafka_message_destroy(message);
    }
}

static bool is_no_member(const struct kafka_source *source)
{
    return !is_member(source);
}

static bool is_settled(const struct kafka_source *source)
{
    return source->was_assigned || !is_member(source);
}

static bool has_partitions(const struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *partitions;
    if (rd_kafka_assignment(source->rk, &partitions))
        return false;
    bool any = partitions->cnt > 0;
    rd_kafka_topic_partition_list_destroy(partitions);
    return any;
}

static void kafka_leave(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_queue_io_event_enable(source->queue, -1, NULL, 0);
    /* Where closing a consumer between its joining and its first assignment makes librdkafka fail an
     * assertion of its sticky assignor, an assignment that is on its way is waited for, and who
     * never had one (the answer to its join may come any moment) leaves without being closed. */
    if (!kafka_closes_while_joining()) {
        poll_until(source, is_settled, ASSIGNMENT_WAIT_US);
        source->must_leak = source->subscribed && !source->was_assigned;
    }
    /* A subscription that waits for a rebalance to end would be leaked. */
    bool gives_back = has_partitions(source);
    if (source->subscribed)
        rd_kafka_unsubscribe(source->rk);
    /* Closing tells the group only when partitions are given back. Without any it would count as a
     * member until its session is over. */
    if (source->subscribed && !gives_back)
        poll_until(source, is_no_member, UNSUBSCRIBE_WAIT_US);
    if (!source->must_leak)
        rd_kafka_consumer_close(source->rk);
}

static void kafka_close(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    if (!source)
        return;
    if (source->queue)
        rd_kafka_queue_destroy(source->queue);
    if (source->commits)
        rd_kafka_queue_destroy(source->commits);
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
    uint64_t held_back;
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t code = rd_kafka_fatal_error(source->rk, text, sizeof text);
        error_set(error, ODS_FATAL, "Kafka: %s: %s", rd_kafka_err2name(code), text);
        return false;
    }
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        if (rare_due(&source->missing_topic, &held_back))
            log_event(LOG_INFO, LOG_FIELDS(source),
                      "there is no topic %s yet; it is picked up when "
                      "it appears",
                      topic);
        return true;
    }
    if (rare_due(&source->trouble, &held_back))
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "Kafka: %s%s%s; trying again, %llu more like it "
                  "since the last line",
                  topic, *topic ? ": " : "", rd_kafka_message_errstr(message),
                  (unsigned long long) held_back);
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

static void kafka_pause(struct source *base, const struct place *places, size_t count)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    rd_kafka_pause_partitions(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Those that were sought go on, the others are assigned anew. */
static void resume_good(struct kafka_source *source,
                        const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *good = rd_kafka_topic_partition_list_new(partitions->cnt);
    rd_kafka_topic_partition_list_t *bad = rd_kafka_topic_partition_list_new(1);
    for (int i = 0; i < partitions->cnt; i++)
        rd_kafka_topic_partition_list_add(partitions->elems[i].err ? bad : good,
                                          partitions->elems[i].topic,
                                          partitions->elems[i].partition);
    rd_kafka_resume_partitions(source->rk, good);
    if (bad->cnt)
        assign_again(source, bad);
    rd_kafka_topic_partition_list_destroy(bad);
    rd_kafka_topic_partition_list_destroy(good);
}

static enum ods_status kafka_start(struct source *base, struct place *places, size_t count,
                                   struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    enum ods_status status = ODS_OK;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    /* Paused first, so that the seek alone decides where fetching goes on. */
    rd_kafka_pause_partitions(source->rk, list);
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(source->rk, list, CALL_TIMEOUT_MS);
    if (failure) {
        status = error_set(error, ODS_RETRY, "seek: %s", rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
    } else {
        kafka_answers(list, places);
        resume_good(source, list);
        kafka_nudge_starting(&source->nudge);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

static enum ods_status kafka_acked(struct source *base, struct place *places, size_t count,
                                   struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    rd_kafka_resp_err_t code = rd_kafka_committed(source->rk, list, CALL_TIMEOUT_MS);
    for (int i = 0; !code && i < list->cnt; i++)
        code = list->elems[i].err;
    if (!code)
        kafka_answers(list, places);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return error_set(error, ODS_RETRY, "can't read the group's offsets: %s",
                         rd_kafka_err2str(code));
    return ODS_OK;
}

static enum ods_status kafka_ends(struct source *base, const char *topic, int32_t partition,
                                  int64_t *low, int64_t *high, struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(source->rk, topic, partition, low, high, CALL_TIMEOUT_MS);
    if (code)
        return error_set(error, ODS_RETRY, "topic %s partition %d: can't ask for its offsets: %s",
                         topic, (int) partition, rd_kafka_err2str(code));
    return ODS_OK;
}

static enum ods_status kafka_offsets_at(struct source *base, struct place *places, size_t count,
                                        struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(source->rk, list, CALL_TIMEOUT_MS);
    if (!code)
        kafka_answers(list, places);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return error_set(error, ODS_RETRY, "can't ask which offsets have a time: %s",
                         rd_kafka_err2str(code));
    return ODS_OK;
}

static enum ods_status kafka_partitions(struct source *base, const char *topic, int32_t *count,
                                        struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(source->rk, topic, NULL);
    rd_kafka_resp_err_t code =
        handle ? rd_kafka_metadata(source->rk, 0, handle, &metadata, CALL_TIMEOUT_MS)
               : rd_kafka_last_error();
    *count = !code && metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    if (handle)
        rd_kafka_topic_destroy(handle);
    if (*count <= 0)
        return error_set(error, ODS_RETRY, "topic %s: can't ask how many partitions it has: %s",
                         topic, code ? rd_kafka_err2str(code) : "no answer");
    return ODS_OK;
}

static int64_t kafka_known_end(struct source *base, const char *topic, int32_t partition)
{
    struct kafka_source *source = (struct kafka_source *) base;
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(source->rk, topic, partition, &low, &high) || high < 0)
        return -1;
    return high;
}

/* What is not told for want of memory is acknowledged again. */
static void tell_acknowledged(struct kafka_source *source,
                              const rd_kafka_topic_partition_list_t *list)
{
    struct place *places = kafka_places(list);
    if (places)
        source->events.acknowledged(source->events.context, places, (size_t) list->cnt);
    free(places);
}

static void take_commit(struct kafka_source *source, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *offsets =
        event ? rd_kafka_event_topic_partition_list(event) : NULL;
    if (!event || rd_kafka_event_error(event))
        log_event(LOG_DEBUG, LOG_FIELDS(source), "commit to the group: %s",
                  event ? rd_kafka_event_error_string(event) : "no answer in time");
    else if (offsets)
        tell_acknowledged(source, offsets);
    if (event)
        rd_kafka_event_destroy(event);
}

/* Not sent while an earlier one is not answered yet, unless it is waited for. */
static void commit(struct kafka_source *source, const rd_kafka_topic_partition_list_t *offsets,
                   int wait_ms)
{
    if (!wait_ms) {
        source->commit_out =
            source->commit_out ||
            !rd_kafka_commit_queue(source->rk, offsets, source->commits, NULL, NULL);
        return;
    }
    rd_kafka_queue_t *reply = rd_kafka_queue_new(source->rk);
    if (!rd_kafka_commit_queue(source->rk, offsets, reply, NULL, NULL))
        take_commit(source, rd_kafka_queue_poll(reply, wait_ms));
    rd_kafka_queue_destroy(reply);
}

static void kafka_ack(struct source *base, const struct place *places, size_t count, int wait_ms)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    commit(source, list, wait_ms);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Answers that have come. */
static void take_commits(struct kafka_source *source)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(source->commits, 0))) {
        source->commit_out = false;
        take_commit(source, event);
    }
}

static void kafka_look(const struct source *base, struct source_state *state)
{
    const struct kafka_source *source = (const struct kafka_source *) base;
    *state = (struct source_state){.joined = atomic_load(&source->joined),
                                   .without_topics = atomic_load(&source->without_topics),
                                   .away = atomic_load(&source->away)};
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
    is_member(source);
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
    take_commits(source);
    if (!atomic_load(&source->joined) && is_member(source)) {
        atomic_store(&source->joined, true);
        atomic_store(&source->without_topics, false);
    }
    if (source->may_join && !atomic_load(&source->away) && now_us >= source->next_look_us)
        look_for_topics(source, now_us);
    if (now_us >= source->next_probe_us &&
        (atomic_exchange(&source->in_doubt, false) || atomic_load(&source->away))) {
        source->next_probe_us = now_us + PROBE_US;
        probe(source);
    }
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
    .has_offsets = true,
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
    .turn = kafka_turn,
    .housekeep = kafka_housekeep,
    .look = kafka_look,
    .release = kafka_release,
    .headers = kafka_headers,
    .leave = kafka_leave,
    .close = kafka_close,
    .check = kafka_check,
    .open_reader = kafka_open_reader,
};
