/* See kafka_rights.h. Who may not describe a topic is not told of it where all are asked for, so
 * topics that the settings name are asked for by their names; whether one may be read is told to
 * who reads it, here behind its last record. */
#include "source/kafka/kafka_rights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "source/kafka/kafka.h"

#define ANSWER_MS  5000
#define TOPICS_MAX 200 /* whose reading is tried */

struct looking {
    rd_kafka_t *rk;
    void (*report)(void *context, const char *line);
    void *context;
    enum ods_status status;
    struct error *error;
};

static void __attribute__((format(printf, 2, 3)))
lack(struct looking *looking, const char *format, ...)
{
    char text[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (looking->status == ODS_OK)
        looking->status = error_set(looking->error, ODS_FATAL, "%s", text);
    else
        looking->report(looking->context, text);
}

/* --- topics by their names ------------------------------------------------------------------ */

static bool is_seen(const struct rd_kafka_metadata *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0)
            return true;
    return false;
}

static bool is_hidden(const struct looking *looking, const struct rd_kafka_metadata *seen,
                      const char *name)
{
    const struct rd_kafka_metadata *metadata;
    if (is_seen(seen, name))
        return false;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(looking->rk, name, NULL);
    if (!topic)
        return false;
    bool answered = rd_kafka_metadata(looking->rk, 0, topic, &metadata, ANSWER_MS) == 0;
    rd_kafka_topic_destroy(topic);
    if (!answered)
        return false;
    bool hidden = metadata->topic_cnt == 1 &&
                  metadata->topics[0].err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    rd_kafka_metadata_destroy(metadata);
    return hidden;
}

static void look_for_names(struct looking *looking, const struct settings *settings,
                           const struct pipeline_settings *pipeline,
                           const struct rd_kafka_metadata *metadata)
{
    const char *letters = settings->dead_letter.topic;
    for (size_t i = 0; i < pipeline->topics.count; i++) {
        const char *name = pipeline->topics.items[i];
        if (*name != '^' && is_hidden(looking, metadata, name))
            lack(looking, "topic %s: the user may not see it: grant Read on the topic", name);
    }
    if (*letters && !*settings->dead_letter.address && !*settings->dead_letter.table &&
        is_hidden(looking, metadata, letters))
        lack(looking, "dead-letter topic %s: the user may not see it: grant Write on the topic",
             letters);
}

/* --- the group ------------------------------------------------------------------------------ */

static rd_kafka_resp_err_t group_error(rd_kafka_event_t *event)
{
    size_t count = 0;
    if (rd_kafka_event_error(event))
        return rd_kafka_event_error(event);
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    const rd_kafka_error_t *failure =
        count ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;
    return failure ? rd_kafka_error_code(failure) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_AdminOptions_t *options_of(const struct looking *looking,
                                           rd_kafka_admin_op_t question)
{
    char text[64];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(looking->rk, question);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, text, sizeof text);
    return options;
}

static void look_for_group(struct looking *looking, const char *group)
{
    rd_kafka_queue_t *answers = rd_kafka_queue_new(looking->rk);
    rd_kafka_AdminOptions_t *options =
        options_of(looking, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(looking->rk, &group, 1, options, answers);
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, 2 * ANSWER_MS);
    if (event && group_error(event) == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        lack(looking, "consumer group %s: the user may not join it: grant Read on the group",
             group);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers);
}

/* --- reading -------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *to_read(const struct settings *settings,
                                                const struct pipeline_settings *pipeline,
                                                const struct rd_kafka_metadata *metadata)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (int i = 0; i < metadata->topic_cnt && list->cnt < TOPICS_MAX; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        if (!topic->err && topic->partition_cnt && pipeline_reads(pipeline, topic->topic) &&
            strcmp(topic->topic, settings->dead_letter.topic) != 0)
            rd_kafka_topic_partition_list_add(list, topic->topic, topic->partitions[0].id)->offset =
                RD_KAFKA_OFFSET_END;
    }
    return list;
}

/* Whatever comes of a partition, a record too, answers for it. */
static void take_answer(struct looking *looking, rd_kafka_topic_partition_list_t *list,
                        const rd_kafka_message_t *message)
{
    if (!message->rkt)
        return;
    const char *topic = rd_kafka_topic_name(message->rkt);
    if (rd_kafka_topic_partition_list_del(list, topic, message->partition) &&
        message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        lack(looking, "topic %s: the user may not read it: grant Read on the topic", topic);
}

static void look_at_reading(struct looking *looking, rd_kafka_topic_partition_list_t *list)
{
    int64_t until_us = time_monotonic_us() + ANSWER_MS * INT64_C(1000);
    bool reads = list->cnt && rd_kafka_assign(looking->rk, list) == 0;
    while (reads && list->cnt && time_monotonic_us() < until_us) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(looking->rk, 100);
        if (!message)
            continue;
        take_answer(looking, list, message);
        rd_kafka_message_destroy(message);
    }
    if (reads)
        rd_kafka_assign(looking->rk, NULL);
}

/* --- settings of topics --------------------------------------------------------------------- */

/* The pipeline can do without: then nobody is told what retention is about to take. */
static void take_settings(const struct looking *looking, rd_kafka_event_t *event)
{
    size_t count = 0;
    char text[400];
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event),
                                                  &count);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_ConfigResource_error(resources[i]) !=
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
            continue;
        snprintf(text, sizeof text,
                 "topic %s: the user may not read its settings, so nothing will tell what "
                 "retention is about to take: grant DescribeConfigs on the topic",
                 rd_kafka_ConfigResource_name(resources[i]));
        looking->report(looking->context, text);
    }
}

static void look_at_settings(const struct looking *looking,
                             const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_ConfigResource_t *asked[TOPICS_MAX];
    if (!list->cnt)
        return;
    for (int i = 0; i < list->cnt; i++)
        asked[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, list->elems[i].topic);
    rd_kafka_queue_t *answers = rd_kafka_queue_new(looking->rk);
    rd_kafka_AdminOptions_t *options = options_of(looking, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(looking->rk, asked, (size_t) list->cnt, options, answers);
    rd_kafka_ConfigResource_destroy_array(asked, (size_t) list->cnt);
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, 2 * ANSWER_MS);
    if (event && !rd_kafka_event_error(event))
        take_settings(looking, event);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(answers);
}

enum ods_status kafka_rights_check(rd_kafka_t *rk, const struct settings *settings,
                                   const struct pipeline_settings *pipeline,
                                   const struct rd_kafka_metadata *metadata,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error)
{
    struct looking looking = {rk, report, context, ODS_OK, error};
    look_for_names(&looking, settings, pipeline, metadata);
    look_for_group(&looking, pipeline->group_id);
    rd_kafka_topic_partition_list_t *list = to_read(settings, pipeline, metadata);
    if (settings->kafka.retention_check_ms)
        look_at_settings(&looking, list);
    look_at_reading(&looking, list);
    rd_kafka_topic_partition_list_destroy(list);
    return looking.status;
}
