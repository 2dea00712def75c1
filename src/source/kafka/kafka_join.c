/* Into the group, as soon as there are topics, and out of it. */
#include "source/kafka/kafka_member.h"

#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "source/kafka/kafka_conf.h"

#define ASSIGNMENT_WAIT_US  INT64_C(4000000)
#define UNSUBSCRIBE_WAIT_US INT64_C(1000000)
#define SERVE_US            INT64_C(20000) /* what waits already is served in it */
#define LOOK_US             INT64_C(3000000) /* between two looks while there are no topics */
#define LOOK_TIMEOUT_MS     1000
#define TELL_TIMES          3

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

void kafka_is_joining(struct kafka_source *source)
{
    if (!atomic_load(&source->joining_us))
        atomic_store(&source->joining_us, time_wall_us());
}

void kafka_has_joined(struct kafka_source *source)
{
    atomic_store(&source->joined, true);
    atomic_store(&source->without_topics, false);
    atomic_store(&source->joining_us, 0);
    atomic_store(&source->hindrance, NULL);
    source->unsettled = (struct rare){0};
}

/* Nobody tells a member what its group waits for; so what is said is what is most likely. */
void kafka_watch_joining(struct kafka_source *source)
{
    const struct kafka_settings *kafka = &source->settings->kafka;
    int64_t session_ms = kafka_session_ms(kafka, source->partitions);
    int64_t since_us = atomic_load(&source->joining_us);
    int64_t waited_ms = since_us ? (time_wall_us() - since_us) / 1000 : 0;
    if (waited_ms < session_ms || atomic_load(&source->away))
        return;
    const char *why =
        kafka_are_many(source->partitions)
            ? "one member of a group shares its partitions out, and is expelled when that takes "
              "longer than its session, as with many partitions and little processor time; raise "
              "session.timeout.ms, or have fewer partitions in one pipeline"
            : "a group waits for each member that does not answer until its session or its "
              "max.poll.interval.ms is over; look for one that hangs";
    atomic_store(&source->hindrance, why);
    if (rare_due(&source->unsettled))
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "no answer from group %s, which has %d partitions to share out, for %lld s: %s",
                  source->pipeline->group_id, source->partitions, (long long) waited_ms / 1000,
                  why);
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
    else
        kafka_is_joining(source);
    source->subscribed = found;
}

/* The first time: what the client is made for depends on how many partitions there are. */
static void fit(struct kafka_source *source, int partitions)
{
    struct error error;
    error_init(&error);
    source->partitions = partitions;
    if (!kafka_are_many(partitions))
        return;
    if (kafka_fit(source, partitions, &error))
        log_event(LOG_INFO, LOG_FIELDS(source),
                  "%d partitions to share out: a session of %lld s, a look for topics every %lld s",
                  partitions,
                  (long long) kafka_session_ms(&source->settings->kafka, partitions) / 1000,
                  (long long) source->look_us / 1000000);
    else
        log_event(LOG_WARN, LOG_FIELDS(source),
                  "%d partitions to share out, and the session stays as it is, with which the "
                  "group may not settle: %s",
                  partitions, error.text);
}

static void tell_what_is_missing(struct kafka_source *source,
                                 rd_kafka_topic_partition_list_t *found)
{
    const char *name;
    if (!found->cnt) {
        if (!source->subscribed && !atomic_exchange(&source->without_topics, true))
            log_event(LOG_WARN, LOG_FIELDS(source),
                      "no topic matches \"topics\" yet; they are picked up when they appear");
        return;
    }
    atomic_store(&source->without_topics, false);
    for (size_t at = 0; (name = kafka_topics_missing(source->topics, found, &at));)
        if (rare_due(&source->missing_topic))
            log_event(LOG_INFO, LOG_FIELDS(source),
                      "there is no topic %s yet; it is picked up when it appears", name);
}

/* Have topics more partitions than before? librdkafka compares what it has learned of them with
 * what the group shares whenever it is given a subscription, the same one too; where a rebalance is
 * under way then it may not, so it is given it three times. */
static bool has_grown(struct kafka_source *source, int partitions)
{
    if (partitions && partitions != source->partitions) {
        source->tell_again = source->partitions ? TELL_TIMES : 0;
        source->partitions = partitions;
    }
    return source->tell_again && source->tell_again--;
}

/* librdkafka could expand patterns by itself, whenever its metadata is refreshed. But in 2.0 a
 * topic that comes while partitions are being given back makes the member join anew with half of
 * that undone, and from then on it ignores its group: neither that the others rebalance nor that it
 * was expelled reaches it. A subscription that changes by a call waits for a rebalance to end; and
 * no other news of topics may come in meanwhile. */
void kafka_look_for_topics(struct kafka_source *source, int64_t now_us)
{
    int partitions;
    if (now_us < source->giving_until_us)
        return;
    rd_kafka_topic_partition_list_t *found = kafka_topics_look(
        source->topics, source->rk, source->subscribed, &partitions, LOOK_TIMEOUT_MS);
    bool any = found && found->cnt;
    if (any && !source->subscribed)
        fit(source, partitions);
    source->next_look_us = !any && source->look_us > LOOK_US ? now_us + LOOK_US
                           : any && source->look_us <= 0     ? INT64_MAX
                                                             : now_us + source->look_us;
    if (!found)
        return;
    source->listed = partitions;
    rd_kafka_topic_partition_list_sort(found, NULL, NULL);
    tell_what_is_missing(source, found);
    if (any && !same_topics(source->subscribed, found))
        subscribe(source, found);
    else if (any && has_grown(source, partitions))
        subscribe(source, found);
    else
        rd_kafka_topic_partition_list_destroy(found);
}

/* To the same topics: given again without that, they would change nothing. */
void kafka_join_anew(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *topics = source->subscribed;
    source->subscribed = NULL;
    rd_kafka_unsubscribe(source->rk);
    subscribe(source, topics);
}

void kafka_join(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    source->may_join = true;
    kafka_look_for_topics(source, time_monotonic_us());
}

bool kafka_is_member(const struct kafka_source *source)
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
    return !kafka_is_member(source);
}

static bool is_settled(const struct kafka_source *source)
{
    return source->was_assigned || !kafka_is_member(source);
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

/* A rebalance that is half done is served to its end, and everything given back, before the
 * consumer is closed. Closed with an assignment waiting, librdkafka takes that for giving all back,
 * and may have ended by the time that the callback for giving back asks it to: it never answers.
 * Closing also tells the group only when there are partitions to give back; without any it would
 * count as a member until its session is over. A static member that has some stays one: what waits
 * is served, no more.
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

void kafka_leave(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_queue_io_event_enable(source->queue, -1, NULL, 0);
    /* Where closing a consumer between its joining and its first assignment makes librdkafka fail
     * an assertion of its sticky assignor, an assignment that is on its way is waited for, and who
     * never had one (the answer to its join may come any moment) leaves without being closed. */
    if (!kafka_closes_while_joining()) {
        poll_until(source, is_settled, ASSIGNMENT_WAIT_US);
        source->must_leak |= source->subscribed && !source->was_assigned;
    }
    if (source->subscribed)
        leave_group(source);
    source->closing = true;
    if (!source->must_leak)
        rd_kafka_consumer_close(source->rk);
}
