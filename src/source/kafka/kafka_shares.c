/* Does the group share all partitions out? A member that has none of them asks, as nobody tells it:
 * to have none is right where others have all. It is wrong where the one that shares out did not
 * know a topic yet, and librdkafka then takes what it has learned since for what was shared: seen
 * of 2.0 after a cluster was made anew. Nothing would come of those partitions, and nothing be
 * said. */
#include "source/kafka/kafka_member.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

#define FIRST_US  INT64_C(5000000)  /* so long without partitions before it asks, */
#define AGAIN_US  INT64_C(20000000) /* to make sure: a member may be giving some back just now, */
#define REST_US   INT64_C(60000000) /* and while all is well, or after it has joined anew */
#define ANSWER_MS 2000

static int by_topic(const void *one, const void *other)
{
    const rd_kafka_topic_partition_t *a = one, *b = other;
    return strcmp(a->topic, b->topic);
}

static size_t partitions_of(const struct kafka_source *source,
                            const rd_kafka_MemberDescription_t *member)
{
    const rd_kafka_topic_partition_list_t *topics = source->subscribed; /* sorted */
    const rd_kafka_topic_partition_list_t *list =
        rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(member));
    size_t count = 0;
    for (int i = 0; list && i < list->cnt; i++)
        count += bsearch(&list->elems[i], topics->elems, (size_t) topics->cnt,
                         sizeof *topics->elems, by_topic) != NULL;
    return count;
}

/* -1: the group is not settled. */
static int64_t count_shared(const struct kafka_source *source,
                            const rd_kafka_ConsumerGroupDescription_t *group)
{
    int64_t count = 0;
    if (rd_kafka_ConsumerGroupDescription_error(group) ||
        rd_kafka_ConsumerGroupDescription_state(group) != RD_KAFKA_CONSUMER_GROUP_STATE_STABLE)
        return -1;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++)
        count += (int64_t) partitions_of(source,
                                         rd_kafka_ConsumerGroupDescription_member(group, i));
    return count;
}

/* Of the topics subscribed to, by all members. -1: not known. */
static int64_t shared_out(struct kafka_source *source)
{
    const char *group = source->pipeline->group_id;
    char text[128];
    size_t count = 0;
    int64_t shared = -1;
    rd_kafka_queue_t *answers = rd_kafka_queue_new(source->rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(source->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, text, sizeof text);
    rd_kafka_DescribeConsumerGroups(source->rk, &group, 1, options, answers);
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, ANSWER_MS);
    if (event && !rd_kafka_event_error(event)) {
        const rd_kafka_ConsumerGroupDescription_t **groups =
            rd_kafka_DescribeConsumerGroups_result_groups(
                rd_kafka_event_DescribeConsumerGroups_result(event), &count);
        shared = count ? count_shared(source, groups[0]) : -1;
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers);
    return shared;
}

static bool has_none(struct kafka_source *source)
{
    return source->subscribed && source->listed && !source->assigned &&
           !atomic_load(&source->joining_us) && !atomic_load(&source->away);
}

void kafka_watch_shares(struct kafka_source *source, int64_t now_us)
{
    if (!has_none(source)) {
        source->next_share_us = 0;
        source->unshared = 0;
        return;
    }
    if (!source->next_share_us)
        source->next_share_us = now_us + FIRST_US;
    if (now_us < source->next_share_us)
        return;
    int64_t shared = shared_out(source);
    source->unshared = shared >= 0 && shared < source->listed ? source->unshared + 1 : 0;
    /* All members have looked for topics by then, of which new ones come. */
    int64_t again_us = 2 * source->look_us > AGAIN_US ? 2 * source->look_us : AGAIN_US;
    source->next_share_us = now_us + (source->unshared == 1 ? again_us : REST_US);
    if (source->unshared < 2)
        return;
    log_event(LOG_WARN, LOG_FIELDS(source),
              "group %s shares out %lld of %d partitions and this lane has none: it joins anew",
              source->pipeline->group_id, (long long) shared, source->listed);
    source->unshared = 0;
    kafka_join_anew(source);
}
