/* Dead letters in Kafka.
 *
 * The producer is idempotent and waits for all replicas. It is made for the first bad record, so a
 * pipeline without any has no connection for them. After any failure it is thrown away with all
 * that it still holds: nothing in it may refer to a batch that its lane has dropped.
 *
 * Whatever the brokers answer, a letter is tried again later and its lane waits: a topic that is
 * not there can be made, one that takes no record as large can be altered, a right can be granted.
 * What was acknowledged stays so and is not sent again.
 */
#include "pipeline/deadletter.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "source/kafka/kafka_conf.h"

#define POLL_MS  50
#define FLUSH_MS 1000

struct kafka_deadletter {
    struct deadletter base;
    const struct settings *settings;
    struct deadletter_origin origin;
    rd_kafka_t *rk; /* NULL until the first reject, and after a failure */
    atomic_bool interrupted;
    size_t pending;
    rd_kafka_resp_err_t failure; /* the first one of this delivery */
    const struct reject *failed; /* the letter that it is about */
    char trouble[256];           /* what the client last said of its connections */
};

void deadletter_close(struct deadletter *deadletter)
{
    if (deadletter)
        deadletter->ops->close(deadletter);
}

static void note_failure(struct kafka_deadletter *deadletter, const struct reject *reject,
                         rd_kafka_resp_err_t code)
{
    if (deadletter->failure)
        return;
    deadletter->failure = code;
    deadletter->failed = reject;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_deadletter *deadletter = opaque;
    struct reject *reject = message->_private;
    deadletter->pending--;
    if (message->err)
        note_failure(deadletter, reject, message->err);
    else
        reject->delivered = true;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_deadletter *deadletter = opaque;
    utf8_copy(deadletter->trouble, sizeof deadletter->trouble, reason, strlen(reason));
}

static enum ods_status start_producer(struct kafka_deadletter *deadletter, struct error *error)
{
    /* clang-format off */
    static const char *const defaults[] = {
        "client.id", "ods-sink-dead-letter",
        "message.timeout.ms", "10000",
        "message.max.bytes", "104857600", /* the broker decides what is too large */
        "topic.metadata.propagation.max.ms", "5000",
        NULL,
    };
    static const char *const owned[] = {"enable.idempotence", "true", "acks", "all", "linger.ms",
                                        "0", NULL};
    /* clang-format on */
    char text[512];
    if (deadletter->rk)
        return ODS_OK;
    rd_kafka_conf_t *conf = kafka_conf(&deadletter->settings->kafka, defaults, owned, error);
    if (!conf)
        return ODS_FATAL;
    rd_kafka_conf_set_opaque(conf, deadletter);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    deadletter->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (deadletter->rk)
        return ODS_OK;
    rd_kafka_conf_destroy(conf);
    return error_set(error, ODS_FATAL, "can't make a Kafka producer for dead letters: %s", text);
}

static void discard_producer(struct kafka_deadletter *deadletter)
{
    if (!deadletter->rk)
        return;
    rd_kafka_purge(deadletter->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(deadletter->rk, FLUSH_MS);
    rd_kafka_destroy(deadletter->rk);
    deadletter->rk = NULL;
    deadletter->pending = 0;
}

struct headers {
    rd_kafka_headers_t *list;
    bool failed;
};

static void add_header(void *context, const char *name, const char *value, size_t length)
{
    struct headers *headers = context;
    headers->failed |= rd_kafka_header_add(headers->list, name, -1, value, (ssize_t) length) != 0;
}

/* NULL when memory is out. */
static rd_kafka_headers_t *make_headers(const struct kafka_deadletter *deadletter,
                                        const struct batch *batch, const struct reject *reject)
{
    struct headers headers = {.list = rd_kafka_headers_new(32)};
    if (deadletter_headers(batch, reject, &deadletter->origin, add_header, &headers) &&
        !headers.failed)
        return headers.list;
    rd_kafka_headers_destroy(headers.list);
    return NULL;
}

/* The time is today's: with the record's own, retention could take the letter away unread. */
static void produce(struct kafka_deadletter *deadletter, const struct batch *batch,
                    struct reject *reject)
{
    const struct record *record = &batch->records[reject->record];
    rd_kafka_resp_err_t code;
    rd_kafka_headers_t *headers = make_headers(deadletter, batch, reject);
    if (!headers) {
        note_failure(deadletter, reject, RD_KAFKA_RESP_ERR__QUEUE_FULL);
        return;
    }
    do {
        code = rd_kafka_producev(
            deadletter->rk, RD_KAFKA_V_TOPIC(deadletter->settings->dead_letter.topic),
            RD_KAFKA_V_KEY((void *) record->key, record->key_length),
            RD_KAFKA_V_VALUE((void *) record->value, record->value_length),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(reject), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && deadletter->pending)
            rd_kafka_poll(deadletter->rk, POLL_MS);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && deadletter->pending &&
             !atomic_load(&deadletter->interrupted));
    if (!code) {
        deadletter->pending++;
        return;
    }
    rd_kafka_headers_destroy(headers);
    note_failure(deadletter, reject, code);
}

/* What is under way is waited for after a failure too: else it might be written and sent again.
 * message.timeout.ms bounds it. */
static void await_answers(struct kafka_deadletter *deadletter)
{
    while (deadletter->pending && !atomic_load(&deadletter->interrupted))
        rd_kafka_poll(deadletter->rk, POLL_MS);
}

static void produce_all(struct kafka_deadletter *deadletter, struct batch *batch, bool one_by_one)
{
    deadletter->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        if (batch->rejects[i].delivered || atomic_load(&deadletter->interrupted))
            continue;
        produce(deadletter, batch, &batch->rejects[i]);
        if (one_by_one)
            await_answers(deadletter);
    }
    await_answers(deadletter);
}

