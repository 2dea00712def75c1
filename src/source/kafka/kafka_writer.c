/* A writer's client. See kafka_writer.h. */
#include "source/kafka/kafka_writer_room.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/time.h"
#include "source/kafka/kafka_conf.h"

#define READY_MS    5000           /* for a connection, then it is an outage */
#define MESSAGE_MS  INT64_C(30000) /* without transactions: until a record can't be written */
#define QUEUE_BYTES (INT64_C(32) * 1024 * 1024) /* that have been sent and not been answered */

/* clang-format off */
static const char *const fixed[] = {
    "enable.idempotence", "true",
    "acks", "all",
    "delivery.report.only.error", "true",
    "enable.gapless.guarantee", "false",
    NULL,
};
static const char *const reserved[] = {
    "bootstrap.servers", "client.id", "transactional.id", "transaction.timeout.ms",
    "message.max.bytes", "message.timeout.ms", "batch.size", "batch.num.messages", "partitioner",
    "queue.buffering.max.kbytes", NULL,
};
/* clang-format on */

bool kafka_writer_owns(const char *name)
{
    for (size_t i = 0; reserved[i]; i++)
        if (strcmp(reserved[i], name) == 0)
            return true;
    for (size_t i = 0; fixed[i]; i += 2)
        if (strcmp(fixed[i], name) == 0)
            return true;
    return false;
}

static bool is_of_a_connection(const char *name)
{
    return strncmp(name, "ssl.", 4) == 0 || strncmp(name, "sasl.", 5) == 0 ||
           strncmp(name, "security.", 9) == 0 || strncmp(name, "plugin.", 7) == 0 ||
           strncmp(name, "https.", 6) == 0;
}

/* How settings go together is told only as a client is made: one without brokers is. What is of
 * connections is left out: their files need not be where the configuration is checked. */
static enum ods_status try_client(const struct properties *properties, int64_t transaction_ms,
                                  struct error *error)
{
    struct properties some = {.items = calloc(properties->count + 1, sizeof *some.items)};
    struct kafka_settings kafka = {.bootstrap_servers = ""};
    char text[512], timeout[32];
    snprintf(timeout, sizeof timeout, "%" PRId64, transaction_ms);
    const char *const owned[] = {
        fixed[0], fixed[1], fixed[2], fixed[3], transaction_ms ? "transaction.timeout.ms" : NULL,
        timeout,  "transactional.id", "none", NULL};
    if (!some.items)
        return error_out_of_memory(error);
    for (size_t i = 0; i < properties->count; i++)
        if (!is_of_a_connection(properties->items[i].name))
            some.items[some.count++] = properties->items[i];
    kafka.properties = some;
    rd_kafka_conf_t *conf = kafka_conf(&kafka, NULL, owned, error);
    free(some.items);
    if (!conf)
        return ODS_FATAL;
    rd_kafka_t *rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk) {
        rd_kafka_destroy(rk);
        return ODS_OK;
    }
    rd_kafka_conf_destroy(conf);
    if (!transaction_ms)
        return error_set(error, ODS_FATAL, "properties: %s", text);
    return error_set(error, ODS_FATAL,
                     "properties: %s (transaction.timeout.ms is transaction_timeout_ms, %" PRId64
                     ")",
                     text, transaction_ms);
}

enum ods_status kafka_writer_check(const struct properties *properties, int64_t transaction_ms,
                                   struct error *error)
{
    const struct kafka_settings kafka = {.bootstrap_servers = "", .properties = *properties};
    for (size_t i = 0; i < properties->count; i++)
        if (kafka_writer_owns(properties->items[i].name))
            return error_set(error, ODS_FATAL,
                             "properties: \"%s\" is set by the target itself: remove it",
                             properties->items[i].name);
    rd_kafka_conf_t *conf = kafka_conf(&kafka, NULL, NULL, error);
    if (!conf)
        return ODS_FATAL;
    rd_kafka_conf_destroy(conf);
    return try_client(properties, transaction_ms, error);
}

int64_t kafka_writer_queue_bytes(int64_t record_bytes_max)
{
    return 2 * record_bytes_max < QUEUE_BYTES ? QUEUE_BYTES : 2 * record_bytes_max;
}

static rd_kafka_conf_t *make_conf(struct kafka_writer *writer, struct error *error)
{
    const struct kafka_writer_config *config = &writer->config;
    char transaction_ms[32], message_ms[32], record_max[32], set_bytes[32], queue_kbytes[32];
    int64_t queue_bytes = kafka_writer_queue_bytes(config->record_bytes_max);
    snprintf(transaction_ms, sizeof transaction_ms, "%" PRId64, config->transaction_ms);
    /* Records that can't be written are given up before their transaction is. */
    snprintf(message_ms, sizeof message_ms, "%" PRId64,
             config->transactional_id ? config->transaction_ms * 2 / 3 : MESSAGE_MS);
    snprintf(record_max, sizeof record_max, "%" PRId64, config->record_bytes_max);
    snprintf(set_bytes, sizeof set_bytes, "%" PRId64, writer->set_bytes);
    snprintf(queue_kbytes, sizeof queue_kbytes, "%" PRId64, queue_bytes / 1024);
    /* clang-format off */
    const char *const defaults[] = {
        "client.id", config->client_id,
        "linger.ms", "5", /* commit() and flush() do not wait for it */
        "queue.buffering.max.messages", "100000",
        "topic.metadata.propagation.max.ms", "5000",
        "reconnect.backoff.max.ms", "5000",
        "retry.backoff.ms", "50",
        "statistics.interval.ms", "15000", /* for /metrics */
        NULL,
    };
    const char *const owned[] = {
        fixed[0], fixed[1], fixed[2], fixed[3], fixed[4], fixed[5], fixed[6], fixed[7],
        "message.max.bytes", record_max,
        "message.timeout.ms", message_ms,
        "batch.size", set_bytes,
        "batch.num.messages", writer->single ? "1" : "10000",
        "queue.buffering.max.kbytes", queue_kbytes,
        "partitioner", config->partitioner,
        config->transactional_id ? "transactional.id" : NULL, config->transactional_id,
        "transaction.timeout.ms", transaction_ms,
        NULL,
    };
    /* clang-format on */
    return kafka_conf(config->kafka, defaults, owned, error);
}

