/* A consumer that never subscribes: assigned by hand for reading, else only asked. */
#include "source/kafka/kafka_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_asker.h"
#include "source/kafka/kafka_record.h"

#define SILENCE_US INT64_C(30000000) /* records that are there come sooner */

struct kafka_tool {
    struct topic_reader base;
    struct kafka_asker asker;
    const char *group;
};

static const struct topic_reader_ops reader_ops;

static enum ods_status unanswered(const struct kafka_tool *tool, const char *question,
                                  const char *reason, struct error *error)
{
    return kafka_asker_failed(&tool->asker, question, reason, error);
}

static enum ods_status open_tool(struct kafka_tool **out, const struct settings *settings,
                                 const char *group, const char *const *defaults,
                                 struct error *error)
{
    struct kafka_tool *tool = calloc(1, sizeof *tool);
    *out = NULL;
    if (!tool)
        return error_set(error, ODS_FATAL, "out of memory for a Kafka client");
    enum ods_status status = kafka_asker_init(&tool->asker, settings, group, defaults, NULL, error);
    if (status != ODS_OK) {
        free(tool);
        return status;
    }
    tool->base.ops = &reader_ops;
    tool->group = group;
    *out = tool;
    return ODS_OK;
}

enum ods_status kafka_tool_open(struct kafka_tool **out, const struct settings *settings,
                                const char *group, struct error *error)
{
    return open_tool(out, settings, group, NULL, error);
}

enum ods_status kafka_tool_open_quick(struct kafka_tool **out, const struct settings *settings,
                                      const char *group, struct error *error)
{
    static const char *const defaults[] = {"fetch.wait.max.ms", "10", NULL};
    return open_tool(out, settings, group, defaults, error);
}

void kafka_tool_close(struct kafka_tool *tool)
{
    if (!tool)
        return;
    kafka_asker_done(&tool->asker);
    free(tool);
}

struct one_topic {
    const char *name;
    int32_t partitions;
};

static void take_one(void *context, const char *topic, int32_t partitions)
{
    struct one_topic *one = context;
    if (strcmp(topic, one->name) == 0)
        one->partitions = partitions;
}

enum ods_status kafka_tool_partitions(struct kafka_tool *tool, const char *topic, int32_t *count,
                                      struct error *error)
{
    struct one_topic one = {.name = topic};
    enum ods_status status = kafka_asker_topics(&tool->asker, take_one, &one, NULL, error);
    *count = one.partitions;
    return status;
}

struct read_topics {
    const struct pipeline_settings *pipeline;
    void (*take)(void *context, const char *topic, int32_t partitions);
    void *context;
};

static void take_read(void *context, const char *topic, int32_t partitions)
{
    const struct read_topics *topics = context;
    if (pipeline_reads(topics->pipeline, topic))
        topics->take(topics->context, topic, partitions);
}

enum ods_status kafka_tool_topics(struct kafka_tool *tool, const struct pipeline_settings *pipeline,
                                  void (*take)(void *context, const char *topic,
                                               int32_t partitions),
                                  void *context, struct error *error)
{
    struct read_topics topics = {pipeline, take, context};
    return kafka_asker_topics(&tool->asker, take_read, &topics, NULL, error);
}

enum ods_status kafka_tool_ends(struct kafka_tool *tool, const char *topic, int32_t partition,
                                int64_t *low, int64_t *high, struct error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(tool->asker.rk, topic, partition,
                                                                low, high, tool->asker.answer_ms);
    return code ? unanswered(tool, "where does a partition begin and end", rd_kafka_err2str(code),
                             error)
                : ODS_OK;
}

enum ods_status kafka_tool_offset_at(struct kafka_tool *tool, const char *topic, int32_t partition,
                                     int64_t time_ms, int64_t *offset, struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *asked = rd_kafka_topic_partition_list_add(list, topic, partition);
    asked->offset = time_ms;
    rd_kafka_resp_err_t code = kafka_asker_offsets(&tool->asker, list);
    if (!code)
        code = asked->err;
    *offset = asked->offset < 0 ? -1 : asked->offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? unanswered(tool, "which offset has a time", rd_kafka_err2str(code), error)
                : ODS_OK;
}

/* --- following ------------------------------------------------------------------------------ */

static enum ods_status follow(struct kafka_tool *tool, const char *topic, const int64_t *from,
                              int32_t count, struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset =
            from[i] ? from[i] : RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(tool->asker.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? unanswered(tool, "assign", rd_kafka_err2str(code), error) : ODS_OK;
}

/* Errors on the way are reported by the next call that gets no answer. */
static enum source_event next(struct kafka_tool *tool, int wait_ms, struct record *record)
{
    rd_kafka_message_t *message;
    while ((message = rd_kafka_consumer_poll(tool->asker.rk, wait_ms))) {
        bool ends = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!message->err || ends) {
            kafka_record(message, record);
            return ends ? SOURCE_END : SOURCE_RECORD;
        }
        rd_kafka_message_destroy(message);
    }
    return SOURCE_NOTHING;
}

