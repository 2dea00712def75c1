/* One member of a consumer group, on librdkafka.
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
#include "source/kafka/kafka_topics.h"
#include "source/kafka/kafka_workarounds.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"

#define CALL_TIMEOUT_MS     2000
#define ASSIGNMENT_WAIT_US  INT64_C(4000000)
#define UNSUBSCRIBE_WAIT_US INT64_C(1000000)
#define SERVE_US            INT64_C(20000) /* what waits already is served in it */
#define RARE_US             INT64_C(60000000)
#define LOOK_US             INT64_C(3000000) /* between two looks while there are no topics */
#define LOOK_TIMEOUT_MS     1000
#define GIVING_US           INT64_C(30000000) /* a rebalance that takes partitions is over by then */
#define PROBE_US            INT64_C(5000000) /* between two questions whether a broker is there */
#define PROD_US             INT64_C(100000)

static atomic_bool left_running; /* a consumer was not closed */

/* Of the leak detector, where the program is built with it. */
extern void __lsan_ignore_object(const void *object) __attribute__((weak));

struct kafka_source {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *commits; /* answers to those that nobody waits for */
    bool commit_out;           /* one is not answered yet */
    struct kafka_events events;
    const struct pipeline_settings *pipeline;
    char lane[24];
    struct kafka_nudge nudge;
    struct kafka_topics *topics;
    rd_kafka_topic_partition_list_t *subscribed; /* NULL: none yet */
    int64_t look_us;                             /* between two looks for topics */
    int64_t giving_until_us;                     /* partitions are being taken away */
    bool may_join;      /* kafka_join() was called */
    bool was_assigned;  /* at least once */
    bool is_static;     /* group.instance.id is set */
    bool closing;       /* kafka_leave() has come to the consumer itself */
    bool must_leak;     /* left without ever having been assigned anything: not closed */
    atomic_bool joined, away, without_topics;
    struct rare trouble, missing_topic;
    atomic_bool in_doubt; /* a connection broke: are there brokers at all? */
    int64_t next_probe_us, next_look_us, next_prod_us;
};

#define LOG_FIELDS(source)                                                                         \
    ((const char *const[]){"pipeline", (source)->pipeline->name, "lane", (source)->lane, NULL})

bool rare_due(struct rare *rare, uint64_t *held_back)
{
    int64_t now_us = time_monotonic_us();
    if (rare->next_us && now_us < rare->next_us) {
        rare->held_back++;
        return false;
    }
    rare->next_us = now_us + RARE_US;
    *held_back = rare->held_back;
    rare->held_back = 0;
    return true;
}

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