static enum ods_status make_client(struct kafka_writer *writer, struct error *error)
{
    char text[512];
    rd_kafka_conf_t *conf = make_conf(writer, error);
    if (!conf)
        return ODS_FATAL;
    rd_kafka_conf_set_opaque(conf, writer);
    kafka_answers_take(conf);
    writer->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!writer->rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, ODS_FATAL, "target %s: can't make a Kafka producer: %s",
                         writer->config.target, text);
    }
    writer->was_single = writer->single;
    writer->state = writer->config.transactional_id ? WRITER_MADE : WRITER_READY;
    return ODS_OK;
}

void kafka_writer_end(struct kafka_writer *writer)
{
    for (size_t i = 0; i < writer->topics.slot_count; i++) {
        struct kafka_writer_topic *topic = writer->topics.slots[i].item;
        if (topic && topic->handle)
            rd_kafka_topic_destroy(topic->handle);
        if (topic)
            topic->handle = NULL;
    }
    if (writer->rk) {
        rd_kafka_purge(writer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_poll(writer->rk, 0);
        rd_kafka_destroy_flags(writer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    writer->rk = NULL;
    writer->waiting_count = 0;
    writer->away = false;
    writer->state = WRITER_CLOSED;
}

enum ods_status kafka_writer_open(struct kafka_writer **out,
                                  const struct kafka_writer_config *config, struct error *error)
{
    struct kafka_writer *writer = calloc(1, sizeof *writer);
    *out = NULL;
    if (!writer)
        return error_out_of_memory(error);
    writer->config = *config;
    writer->set_bytes = SET_BYTES;
    writer->patience_ms = AWAY_MS;
    rd_kafka_conf_t *conf = make_conf(writer, error);
    if (!conf) {
        kafka_writer_close(writer);
        return ODS_FATAL;
    }
    rd_kafka_conf_destroy(conf);
    *out = writer;
    return ODS_OK;
}

void kafka_writer_close(struct kafka_writer *writer)
{
    if (!writer)
        return;
    kafka_writer_end(writer);
    for (size_t i = 0; i < writer->topics.slot_count; i++) {
        struct kafka_writer_topic *topic = writer->topics.slots[i].item;
        if (topic)
            free(topic->name);
        free(topic);
    }
    hash_index_done(&writer->topics);
    free(writer);
}

void kafka_writer_rest(struct kafka_writer *writer)
{
    if (writer->rk)
        rd_kafka_poll(writer->rk, 0);
}

struct kafka_writer_topic *kafka_writer_topic(struct kafka_writer *writer, const char *name)
{
    struct kafka_writer_topic *topic;
    uint64_t hash = hash_bytes(name, strlen(name), 0);
    size_t at = hash_index_start(hash);
    while ((topic = hash_index_next(&writer->topics, hash, &at)))
        if (strcmp(topic->name, name) == 0)
            return topic;
    topic = calloc(1, sizeof *topic);
    if (!topic || !(topic->name = strdup(name)) || !hash_index_reserve(&writer->topics)) {
        if (topic)
            free(topic->name);
        free(topic);
        return NULL;
    }
    hash_index_add(&writer->topics, hash, topic);
    return topic;
}

enum ods_status kafka_writer_ready(struct kafka_writer *writer, struct error *error)
{
    int64_t until_us = time_monotonic_us() + READY_MS * 1000;
    if (writer->state == WRITER_CLOSED) {
        enum ods_status status = make_client(writer, error);
        if (status != ODS_OK)
            return status;
    }
    while (writer->state == WRITER_MADE) {
        rd_kafka_error_t *failure = rd_kafka_init_transactions(writer->rk, SLICE_MS);
        if (!failure) {
            writer->state = WRITER_READY;
            break;
        }
        rd_kafka_poll(writer->rk, 0);
        bool retriable = rd_kafka_error_is_retriable(failure);
        if (retriable && !kafka_writer_interrupted(writer) && time_monotonic_us() < until_us) {
            rd_kafka_error_destroy(failure);
            continue;
        }
        enum ods_status status = kafka_answers_say(writer, rd_kafka_error_code(failure),
                                                   rd_kafka_error_string(failure), error);
        rd_kafka_error_destroy(failure);
        if (!retriable)
            kafka_writer_end(writer);
        return status == ODS_FATAL ? status : ODS_RETRY;
    }
    return ODS_OK;
}