static enum ods_status reader_partitions(struct topic_reader *reader, const char *topic,
                                         int32_t *count, struct error *error)
{
    return kafka_tool_partitions((struct kafka_tool *) reader, topic, count, error);
}

static enum ods_status reader_ends(struct topic_reader *reader, const char *topic,
                                   int32_t partition, int64_t *low, int64_t *high,
                                   struct error *error)
{
    return kafka_tool_ends((struct kafka_tool *) reader, topic, partition, low, high, error);
}

static enum ods_status reader_follow(struct topic_reader *reader, const char *topic,
                                     const int64_t *from, int32_t count, struct error *error)
{
    return follow((struct kafka_tool *) reader, topic, from, count, error);
}

static enum source_event reader_next(struct topic_reader *reader, int wait_ms,
                                     struct record *record)
{
    return next((struct kafka_tool *) reader, wait_ms, record);
}

static void reader_close(struct topic_reader *reader)
{
    kafka_tool_close((struct kafka_tool *) reader);
}

static const struct topic_reader_ops reader_ops = {
    .partitions = reader_partitions,
    .ends = reader_ends,
    .follow = reader_follow,
    .next = reader_next,
    .release = kafka_release,
    .close = reader_close,
};

struct topic_reader *kafka_tool_reader(struct kafka_tool *tool)
{
    return &tool->base;
}

/* --- reading -------------------------------------------------------------------------------- */

struct reading {
    const char *topic;
    int64_t *ends; /* by partition; where the reading of it ends, 0 when it has ended */
    int32_t count, open;
    bool (*interrupted)(void); /* NULL: nobody does */
};

static enum ods_status assign(struct kafka_tool *tool, const char *topic, const int64_t *froms,
                              struct reading *reading, struct error *error)
{
    enum ods_status status = ODS_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reading->count);
    for (int32_t i = 0; status == ODS_OK && i < reading->count; i++) {
        int64_t low = 0, high = 0;
        status = kafka_tool_ends(tool, topic, i, &low, &high, error);
        if (froms && froms[i] > low)
            low = froms[i];
        if (status != ODS_OK || low >= high)
            continue;
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = low;
        reading->ends[i] = high;
        reading->open++;
    }
    rd_kafka_resp_err_t code = status == ODS_OK ? rd_kafka_assign(tool->asker.rk, list) : 0;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? unanswered(tool, "assign", rd_kafka_err2str(code), error) : status;
}

static void end_partition(struct reading *reading, int32_t partition)
{
    reading->open -= reading->ends[partition] != 0;
    reading->ends[partition] = 0;
}

/* What is left of an earlier reading is not. */
static bool is_of_reading(const struct reading *reading, const rd_kafka_message_t *message)
{
    return message->rkt && message->partition >= 0 && message->partition < reading->count &&
           strcmp(rd_kafka_topic_name(message->rkt), reading->topic) == 0;
}

/* True: go on. */
static bool take_message(struct reading *reading, rd_kafka_message_t *message,
                         kafka_tool_take *take, void *context)
{
    struct record record;
    int32_t partition = message->partition;
    int64_t offset = message->offset, end = reading->ends[partition];
    if (end && offset + 1 >= end)
        end_partition(reading, partition);
    if (end && offset < end) {
        kafka_record(message, &record);
        return take(context, &record);
    }
    rd_kafka_message_destroy(message);
    return true;
}

static enum ods_status poll_all(struct kafka_tool *tool, struct reading *reading,
                                kafka_tool_take *take, void *context, struct error *error)
{
    int64_t heard_us = time_monotonic_us();
    char trouble[256] = "nothing came";
    while (reading->open) {
        if (reading->interrupted && reading->interrupted())
            return error_set(error, ODS_RETRY, "interrupted");
        rd_kafka_message_t *message = rd_kafka_consumer_poll(tool->asker.rk, 200);
        bool ours = message && is_of_reading(reading, message);
        if (ours && !message->err) {
            heard_us = time_monotonic_us();
            if (!take_message(reading, message, take, context))
                break;
            continue;
        }
        if (ours && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            end_partition(reading, message->partition);
        else if (message && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF && message->err)
            snprintf(trouble, sizeof trouble, "%s", rd_kafka_message_errstr(message));
        bool lost = message && message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
        if (message)
            rd_kafka_message_destroy(message);
        if (lost || time_monotonic_us() - heard_us > SILENCE_US)
            return unanswered(tool, "reading", trouble, error);
    }
    return ODS_OK;
}

enum ods_status kafka_tool_read(struct kafka_tool *tool, const char *topic, const int64_t *froms,
                                kafka_tool_take *take, void *context, struct error *error)
{
    struct reading reading = {.topic = topic};
    enum ods_status status = kafka_tool_partitions(tool, topic, &reading.count, error);
    if (status != ODS_OK)
        return status;
    if (!reading.count)
        return error_set(error, ODS_FATAL, "there is no topic %s", topic);
    reading.ends = calloc((size_t) reading.count, sizeof *reading.ends);
    if (!reading.ends)
        return error_set(error, ODS_FATAL, "out of memory");
    status = assign(tool, topic, froms, &reading, error);
    if (status == ODS_OK)
        status = poll_all(tool, &reading, take, context, error);
    rd_kafka_assign(tool->asker.rk, NULL);
    free(reading.ends);
    return status;
}

int32_t kafka_partition_of(const char *key, size_t length, int32_t partitions)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key, length, partitions, NULL, NULL);
}

