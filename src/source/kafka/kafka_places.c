/* The calls of a group member that take a list of places. Those that ask the broker wait for the
 * answer. */
#include "source/kafka/kafka_member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "source/kafka/kafka_record.h"

#define CALL_TIMEOUT_MS 2000

void kafka_pause(struct source *base, const struct place *places, size_t count)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    rd_kafka_pause_partitions(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Those that were sought go on, the others are assigned anew, unless they are being sought yet. */
static void resume_good(struct kafka_source *source,
                        const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *good = rd_kafka_topic_partition_list_new(partitions->cnt);
    rd_kafka_topic_partition_list_t *bad = rd_kafka_topic_partition_list_new(1);
    for (int i = 0; i < partitions->cnt; i++)
        if (partitions->elems[i].err != RD_KAFKA_RESP_ERR__IN_PROGRESS)
            rd_kafka_topic_partition_list_add(partitions->elems[i].err ? bad : good,
                                              partitions->elems[i].topic,
                                              partitions->elems[i].partition);
    rd_kafka_resume_partitions(source->rk, good);
    if (bad->cnt)
        kafka_assign_again(source, bad);
    rd_kafka_topic_partition_list_destroy(bad);
    rd_kafka_topic_partition_list_destroy(good);
}

enum ods_status kafka_start(struct source *base, struct place *places, size_t count,
                            struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    enum ods_status status = ODS_OK;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    /* Paused first, so that the seek alone decides where fetching goes on. */
    rd_kafka_pause_partitions(source->rk, list);
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(source->rk, list, CALL_TIMEOUT_MS);
    bool late = failure && rd_kafka_error_code(failure) == RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (failure && !late) {
        status = error_set(error, ODS_RETRY, "seek: %s", rd_kafka_error_string(failure));
    } else { /* of some there may be no answer yet */
        kafka_answers(list, places);
        resume_good(source, list);
        kafka_nudge_starting(&source->nudge);
    }
    if (failure)
        rd_kafka_error_destroy(failure);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum ods_status kafka_acked(struct source *base, struct place *places, size_t count,
                            struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    rd_kafka_resp_err_t code = rd_kafka_committed(source->rk, list, CALL_TIMEOUT_MS);
    for (int i = 0; !code && i < list->cnt; i++)
        code = list->elems[i].err;
    if (!code)
        kafka_committed(list, places);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return error_set(error, ODS_RETRY, "can't read the group's offsets: %s",
                         rd_kafka_err2str(code));
    return ODS_OK;
}

enum ods_status kafka_ends(struct source *base, const char *topic, int32_t partition,
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

enum ods_status kafka_offsets_at(struct source *base, struct place *places, size_t count,
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

enum ods_status kafka_partitions(struct source *base, const char *topic, int32_t *count,
                                 struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(source->rk, topic, NULL);
    rd_kafka_resp_err_t code =
        handle ? rd_kafka_metadata(source->rk, 0, handle, &metadata, CALL_TIMEOUT_MS)
               : rd_kafka_last_error();
    *count = !code && metadata && metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    if (handle)
        rd_kafka_topic_destroy(handle);
    if (*count <= 0)
        return error_set(error, ODS_RETRY, "topic %s: can't ask how many partitions it has: %s",
                         topic, code ? rd_kafka_err2str(code) : "no answer");
    return ODS_OK;
}

int64_t kafka_known_end(struct source *base, const char *topic, int32_t partition)
{
    struct kafka_source *source = (struct kafka_source *) base;
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(source->rk, topic, partition, &low, &high) || high < 0)
        return -1;
    return high;
}

/* The client learns of another cluster's id when it asks for metadata, and may have fetched records
 * from it before. */
static bool ask_whose(struct kafka_source *source)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (!source->cluster_in_doubt)
        return true;
    if (rd_kafka_metadata(source->rk, 0, NULL, &metadata, CALL_TIMEOUT_MS))
        return false;
    rd_kafka_metadata_destroy(metadata);
    source->cluster_in_doubt = false;
    return true;
}

void kafka_cluster(struct source *base, char name[CLUSTER_BYTES])
{
    struct kafka_source *source = (struct kafka_source *) base;
    char *id = ask_whose(source) ? rd_kafka_clusterid(source->rk, 0) : NULL;
    snprintf(name, CLUSTER_BYTES, "%s", id ? id : "");
    if (id)
        rd_kafka_mem_free(source->rk, id);
    if (*name && *source->cluster && strcmp(name, source->cluster) != 0)
        source->must_leak = true;
    if (*name)
        memcpy(source->cluster, name, CLUSTER_BYTES);
}

/* If memory is out `acknowledged` is not called, and the offsets are acknowledged again later. */
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

void kafka_ack(struct source *base, const struct place *places, size_t count, int wait_ms)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_topic_partition_list_t *list = kafka_commits(places, count);
    commit(source, list, wait_ms);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_take_commits(struct kafka_source *source)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(source->commits, 0))) {
        source->commit_out = false;
        take_commit(source, event);
    }
}
