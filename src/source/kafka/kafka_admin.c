/* Questions and orders about a whole cluster. See kafka_admin.h. */
#include "source/kafka/kafka_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "source/kafka/kafka_asker.h"
#include "source/kafka/kafka_fault.h"

#define AT_ONCE 64 /* partitions read from at a time: each may bring an answer's worth */

struct kafka_admin {
    struct kafka_asker asker;
    rd_kafka_queue_t *answers;
};

static enum ods_status unanswered(const struct kafka_admin *admin, const char *question,
                                  const char *reason, struct error *error)
{
    return kafka_asker_failed(&admin->asker, question, reason, error);
}

enum ods_status kafka_admin_open(struct kafka_admin **out, const struct settings *settings,
                                 const char *group, struct error *error)
{
    struct kafka_admin *admin = calloc(1, sizeof *admin);
    *out = NULL;
    if (!admin)
        return error_out_of_memory(error);
    /* One record of each partition is wanted, and no more is fetched if it is large. */
    enum ods_status status = kafka_asker_init(&admin->asker, settings, group, NULL, "65536", error);
    if (status != ODS_OK) {
        free(admin);
        return status;
    }
    admin->answers = rd_kafka_queue_new(admin->asker.rk);
    *out = admin;
    return ODS_OK;
}

void kafka_admin_close(struct kafka_admin *admin)
{
    if (!admin)
        return;
    rd_kafka_queue_destroy(admin->answers);
    kafka_asker_done(&admin->asker);
    free(admin);
}

void kafka_admin_patience(struct kafka_admin *admin, int answer_ms)
{
    admin->asker.answer_ms = answer_ms;
}

enum ods_status kafka_admin_topics(struct kafka_admin *admin,
                                   void (*take)(void *context, const char *topic,
                                                int32_t partitions),
                                   void *context, int *brokers, struct error *error)
{
    return kafka_asker_topics(&admin->asker, take, context, brokers, error);
}

/* --- where partitions stand ----------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *list_of(const struct kafka_extent *extents, size_t count,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, extents[i].topic, extents[i].partition)->offset =
            offset;
    return list;
}

/* The element of a list that may have been put into another order. */
static int64_t offset_in(rd_kafka_topic_partition_list_t *list, const struct kafka_extent *extent)
{
    const rd_kafka_topic_partition_t *found =
        rd_kafka_topic_partition_list_find(list, extent->topic, extent->partition);
    return found && !found->err && found->offset >= 0 ? found->offset : -1;
}

enum ods_status kafka_admin_extents(struct kafka_admin *admin, struct kafka_extent *extents,
                                    size_t count, struct error *error)
{
    if (!count)
        return ODS_OK;
    rd_kafka_topic_partition_list_t *lows = list_of(extents, count, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_topic_partition_list_t *highs = list_of(extents, count, RD_KAFKA_OFFSET_END);
    rd_kafka_topic_partition_list_t *committed = list_of(extents, count, RD_KAFKA_OFFSET_INVALID);
    /* One question a broker, in place of two a partition. */
    rd_kafka_resp_err_t code = kafka_asker_offsets(&admin->asker, lows);
    if (!code)
        code = kafka_asker_offsets(&admin->asker, highs);
    if (!code)
        code = rd_kafka_committed(admin->asker.rk, committed, admin->asker.answer_ms);
    for (size_t i = 0; !code && i < count; i++) {
        extents[i].low = offset_in(lows, &extents[i]);
        extents[i].high = offset_in(highs, &extents[i]);
        extents[i].committed = offset_in(committed, &extents[i]);
    }
    rd_kafka_topic_partition_list_destroy(lows);
    rd_kafka_topic_partition_list_destroy(highs);
    rd_kafka_topic_partition_list_destroy(committed);
    return code ? unanswered(admin, "where do partitions begin and end", rd_kafka_err2str(code),
                             error)
                : ODS_OK;
}

/* --- times of records ----------------------------------------------------------------------- */

/* NULL: none of these, or it has been answered. */
static struct kafka_moment *moment_of(struct kafka_moment *moments, const bool *done, size_t count,
                                      const char *topic, int32_t partition, size_t *at)
{
    for (size_t i = 0; i < count; i++)
        if (moments[i].partition == partition && strcmp(moments[i].topic, topic) == 0) {
            *at = i;
            return done[i] ? NULL : &moments[i];
        }
    return NULL;
}

/* Once it has told its time, or that it has ended, a partition is read no more. */
static size_t take_moment(struct kafka_admin *admin, struct kafka_moment *moments, bool *done,
                          size_t count, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    size_t at;
    bool ended = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (!message->rkt || (message->err && !ended &&
                          message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET))
        return 0;
    const char *topic = rd_kafka_topic_name(message->rkt);
    struct kafka_moment *moment =
        moment_of(moments, done, count, topic, message->partition, &at);
    if (!moment)
        return 0;
    if (!message->err)
        moment->time_ms = rd_kafka_message_timestamp(message, &type);
    done[at] = true;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, message->partition);
    rd_kafka_pause_partitions(admin->asker.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return 1;
}

static enum ods_status read_moments(struct kafka_admin *admin, struct kafka_moment *moments,
                                    size_t count, struct error *error)
{
    bool done[AT_ONCE] = {false};
    size_t open = count;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) count);
    for (size_t i = 0; i < count; i++) {
        moments[i].time_ms = -1;
        rd_kafka_topic_partition_list_add(list, moments[i].topic, moments[i].partition)->offset =
            moments[i].offset;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(admin->asker.rk, list);
    int64_t heard_us = time_monotonic_us();
    while (!code && open &&
           time_monotonic_us() - heard_us < admin->asker.answer_ms * INT64_C(1000)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(admin->asker.rk, 200);
        if (!message)
            continue;
        size_t taken = take_moment(admin, moments, done, count, message);
        if (taken)
            heard_us = time_monotonic_us();
        open -= taken;
        rd_kafka_message_destroy(message);
    }
    /* A pause outlives the assignment. */
    rd_kafka_resume_partitions(admin->asker.rk, list);
    rd_kafka_assign(admin->asker.rk, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    if (code || open)
        return unanswered(admin, "reading", code ? rd_kafka_err2str(code) : "nothing came", error);
    return ODS_OK;
}

enum ods_status kafka_admin_moments(struct kafka_admin *admin, struct kafka_moment *moments,
                                    size_t count, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t at = 0; status == ODS_OK && at < count; at += AT_ONCE)
        status = read_moments(admin, moments + at, count - at < AT_ONCE ? count - at : AT_ONCE,
                              error);
    return status;
}