static enum ods_status describe(struct kafka_deadletter *deadletter, const struct batch *batch,
                                struct error *error)
{
    const char *topic = deadletter->settings->dead_letter.topic;
    const char *advice = "";
    const struct record *record =
        deadletter->failed ? &batch->records[deadletter->failed->record] : NULL;
    switch (deadletter->failure) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        advice = ": raise the topic's max.message.bytes above the record's size and that of its "
                 "headers, about 8 KiB, or pass over the record with ods-sink reset";
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        advice = ": is the topic there?";
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        advice = ": grant WRITE and DESCRIBE on it";
        break;
    default:
        break;
    }
    if (record)
        error_set(error, ODS_RETRY,
                  "dead-letter topic %s does not take the record of topic %s partition %d offset "
                  "%lld (%zu bytes): %s%s%s%s",
                  topic, record->topic, (int) record->partition, (long long) record->offset,
                  record->key_length + record->value_length, rd_kafka_err2str(deadletter->failure),
                  advice, *deadletter->trouble ? "; " : "", deadletter->trouble);
    else
        error_set(error, ODS_RETRY, "writing to dead-letter topic %s was interrupted", topic);
    return ODS_RETRY;
}

static enum ods_status kafka_deliver(struct deadletter *base, struct batch *batch,
                                     struct error *error)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    enum ods_status status = start_producer(deadletter, error);
    if (status != ODS_OK)
        return status;
    *deadletter->trouble = '\0';
    deadletter->failed = NULL;
    produce_all(deadletter, batch, false);
    /* The limit is one of what is sent together: each may fit by itself. */
    if (deadletter->failure == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        produce_all(deadletter, batch, true);
    atomic_store(&deadletter->interrupted, false);
    if (!batch_letters_wait(batch))
        return ODS_OK;
    status = describe(deadletter, batch, error);
    discard_producer(deadletter);
    return status;
}

static void kafka_interrupt(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    atomic_store(&deadletter->interrupted, true);
}

static void kafka_clear_interrupt(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    atomic_store(&deadletter->interrupted, false);
}

static void kafka_close_producer(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    discard_producer(deadletter);
    free(deadletter);
}

static const struct deadletter_ops kafka_ops = {
    .deliver = kafka_deliver,
    .interrupt = kafka_interrupt,
    .clear_interrupt = kafka_clear_interrupt,
    .close = kafka_close_producer,
};

enum ods_status deadletter_kafka_open(struct deadletter **out, const struct settings *settings,
                                      const struct deadletter_origin *origin, struct error *error)
{
    struct kafka_deadletter *deadletter = calloc(1, sizeof *deadletter);
    *out = NULL;
    if (!deadletter)
        return error_set(error, ODS_FATAL, "out of memory for dead letters");
    deadletter->base.ops = &kafka_ops;
    deadletter->settings = settings;
    deadletter->origin = *origin;
    *out = &deadletter->base;
    return ODS_OK;
}
