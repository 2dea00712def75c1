/* See kafka_asker.h. */
#include "source/kafka/kafka_asker.h"

#include <unistd.h>

#include "core/time.h"
#include "source/kafka/kafka_conf.h"

#define ANSWER_MS 10000
#define AGAIN_US  100000

enum ods_status kafka_asker_init(struct kafka_asker *asker, const struct settings *settings,
                                 const char *group, const char *const *defaults,
                                 const char *fetch_bytes, struct error *error)
{
    /* clang-format off */
    const char *const owned[] = {
        "group.id", group,
        "enable.auto.commit", "false",
        "enable.auto.offset.store", "false",
        "auto.offset.reset", "error",
        "allow.auto.create.topics", "false",
        "isolation.level", "read_committed",
        "enable.partition.eof", "true",
        fetch_bytes ? "fetch.message.max.bytes" : NULL, fetch_bytes,
        NULL,
    };
    /* clang-format on */
    char text[512];
    rd_kafka_conf_t *conf = kafka_conf(&settings->kafka, defaults, owned, error);
    *asker =
        (struct kafka_asker){.servers = settings->kafka.bootstrap_servers, .answer_ms = ANSWER_MS};
    if (!conf)
        return ODS_FATAL;
    asker->rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!asker->rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, ODS_FATAL, "can't make a Kafka client: %s", text);
    }
    rd_kafka_poll_set_consumer(asker->rk);
    return ODS_OK;
}

void kafka_asker_done(struct kafka_asker *asker)
{
    rd_kafka_consumer_close(asker->rk);
    rd_kafka_destroy(asker->rk);
}

enum ods_status kafka_asker_failed(const struct kafka_asker *asker, const char *question,
                                   const char *reason, struct error *error)
{
    return error_set(error, ODS_RETRY, "Kafka at %s: %s: %s", asker->servers, question, reason);
}

enum ods_status kafka_asker_topics(const struct kafka_asker *asker,
                                   void (*take)(void *context, const char *topic,
                                                int32_t partitions),
                                   void *context, int *brokers, struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(asker->rk, 1, NULL, &metadata, asker->answer_ms);
    if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        return error_set(error, ODS_RETRY,
                         "Kafka at %s: no broker answers within %d s: does one run there "
                         "(kafka.bootstrap_servers)?",
                         asker->servers, asker->answer_ms / 1000);
    if (code)
        return kafka_asker_failed(asker, "which topics are there", rd_kafka_err2str(code), error);
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (!metadata->topics[i].err)
            take(context, metadata->topics[i].topic, metadata->topics[i].partition_cnt);
    if (brokers)
        *brokers = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    return ODS_OK;
}

/* A partition that was just made, or whose leader is another now, is known to it in a moment. Also
 * of one partition among others it is the code of the call. */
static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

rd_kafka_resp_err_t kafka_asker_offsets(const struct kafka_asker *asker,
                                        rd_kafka_topic_partition_list_t *list)
{
    int64_t until_us = time_monotonic_us() + asker->answer_ms * INT64_C(1000);
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(asker->rk, list, asker->answer_ms);
    while (is_passing(code) && time_monotonic_us() < until_us) {
        usleep(AGAIN_US);
        for (int i = 0; i < asked->cnt; i++) {
            const rd_kafka_topic_partition_t *one = &asked->elems[i];
            rd_kafka_topic_partition_t *again =
                rd_kafka_topic_partition_list_find(list, one->topic, one->partition);
            again->offset = one->offset;
            again->err = RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        code = rd_kafka_offsets_for_times(asker->rk, list, asker->answer_ms);
    }
    rd_kafka_topic_partition_list_destroy(asked);
    return code;
}