static void on_assign(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    assign_paused(source, partitions);
    source->was_assigned = true;
    source->giving_until_us = 0;
    atomic_store(&source->joined, true);
    atomic_store(&source->without_topics, false);
    is_back(source);
    log_rebalance(source, "assigned", partitions);
    source->events.assigned(source->events.context, partitions);
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
    source->events.revoked(source->events.context, partitions, lost);
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

void kafka_join(struct kafka_source *source)
{
    source->may_join = true;
    look_for_topics(source, time_monotonic_us());
}

enum ods_status kafka_open(struct kafka_source **out, const struct settings *settings,
                           const struct pipeline_settings *pipeline, size_t lane, int wake_fd,
                           const struct kafka_events *events, struct error *error)
{
    enum ods_status status = ODS_FATAL;
    char text[512];
    static const uint64_t one = 1;
    struct kafka_source *source = calloc(1, sizeof *source);
    rd_kafka_conf_t *conf = kafka_consumer_conf(settings, pipeline, lane, error);
    if (source)
        source->topics = kafka_topics_new(settings, pipeline);
    if (!source || !source->topics)
        error_set(error, ODS_FATAL, "out of memory for a consumer");
    if (!source || !source->topics || !conf)
        goto out;
    source->events = *events;
    source->pipeline = pipeline;
    source->is_static = properties_find(&settings->kafka.properties, "group.instance.id") != NULL;
    source->look_us = kafka_look_ms(&settings->kafka) * 1000;
    snprintf(source->lane, sizeof source->lane, "%zu", lane);
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
    rd_kafka_queue_io_event_enable(source->queue, wake_fd, &one, sizeof one);
    status = ODS_OK;
out:
    if (conf)
        rd_kafka_conf_destroy(conf);
    if (status != ODS_OK) {
        kafka_close(source);
        source = NULL;
    }
    *out = source;
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
    bool more = false;
    while ((more || !until(source)) && time_monotonic_us() < until_us) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->rk, 20);
        more = message != NULL;
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

static bool never(const struct kafka_source *source)
{
    (void) source;
    return false;
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

/* A rebalance that is half done is served to its end, and everything given back, before the consumer
 * is closed. Closed with an assignment waiting, librdkafka takes that for giving all back, and may
 * have ended by the time that the callback for giving back asks it to: it never answers. Closing also
 * tells the group only when there are partitions to give back; without any it would count as a member
 * until its session is over. A static member that has some stays one: what waits is served, no more.
 */
static void leave_group(struct kafka_source *source)
{
    bool stays = source->is_static && has_partitions(source);
    if (stays)
        poll_until(source, never, SERVE_US);
    /* Closing would do this too, but leak a subscription that waits for a rebalance to end. */
    rd_kafka_unsubscribe(source->rk);
    if (!stays)
        poll_until(source, is_no_member, UNSUBSCRIBE_WAIT_US);
}

void kafka_leave(struct kafka_source *source)
{
    rd_kafka_queue_io_event_enable(source->queue, -1, NULL, 0);
    /* Where closing a consumer between its joining and its first assignment makes librdkafka fail an
     * assertion of its sticky assignor, an assignment that is on its way is waited for, and who
     * never had one (the answer to its join may come any moment) leaves without being closed. */
    if (!kafka_closes_while_joining()) {
        poll_until(source, is_settled, ASSIGNMENT_WAIT_US);
        source->must_leak = source->subscribed && !source->was_assigned;
    }
    if (source->subscribed)
        leave_group(source);
    source->closing = true;
    if (!source->must_leak)
        rd_kafka_consumer_close(source->rk);
}

void kafka_close(struct kafka_source *source)
{
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

rd_kafka_message_t *kafka_poll(struct kafka_source *source)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(source->rk, 0);
    if (message)
        source->nudge.taken_bytes += message->len;
    if (message && !message->err && atomic_load_explicit(&source->away, memory_order_relaxed))
        is_back(source);
    return message;
}

int64_t kafka_patience_ms(const struct kafka_source *source)
{
    return kafka_nudge_patience_ms(&source->nudge);
}

void kafka_keep_fetching(struct kafka_source *source)
{
    kafka_nudge_now(&source->nudge, source->rk, source->queue);
}

void kafka_pause(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_pause_partitions(source->rk, partitions);
}

enum ods_status kafka_start_partitions(struct kafka_source *source,
                                       rd_kafka_topic_partition_list_t *partitions,
                                       struct error *error)
{
    /* Paused first, so that the seek alone decides where fetching goes on. */
    rd_kafka_pause_partitions(source->rk, partitions);
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(source->rk, partitions, CALL_TIMEOUT_MS);
    if (failure) {
        error_set(error, ODS_RETRY, "seek: %s", rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
        return ODS_RETRY;
    }
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
    kafka_nudge_starting(&source->nudge);
    return ODS_OK;
}

enum ods_status kafka_committed(struct kafka_source *source,
                                rd_kafka_topic_partition_list_t *partitions, struct error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_committed(source->rk, partitions, CALL_TIMEOUT_MS);
    for (int i = 0; !code && i < partitions->cnt; i++)
        code = partitions->elems[i].err;
    if (code)
        return error_set(error, ODS_RETRY, "can't read the group's offsets: %s",
                         rd_kafka_err2str(code));
    return ODS_OK;
}

enum ods_status kafka_watermarks(struct kafka_source *source, const char *topic, int32_t partition,
                                 int64_t *low, int64_t *high, struct error *error)
{
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(source->rk, topic, partition, low, high, CALL_TIMEOUT_MS);
    if (code)
        return error_set(error, ODS_RETRY, "topic %s partition %d: can't ask for its offsets: %s",
                         topic, (int) partition, rd_kafka_err2str(code));
    return ODS_OK;
}

enum ods_status kafka_offsets_at(struct kafka_source *source,
                                 rd_kafka_topic_partition_list_t *partitions, struct error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(source->rk, partitions, CALL_TIMEOUT_MS);
    if (code)
        return error_set(error, ODS_RETRY, "can't ask which offsets have a time: %s",
                         rd_kafka_err2str(code));
    return ODS_OK;
}

enum ods_status kafka_partitions(struct kafka_source *source, const char *topic, int32_t *count,
                                 struct error *error)
{
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

int64_t kafka_known_high(struct kafka_source *source, const char *topic, int32_t partition)
{
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(source->rk, topic, partition, &low, &high) || high < 0)
        return -1;
    return high;
}

static void take_commit(struct kafka_source *source, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *offsets =
        event ? rd_kafka_event_topic_partition_list(event) : NULL;
    if (!event || rd_kafka_event_error(event))
        log_event(LOG_DEBUG, LOG_FIELDS(source), "commit to the group: %s",
                  event ? rd_kafka_event_error_string(event) : "no answer in time");
    else if (offsets)
        source->events.committed(source->events.context, offsets);
    if (event)
        rd_kafka_event_destroy(event);
}

void kafka_commit(struct kafka_source *source, const rd_kafka_topic_partition_list_t *offsets,
                  int wait_ms)
{
    /* Its answer is what a consumer that is being closed would end on: see leave_group(). */
    if (source->closing)
        return;
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

void kafka_take_commits(struct kafka_source *source)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(source->commits, 0))) {
        source->commit_out = false;
        take_commit(source, event);
    }
}

bool kafka_joined(const struct kafka_source *source)
{
    return atomic_load(&source->joined);
}

bool kafka_without_topics(const struct kafka_source *source)
{
    return atomic_load(&source->without_topics);
}

bool kafka_away(const struct kafka_source *source)
{
    return atomic_load(&source->away);
}

/* librdkafka's main thread looks at its clock when something wakes it, else once a second, so that
 * heartbeats come late, and with them the news that another member joins and waits. A question
 * wakes it. */
void kafka_prod(struct kafka_source *source)
{
    int64_t now_us = time_monotonic_us();
    if (now_us < source->next_prod_us)
        return;
    source->next_prod_us = now_us + PROD_US;
    is_member(source);
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

void kafka_housekeep(struct kafka_source *source)
{
    int64_t now_us = time_monotonic_us();
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

enum ods_status kafka_classify(struct kafka_source *source, const rd_kafka_message_t *message,
                               struct error *error)
{
    char text[512];
    uint64_t held_back;
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t code = rd_kafka_fatal_error(source->rk, text, sizeof text);
        return error_set(error, ODS_FATAL, "Kafka: %s: %s", rd_kafka_err2name(code), text);
    }
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        if (rare_due(&source->missing_topic, &held_back))
            log_event(LOG_INFO, LOG_FIELDS(source),
                      "there is no topic %s yet; it is picked up when "
                      "it appears",
                      topic);
        return ODS_OK;
    }
    if (rare_due(&source->trouble, &held_back))
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "Kafka: %s%s%s; trying again, %llu more like it "
                  "since the last line",
                  topic, *topic ? ": " : "", rd_kafka_message_errstr(message),
                  (unsigned long long) held_back);
    return ODS_OK;
}

void kafka_release(void *owner)
{
    rd_kafka_message_destroy(owner);
}

size_t kafka_headers(const struct record *record, struct header *headers, size_t max)
{
    rd_kafka_headers_t *list;
    if (rd_kafka_message_headers(record->owner, &list))
        return 0;
    size_t count = rd_kafka_header_cnt(list);
    for (size_t i = 0; i < count && i < max; i++) {
        const void *value;
        rd_kafka_header_get_all(list, i, &headers[i].name, &value, &headers[i].length);
        headers[i].value = value;
    }
    return count;
}