/* --- orders --------------------------------------------------------------------------------- */

/* NULL, with the error filled: no answer. */
static rd_kafka_event_t *await_answer(struct kafka_admin *admin, const char *question,
                                      struct error *error)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(admin->answers, 3 * admin->asker.answer_ms);
    if (!event) {
        unanswered(admin, question, "no answer in time", error);
        return NULL;
    }
    if (!rd_kafka_event_error(event))
        return event;
    unanswered(admin, question, rd_kafka_event_error_string(event), error);
    rd_kafka_event_destroy(event);
    return NULL;
}

static void find_entry(const rd_kafka_ConfigResource_t *resource, const char *name, char *value,
                       size_t size)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *text = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0 && text)
            snprintf(value, size, "%s", text);
    }
}

static enum ods_status ask_setting(struct kafka_admin *admin, rd_kafka_ConfigResource_t *asked,
                                   const char *question, const char *name, char *value, size_t size,
                                   struct error *error)
{
    size_t count;
    *value = '\0';
    rd_kafka_DescribeConfigs(admin->asker.rk, &asked, 1, NULL, admin->answers);
    rd_kafka_ConfigResource_destroy(asked);
    rd_kafka_event_t *event = await_answer(admin, question, error);
    if (!event)
        return ODS_RETRY;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    enum ods_status status = ODS_OK;
    rd_kafka_resp_err_t code = count ? rd_kafka_ConfigResource_error(resources[0]) : 0;
    if (!code && count)
        find_entry(resources[0], name, value, size);
    else if (code && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        status = unanswered(admin, question, rd_kafka_ConfigResource_error_string(resources[0]),
                            error);
    rd_kafka_event_destroy(event);
    return status;
}

enum ods_status kafka_admin_setting(struct kafka_admin *admin, const char *topic, const char *name,
                                    char *value, size_t size, struct error *error)
{
    return ask_setting(admin, rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic),
                       "what a topic's settings are", name, value, size, error);
}

enum ods_status kafka_admin_broker_setting(struct kafka_admin *admin, const char *name, char *value,
                                           size_t size, struct error *error)
{
    char id[16];
    int32_t leader = rd_kafka_controllerid(admin->asker.rk, admin->asker.answer_ms);
    *value = '\0';
    if (leader < 0)
        return unanswered(admin, "which broker leads", "no answer", error);
    snprintf(id, sizeof id, "%d", (int) leader);
    return ask_setting(admin, rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, id),
                       "what the brokers' settings are", name, value, size, error);
}

enum ods_status kafka_admin_cluster(struct kafka_admin *admin, char *id, size_t size,
                                    struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    /* clusterid() does not ask by itself where nothing has been asked yet. */
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(admin->asker.rk, 0, NULL, &metadata, admin->asker.answer_ms);
    *id = '\0';
    if (code)
        return unanswered(admin, "which cluster it is", rd_kafka_err2str(code), error);
    rd_kafka_metadata_destroy(metadata);
    char *told = rd_kafka_clusterid(admin->asker.rk, admin->asker.answer_ms);
    if (told) {
        snprintf(id, size, "%s", told);
        rd_kafka_mem_free(admin->asker.rk, told);
    }
    return ODS_OK;
}

