/* Dead letters in Kafka, and what both kinds say of a reject.
 *
 * The producer is idempotent and waits for all replicas. It is made for the first bad record, so a
 * pipeline without any has no connection for them. After any failure it is thrown away with all
 * that it still holds: nothing in it may refer to a batch that its lane has dropped.
 */
#include "pipeline/deadletter.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/kafka_conf.h"

#define POLL_MS  50
#define FLUSH_MS 1000

struct kafka_deadletter {
    struct deadletter base;
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    rd_kafka_t *rk; /* NULL until the first reject, and after a failure */
    atomic_bool interrupted;
    size_t pending;
    rd_kafka_resp_err_t failure; /* the first one */
    char trouble[256];           /* what the client last said of its connections */
};

void deadletter_close(struct deadletter *deadletter)
{
    if (deadletter)
        deadletter->ops->close(deadletter);
}

static void add_note(struct deadletter_note *notes, size_t *count, const char *name,
                     const char *text)
{
    notes[*count].name = name;
    snprintf(notes[(*count)++].text, sizeof notes->text, "%s", text);
}

static void add_number(struct deadletter_note *notes, size_t *count, const char *name,
                       int64_t number)
{
    notes[*count].name = name;
    snprintf(notes[(*count)++].text, sizeof notes->text, "%lld", (long long) number);
}

size_t deadletter_notes(struct deadletter_note *notes, const struct batch *batch,
                        const struct reject *reject, const char *pipeline)
{
    const struct record *record = &batch->records[reject->record];
    size_t count = 0;
    add_note(notes, &count, "ods.topic", record->topic);
    add_number(notes, &count, "ods.partition", record->partition);
    add_number(notes, &count, "ods.offset", record->offset);
    add_number(notes, &count, "ods.timestamp", record->timestamp_ms);
    add_note(notes, &count, "ods.pipeline", pipeline);
    add_note(notes, &count, "ods.stage", reject->stage);
    add_note(notes, &count, "ods.error", reject->error.text);
    if (*reject->error.sqlstate)
        add_note(notes, &count, "ods.sqlstate", reject->error.sqlstate);
    if (*reject->error.column)
        add_note(notes, &count, "ods.column", reject->error.column);
    /* The names that Kafka Connect's sinks use, for tools that know those. */
    add_note(notes, &count, "__connect.errors.topic", record->topic);
    add_number(notes, &count, "__connect.errors.partition", record->partition);
    add_number(notes, &count, "__connect.errors.offset", record->offset);
    add_note(notes, &count, "__connect.errors.connector.name", pipeline);
    add_note(notes, &count, "__connect.errors.stage",
             strcmp(reject->stage, "decode") == 0 ? "VALUE_CONVERTER" : "TASK_PUT");
    add_note(notes, &count, "__connect.errors.exception.message", reject->error.text);
    return count;
}

/* The same record may be accepted later, by the same topic as it is. */
static bool is_outage(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__FATAL: /* of the idempotent producer: a new one starts afresh */
    case RD_KAFKA_RESP_ERR__DESTROY:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
        return true;
    default:
        return false;
    }
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_deadletter *deadletter = opaque;
    struct reject *reject = message->_private;
    deadletter->pending--;
    if (!message->err)
        reject->delivered = true;
    else if (!deadletter->failure || is_outage(deadletter->failure))
        deadletter->failure = message->err;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_deadletter *deadletter = opaque;
    snprintf(deadletter->trouble, sizeof deadletter->trouble, "%s", reason);
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

/* The record's own headers and then the notes; NULL when memory is out. */
static rd_kafka_headers_t *make_headers(const struct batch *batch, const struct reject *reject,
                                        const char *pipeline)
{
    const struct record *record = &batch->records[reject->record];
    struct deadletter_note notes[DEADLETTER_NOTES_MAX];
    size_t own = batch->headers ? batch->headers(record, NULL, 0) : 0;
    size_t count = deadletter_notes(notes, batch, reject, pipeline);
    struct header *originals = own ? malloc(own * sizeof *originals) : NULL;
    if (own && !originals)
        return NULL;
    if (own)
        batch->headers(record, originals, own);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(own + count);
    for (size_t i = 0; i < own; i++)
        rd_kafka_header_add(headers, originals[i].name, -1, originals[i].value,
                            (ssize_t) originals[i].length);
    for (size_t i = 0; i < count; i++)
        rd_kafka_header_add(headers, notes[i].name, -1, notes[i].text, -1);
    free(originals);
    return headers;
}

/* The time is today's: with the record's own, retention could take the letter away unread. */
static rd_kafka_resp_err_t produce(struct kafka_deadletter *deadletter, const struct batch *batch,
                                   struct reject *reject)
{
    const struct record *record = &batch->records[reject->record];
    rd_kafka_resp_err_t code;
    rd_kafka_headers_t *headers = make_headers(batch, reject, deadletter->pipeline->name);
    if (!headers)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
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
    if (code)
        rd_kafka_headers_destroy(headers);
    else
        deadletter->pending++;
    return code;
}

static enum ods_status describe(struct kafka_deadletter *deadletter, struct error *error)
{
    const char *topic = deadletter->settings->dead_letter.topic;
    const char *reason = rd_kafka_err2str(deadletter->failure);
    if (is_outage(deadletter->failure))
        return error_set(error, ODS_RETRY, "dead-letter topic %s can't be written to: %s%s%s",
                         topic, reason, *deadletter->trouble ? "; " : "", deadletter->trouble);
    return error_set(
        error, ODS_FATAL,
        "dead-letter topic %s refuses a record: %s; see that the topic is there, may be "
        "written to, and that its max.message.bytes is above the largest record",
        topic, reason);
}

static enum ods_status kafka_deliver(struct deadletter *base, struct batch *batch,
                                     struct error *error)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    enum ods_status status = start_producer(deadletter, error);
    if (status != ODS_OK)
        return status;
    deadletter->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (uint32_t i = 0; i < batch->reject_count && !deadletter->failure; i++)
        if (!batch->rejects[i].delivered) {
            rd_kafka_resp_err_t code = produce(deadletter, batch, &batch->rejects[i]);
            if (code)
                deadletter->failure = code;
        }
    while (deadletter->pending && !deadletter->failure && !atomic_load(&deadletter->interrupted))
        rd_kafka_poll(deadletter->rk, POLL_MS);
    bool interrupted = atomic_exchange(&deadletter->interrupted, false);
    if (!deadletter->failure && !deadletter->pending)
        return ODS_OK;
    if (!deadletter->failure && interrupted)
        deadletter->failure = RD_KAFKA_RESP_ERR__DESTROY;
    status = describe(deadletter, error);
    discard_producer(deadletter);
    return status;
}

static void kafka_interrupt(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    atomic_store(&deadletter->interrupted, true);
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
    .close = kafka_close_producer,
};

enum ods_status deadletter_kafka_open(struct deadletter **out, const struct settings *settings,
                                      const struct pipeline_settings *pipeline, struct error *error)
{
    struct kafka_deadletter *deadletter = calloc(1, sizeof *deadletter);
    *out = NULL;
    if (!deadletter)
        return error_set(error, ODS_FATAL, "out of memory for dead letters");
    deadletter->base.ops = &kafka_ops;
    deadletter->settings = settings;
    deadletter->pipeline = pipeline;
    *out = &deadletter->base;
    return ODS_OK;
}