static enum ods_status assign_spans(struct kafka_tool *tool, const char *topic,
                                    const struct kafka_span *spans, size_t count,
                                    struct reading *reading, struct error *error)
{
    enum ods_status status = ODS_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) count);
    for (size_t i = 0; status == ODS_OK && i < count; i++) {
        const struct kafka_span *span = &spans[i];
        int64_t low = 0, high = 0;
        status = kafka_tool_ends(tool, topic, span->partition, &low, &high, error);
        int64_t from = span->from > low ? span->from : low;
        int64_t upto = span->upto < high ? span->upto : high;
        if (status != ODS_OK || from >= upto)
            continue;
        rd_kafka_topic_partition_list_add(list, topic, span->partition)->offset = from;
        reading->ends[span->partition] = upto;
        reading->open++;
    }
    rd_kafka_resp_err_t code =
        status == ODS_OK && list->cnt ? rd_kafka_assign(tool->asker.rk, list) : 0;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? unanswered(tool, "assign", rd_kafka_err2str(code), error) : status;
}

enum ods_status kafka_tool_read_spans(struct kafka_tool *tool, const char *topic,
                                      const struct kafka_span *spans, size_t count,
                                      kafka_tool_take *take, bool (*interrupted)(void),
                                      void *context, struct error *error)
{
    struct reading reading = {.topic = topic, .interrupted = interrupted};
    for (size_t i = 0; i < count; i++)
        if (spans[i].partition >= reading.count)
            reading.count = spans[i].partition + 1;
    reading.ends = calloc((size_t) reading.count + 1, sizeof *reading.ends);
    if (!reading.ends)
        return error_out_of_memory(error);
    enum ods_status status = assign_spans(tool, topic, spans, count, &reading, error);
    if (status == ODS_OK)
        status = poll_all(tool, &reading, take, context, error);
    rd_kafka_assign(tool->asker.rk, NULL);
    free(reading.ends);
    return status;
}

/* --- the group ------------------------------------------------------------------------------ */

enum ods_status kafka_tool_members(struct kafka_tool *tool, int *count, char *first, size_t size,
                                   struct error *error)
{
    const struct rd_kafka_group_list *groups = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_list_groups(tool->asker.rk, tool->group, &groups, tool->asker.answer_ms);
    *count = 0;
    if (code)
        return unanswered(tool, "who is in the consumer group", rd_kafka_err2str(code), error);
    for (int i = 0; i < groups->group_cnt; i++) {
        const struct rd_kafka_group_info *group = &groups->groups[i];
        if (group->err && group->err != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
            code = group->err;
        if (!*count && group->member_cnt)
            snprintf(first, size, "%s at %s", group->members[0].client_id,
                     group->members[0].client_host);
        *count += group->member_cnt;
    }
    rd_kafka_group_list_destroy(groups);
    return code ? unanswered(tool, "who is in the consumer group", rd_kafka_err2str(code), error)
                : ODS_OK;
}

enum ods_status kafka_tool_acked(struct kafka_tool *tool, struct place *places, size_t count,
                                 struct error *error)
{
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    rd_kafka_resp_err_t code = rd_kafka_committed(tool->asker.rk, list, tool->asker.answer_ms);
    for (int i = 0; !code && i < list->cnt; i++)
        code = list->elems[i].err;
    if (!code)
        kafka_committed(list, places);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? unanswered(tool, "what are the group's offsets", rd_kafka_err2str(code), error)
                : ODS_OK;
}

enum ods_status kafka_tool_commit(struct kafka_tool *tool, const struct place *places, size_t count,
                                  struct error *error)
{
    rd_kafka_topic_partition_list_t *list = kafka_commits(places, count);
    rd_kafka_resp_err_t code = rd_kafka_commit(tool->asker.rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? unanswered(tool, "committing offsets to the group", rd_kafka_err2str(code), error)
                : ODS_OK;
}