enum ods_status kafka_admin_topic(struct kafka_admin *admin, const char *topic, int32_t *partitions,
                                  struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    char what[320];
    snprintf(what, sizeof what, "topic %s", topic);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin->asker.rk, topic, NULL);
    if (!handle)
        return error_out_of_memory(error);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(admin->asker.rk, 0, handle, &metadata, admin->asker.answer_ms);
    rd_kafka_topic_destroy(handle);
    *partitions = -1;
    if (code)
        return unanswered(admin, what, rd_kafka_err2str(code), error);
    enum ods_status status = ODS_OK;
    code = metadata->topic_cnt ? metadata->topics[0].err : 0;
    if (!code && metadata->topic_cnt && metadata->topics[0].partition_cnt)
        *partitions = metadata->topics[0].partition_cnt;
    else if (code && kafka_fault(code).status == ODS_FATAL)
        status = kafka_fault_set(error, code, what, NULL);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

/* The one topic's answer; `fine` is no failure. */
static enum ods_status topic_answer(struct kafka_admin *admin, const char *question,
                                    rd_kafka_resp_err_t fine, struct error *error)
{
    size_t count = 0;
    rd_kafka_event_t *event = await_answer(admin, question, error);
    if (!event)
        return ODS_RETRY;
    const rd_kafka_CreateTopics_result_t *made = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_DeleteTopics_result_t *gone = rd_kafka_event_DeleteTopics_result(event);
    const rd_kafka_topic_result_t **topics =
        made   ? rd_kafka_CreateTopics_result_topics(made, &count)
        : gone ? rd_kafka_DeleteTopics_result_topics(gone, &count)
               : NULL;
    enum ods_status status = ODS_OK;
    rd_kafka_resp_err_t code = count ? rd_kafka_topic_result_error(topics[0]) : 0;
    if (code && code != fine) {
        const char *why = rd_kafka_topic_result_error_string(topics[0]);
        status = unanswered(admin, question, why ? why : rd_kafka_err2str(code), error);
        if (kafka_fault(code).status == ODS_FATAL) { /* asked again it is the same */
            status = ODS_FATAL;
            error->fault = FAULT_CONFIGURATION;
            snprintf(error->code, sizeof error->code, "%s", rd_kafka_err2name(code));
        }
    }
    rd_kafka_event_destroy(event);
    return status;
}

static enum ods_status create(struct kafka_admin *admin, const char *topic, int32_t partitions,
                              int replicas, const char *const *settings, bool only_look,
                              struct error *error)
{
    char text[256], question[320];
    rd_kafka_AdminOptions_t *options = NULL;
    rd_kafka_NewTopic_t *new =
        rd_kafka_NewTopic_new(topic, partitions, replicas, text, sizeof text);
    if (!new)
        return error_set(error, ODS_FATAL, "topic %s can't be made: %s", topic, text);
    for (; settings && *settings; settings += 2)
        rd_kafka_NewTopic_set_config(new, settings[0], settings[1]);
    if (only_look) {
        options = rd_kafka_AdminOptions_new(admin->asker.rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_AdminOptions_set_validate_only(options, 1, text, sizeof text);
    }
    rd_kafka_CreateTopics(admin->asker.rk, &new, 1, options, admin->answers);
    rd_kafka_NewTopic_destroy(new);
    if (options)
        rd_kafka_AdminOptions_destroy(options);
    snprintf(question, sizeof question, "making topic %s", topic);
    return topic_answer(admin, question, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, error);
}

enum ods_status kafka_admin_create(struct kafka_admin *admin, const char *topic,
                                   int32_t partitions, int replicas, const char *const *settings,
                                   struct error *error)
{
    return create(admin, topic, partitions, replicas, settings, false, error);
}

enum ods_status kafka_admin_may_create(struct kafka_admin *admin, const char *topic,
                                       int32_t partitions, int replicas,
                                       const char *const *settings, struct error *error)
{
    return create(admin, topic, partitions, replicas, settings, true, error);
}

enum ods_status kafka_admin_delete_topic(struct kafka_admin *admin, const char *topic,
                                         struct error *error)
{
    char question[320];
    rd_kafka_DeleteTopic_t *old = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(admin->asker.rk, &old, 1, NULL, admin->answers);
    rd_kafka_DeleteTopic_destroy(old);
    snprintf(question, sizeof question, "deleting topic %s", topic);
    return topic_answer(admin, question, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, error);
}

enum ods_status kafka_admin_delete_group(struct kafka_admin *admin, const char *group,
                                         struct error *error)
{
    size_t count = 0;
    rd_kafka_DeleteGroup_t *old = rd_kafka_DeleteGroup_new(group);
    rd_kafka_DeleteGroups(admin->asker.rk, &old, 1, NULL, admin->answers);
    rd_kafka_DeleteGroup_destroy(old);
    rd_kafka_event_t *event = await_answer(admin, "deleting a consumer group", error);
    if (!event)
        return ODS_RETRY;
    const rd_kafka_group_result_t **groups =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    const rd_kafka_error_t *failure = count ? rd_kafka_group_result_error(groups[0]) : NULL;
    enum ods_status status = ODS_OK;
    if (failure && rd_kafka_error_code(failure) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        status = unanswered(admin, "deleting a consumer group", rd_kafka_error_string(failure),
                            error);
    rd_kafka_event_destroy(event);
    return status;
}
