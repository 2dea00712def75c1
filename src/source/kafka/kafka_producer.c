/* See kafka_producer.h. */
#include "source/kafka/kafka_producer.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "source/kafka/kafka_conf.h"

#define FLUSH_MS 1000

struct kafka_producer {
    rd_kafka_t *rk;
    struct kafka_producer_config config;
    size_t pending;
    bool closing;
    char trouble[256]; /* what the client last said of its connections */
};

static struct kafka_answer answer_of(rd_kafka_resp_err_t code)
{
    struct kafka_answer answer = {.fault = KAFKA_FAILED, .text = rd_kafka_err2str(code)};
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        answer.fault = KAFKA_WRITTEN;
        break;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        answer.fault = KAFKA_FULL;
        break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        answer.fault = KAFKA_TOO_LARGE;
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        answer.fault = KAFKA_NO_TOPIC;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        answer.fault = KAFKA_NO_RIGHT;
        break;
    default:
        break;
    }
    return answer;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_producer *producer = opaque;
    producer->pending--;
    if (!producer->closing)
        producer->config.answered(producer->config.context, message->_private,
                                  answer_of(message->err));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_producer *producer = opaque;
    utf8_copy(producer->trouble, sizeof producer->trouble, reason, strlen(reason));
}

enum ods_status kafka_producer_open(struct kafka_producer **out,
                                    const struct kafka_producer_config *config,
                                    struct error *error)
{
    /* clang-format off */
    const char *const defaults[] = {
        "client.id", config->client_id,
        "message.timeout.ms", "10000",
        "message.max.bytes", "104857600", /* the broker decides what is too large */
        "topic.metadata.propagation.max.ms", "5000",
        NULL,
    };
    static const char *const owned[] = {"enable.idempotence", "true", "acks", "all", "linger.ms",
                                        "0", NULL};
    /* clang-format on */
    char text[512];
    struct kafka_producer *producer = calloc(1, sizeof *producer);
    *out = NULL;
    if (!producer)
        return error_set(error, ODS_FATAL, "out of memory for a Kafka producer");
    producer->config = *config;
    rd_kafka_conf_t *conf = kafka_conf(&config->settings->kafka, defaults, owned, error);
    if (!conf)
        goto failed;
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    producer->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!producer->rk) {
        rd_kafka_conf_destroy(conf);
        error_set(error, ODS_FATAL, "can't make a Kafka producer: %s", text);
        goto failed;
    }
    *out = producer;
    return ODS_OK;
failed:
    free(producer);
    return ODS_FATAL;
}

void kafka_producer_close(struct kafka_producer *producer)
{
    if (!producer)
        return;
    producer->closing = true;
    rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(producer->rk, FLUSH_MS);
    rd_kafka_destroy(producer->rk);
    free(producer);
}

struct kafka_header_list *kafka_header_list_new(void)
{
    return (struct kafka_header_list *) rd_kafka_headers_new(32);
}

bool kafka_header_list_add(struct kafka_header_list *headers, const char *name, const char *value,
                       size_t length)
{
    return rd_kafka_header_add((rd_kafka_headers_t *) headers, name, -1, value,
                               (ssize_t) length) == 0;
}

void kafka_header_list_free(struct kafka_header_list *headers)
{
    if (headers)
        rd_kafka_headers_destroy((rd_kafka_headers_t *) headers);
}

/* The letter has the time at which it is sent: with the record's own, retention might delete it
 * unread. */
struct kafka_answer kafka_producer_send(struct kafka_producer *producer, const char *topic,
                                        const struct record *record,
                                        struct kafka_header_list *headers, void *what)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->rk, RD_KAFKA_V_TOPIC(topic),
        RD_KAFKA_V_KEY((void *) record->key, record->key_length),
        RD_KAFKA_V_VALUE((void *) record->value, record->value_length),
        RD_KAFKA_V_HEADERS((rd_kafka_headers_t *) headers), RD_KAFKA_V_OPAQUE(what),
        RD_KAFKA_V_END);
    producer->pending += !code;
    return answer_of(code);
}

struct kafka_answer kafka_producer_send_tombstone(struct kafka_producer *producer,
                                                  const char *topic, int32_t partition,
                                                  const char *key, size_t key_length,
                                                  struct kafka_header_list *headers, void *what)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY((void *) key, key_length), RD_KAFKA_V_VALUE(NULL, 0),
        RD_KAFKA_V_HEADERS((rd_kafka_headers_t *) headers), RD_KAFKA_V_OPAQUE(what),
        RD_KAFKA_V_END);
    producer->pending += !code;
    return answer_of(code);
}

size_t kafka_producer_pending(const struct kafka_producer *producer)
{
    return producer->pending;
}

void kafka_producer_wait(struct kafka_producer *producer, int wait_ms)
{
    rd_kafka_poll(producer->rk, wait_ms);
}

const char *kafka_producer_trouble(const struct kafka_producer *producer)
{
    return producer->trouble;
}

void kafka_producer_forget_trouble(struct kafka_producer *producer)
{
    *producer->trouble = '\0';
}
