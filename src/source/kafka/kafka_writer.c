/* See kafka_writer.h.
 *
 * A broker refuses all records of a message set for the fault of one. A record that is larger than
 * a message set may be stands in one alone, so where a topic takes less than we send at once, sets
 * are made smaller until the one at fault is alone. What is refused for another reason is sent once
 * more one by one.
 */
#include "source/kafka/kafka_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/hash_index.h"
#include "core/time.h"
#include "core/utf8.h"
#include "source/kafka/kafka_conf.h"
#include "source/kafka/kafka_fault.h"

#define SLICE_MS      500            /* of a call that waits, between two looks at the interrupt */
#define READY_MS      5000           /* for a connection, then it is an outage */
#define MESSAGE_MS    INT64_C(30000) /* without transactions: until a record can't be written */
#define ABORT_MS      5000
#define SET_BYTES     INT64_C(1000000) /* of a message set, at first */
#define SET_LEAST     INT64_C(1024)
#define POINTED_BYTES 60000                       /* msg.copy.max.bytes is 65535 */
#define QUEUE_BYTES   (INT64_C(32) * 1024 * 1024) /* that have been sent and not been answered */

struct kafka_writer_topic {
    char *name;
    rd_kafka_topic_t *handle; /* NULL: of a client that is gone, or none yet */
};

enum writer_state {
    WRITER_CLOSED, /* no client */
    WRITER_MADE,   /* its transactional id is not its own yet */
    WRITER_READY,
    WRITER_OPEN, /* in a transaction */
};

struct kafka_writer {
    struct kafka_writer_config config;
    rd_kafka_t *rk;
    enum writer_state state;
    struct hash_index topics;
    int64_t set_bytes;
    bool single;     /* each record in a message set of its own */
    bool was_single; /* the transaction that is open began so */

    /* What the answers since begin() said. */
    bool refused, smaller, alone;
    rd_kafka_resp_err_t failure; /* of the first record that was not written */
    char failure_topic[256];
    size_t failures;
    char trouble[256]; /* what the client last said of its connections */
};

/* --- answers ------------------------------------------------------------------------------ */

static void refuse(struct kafka_writer *writer, const rd_kafka_message_t *message)
{
    struct error why;
    char what[400];
    error_init(&why);
    snprintf(what, sizeof what, "topic %s", rd_kafka_topic_name(message->rkt));
    kafka_fault_set(&why, message->err, what,
                    message->err == RD_KAFKA_RESP_ERR_INVALID_RECORD && !message->key
                        ? "the brokers refuse a record without key, as compacted topics do"
                        : NULL);
    writer->refused = true;
    writer->config.refused(writer->config.context, (uint32_t) (uintptr_t) message->_private, &why);
}

/* A record that the brokers do not take: is it the one at fault? */
static void weigh(struct kafka_writer *writer, const rd_kafka_message_t *message)
{
    bool size = message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
                message->err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
    int64_t bytes = (int64_t) message->len + (int64_t) message->key_len;
    if (writer->was_single || (size ? bytes >= writer->set_bytes : !message->key))
        refuse(writer, message);
    else if (size && writer->set_bytes > SET_LEAST)
        writer->smaller = true;
    else
        writer->alone = true;
}

/* Only called for records that were not written. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_writer *writer = opaque;
    if (!message->err)
        return;
    writer->failures++;
    if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        return;
    if (kafka_fault(message->err).status == ODS_REJECT) {
        weigh(writer, message);
    } else if (!writer->failure) {
        writer->failure = message->err;
        snprintf(writer->failure_topic, sizeof writer->failure_topic, "%s",
                 rd_kafka_topic_name(message->rkt));
    }
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_writer *writer = opaque;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && code != RD_KAFKA_RESP_ERR__FATAL)
        utf8_copy(writer->trouble, sizeof writer->trouble, reason, strlen(reason));
}

static void forget_answers(struct kafka_writer *writer)
{
    writer->refused = writer->smaller = writer->alone = false;
    writer->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    writer->failures = 0;
}

/* --- the client --------------------------------------------------------------------------- */

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

enum ods_status kafka_writer_check(const struct properties *properties, struct error *error)
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
    return ODS_OK;
}

static rd_kafka_conf_t *make_conf(struct kafka_writer *writer, struct error *error)
{
    const struct kafka_writer_config *config = &writer->config;
    char transaction_ms[32], message_ms[32], record_max[32], set_bytes[32], queue_kbytes[32];
    int64_t queue_bytes = 2 * config->record_bytes_max;
    if (queue_bytes < QUEUE_BYTES)
        queue_bytes = QUEUE_BYTES;
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
        "queue.buffering.max.messages", "500000",
        "topic.metadata.propagation.max.ms", "5000",
        "reconnect.backoff.max.ms", "5000",
        "retry.backoff.ms", "50",
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
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    writer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!writer->rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, ODS_FATAL, "target %s: can't make a Kafka producer: %s",
                         writer->config.target, text);
    }
    writer->was_single = writer->single;
    writer->state = writer->config.transactional_id ? WRITER_MADE : WRITER_READY;
    return ODS_OK;
}

/* What is on its way is dropped; a transaction that is open ends when the next client begins. */
static void end_client(struct kafka_writer *writer)
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
    end_client(writer);
    for (size_t i = 0; i < writer->topics.slot_count; i++) {
        struct kafka_writer_topic *topic = writer->topics.slots[i].item;
        if (topic)
            free(topic->name);
        free(topic);
    }
    hash_index_done(&writer->topics);
    free(writer);
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

/* --- failures ----------------------------------------------------------------------------- */

static bool interrupted(const struct kafka_writer *writer)
{
    return atomic_load(writer->config.interrupted);
}

static enum ods_status say(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                           const char *reason, struct error *error)
{
    char what[400];
    if (writer->failure && writer->failures) {
        snprintf(what, sizeof what, "target %s: topic %s", writer->config.target,
                 writer->failure_topic);
        return kafka_fault_set(error, writer->failure, what, NULL);
    }
    snprintf(what, sizeof what, "target %s", writer->config.target);
    enum ods_status status = kafka_fault_set(error, code, what, reason);
    if (status != ODS_RETRY || !*writer->trouble)
        return status;
    error_prefix(error, "%s: ", writer->trouble);
    return status;
}

/* Nothing is committed: what comes next? Where records were refused, or have to be sent in other
 * message sets, the rest is sent again. */
static enum ods_status conclude(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                                const char *reason, struct error *error)
{
    bool again = writer->refused || writer->smaller || writer->alone;
    enum ods_status status = again ? error_set(error, ODS_REJECT, "records were refused")
                                   : say(writer, code, reason, error);
    if (writer->smaller)
        writer->set_bytes = writer->set_bytes / 4 > SET_LEAST ? writer->set_bytes / 4 : SET_LEAST;
    writer->single |= writer->alone;
    if (writer->smaller || writer->alone)
        end_client(writer);
    forget_answers(writer);
    return status;
}

void kafka_writer_abort(struct kafka_writer *writer)
{
    int64_t until_us = time_monotonic_us() + ABORT_MS * 1000;
    if (writer->state == WRITER_CLOSED)
        return;
    if (!writer->config.transactional_id) {
        rd_kafka_purge(writer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(writer->rk, SLICE_MS);
        if (rd_kafka_outq_len(writer->rk))
            end_client(writer);
        return;
    }
    while (writer->state == WRITER_OPEN) {
        rd_kafka_error_t *failure = rd_kafka_abort_transaction(writer->rk, SLICE_MS);
        bool more = failure && rd_kafka_error_is_retriable(failure) && !interrupted(writer) &&
                    time_monotonic_us() < until_us;
        if (!failure)
            writer->state = WRITER_READY;
        else
            rd_kafka_error_destroy(failure);
        if (failure && !more)
            end_client(writer);
    }
}

/* A call in a transaction failed. */
static enum ods_status give_up(struct kafka_writer *writer, rd_kafka_error_t *failure,
                               struct error *error)
{
    char reason[512];
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    bool fatal = rd_kafka_error_is_fatal(failure);
    snprintf(reason, sizeof reason, "%s", rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        code = rd_kafka_fatal_error(writer->rk, reason, sizeof reason);
    if (fatal)
        end_client(writer);
    else
        kafka_writer_abort(writer);
    enum ods_status status = conclude(writer, code, reason, error);
    if (fatal && status == ODS_RETRY)
        status = ODS_FENCED; /* by another producer, or by what this one no longer knows */
    return status;
}

/* --- a transaction ------------------------------------------------------------------------ */

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
        if (retriable && !interrupted(writer) && time_monotonic_us() < until_us) {
            rd_kafka_error_destroy(failure);
            continue;
        }
        enum ods_status status =
            say(writer, rd_kafka_error_code(failure), rd_kafka_error_string(failure), error);
        rd_kafka_error_destroy(failure);
        if (!retriable)
            end_client(writer);
        return status == ODS_FATAL ? status : ODS_RETRY;
    }
    return ODS_OK;
}

enum ods_status kafka_writer_begin(struct kafka_writer *writer, struct error *error)
{
    /* After a batch that went one by one, at full speed again. */
    if (writer->state == WRITER_READY && writer->was_single != writer->single)
        end_client(writer);
    enum ods_status status = kafka_writer_ready(writer, error);
    forget_answers(writer);
    if (status != ODS_OK || !writer->config.transactional_id)
        return status;
    rd_kafka_error_t *failure = rd_kafka_begin_transaction(writer->rk);
    if (failure)
        return give_up(writer, failure, error);
    writer->state = WRITER_OPEN;
    return ODS_OK;
}

static bool has_handle(struct kafka_writer *writer, struct kafka_writer_topic *topic)
{
    if (!topic->handle)
        topic->handle = rd_kafka_topic_new(writer->rk, topic->name, NULL);
    return topic->handle;
}

static rd_kafka_headers_t *make_headers(const struct kafka_outgoing *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value,
                            record->headers[i].value ? (ssize_t) record->headers[i].length : 0);
    return headers;
}

static rd_kafka_resp_err_t produce(struct kafka_writer *writer, const struct kafka_outgoing *record)
{
    int32_t partition = record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition;
    void *tag = (void *) (uintptr_t) record->tag;
    /* Small values are copied into their request; large ones a request only points to, also when
     * it is given up. */
    int flags = record->value_length < POINTED_BYTES ? 0 : RD_KAFKA_MSG_F_COPY;
    if (!record->header_count)
        return rd_kafka_produce(record->topic->handle, partition, flags, (void *) record->value,
                                record->value_length, record->key, record->key_length, tag)
                   ? rd_kafka_last_error()
                   : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_headers_t *headers = make_headers(record);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        writer->rk, RD_KAFKA_V_RKT(record->topic->handle), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_VALUE((void *) record->value, record->value_length),
        RD_KAFKA_V_KEY((void *) record->key, record->key_length), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(tag), RD_KAFKA_V_END);
    if (code)
        rd_kafka_headers_destroy(headers);
    return code;
}

/* One that is too large for any broker, as the settings say. */
static void refuse_here(struct kafka_writer *writer, const struct kafka_outgoing *record,
                        rd_kafka_resp_err_t code)
{
    struct error why;
    char what[400], reason[200];
    error_init(&why);
    snprintf(what, sizeof what, "topic %s", record->topic->name);
    snprintf(reason, sizeof reason,
             "a record of %zu bytes is larger than max_record_bytes (%" PRId64 ")",
             record->key_length + record->value_length, writer->config.record_bytes_max);
    kafka_fault_set(&why, code, what, code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? reason : NULL);
    writer->config.refused(writer->config.context, record->tag, &why);
}

/* The client takes no more, for a reason that is known by now. */
static enum ods_status refuse_all(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                                  const char *topic, struct error *error)
{
    char reason[512];
    bool fatal = code == RD_KAFKA_RESP_ERR__FATAL;
    if (fatal)
        code = rd_kafka_fatal_error(writer->rk, reason, sizeof reason);
    else
        snprintf(reason, sizeof reason, "%s", rd_kafka_err2str(code));
    if (!writer->failure && !fatal) {
        writer->failure = code;
        snprintf(writer->failure_topic, sizeof writer->failure_topic, "%s", topic);
        writer->failures++;
    }
    if (fatal)
        end_client(writer);
    else
        kafka_writer_abort(writer);
    enum ods_status status = conclude(writer, code, reason, error);
    if (!fatal || status == ODS_FATAL || status == ODS_REJECT)
        return status;
    return writer->config.transactional_id ? ODS_FENCED : ODS_RETRY;
}

enum ods_status kafka_writer_send(struct kafka_writer *writer, const struct kafka_outgoing *record,
                                  struct error *error)
{
    if (!has_handle(writer, record->topic))
        return error_out_of_memory(error);
    rd_kafka_resp_err_t code = produce(writer, record);
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !interrupted(writer)) {
        rd_kafka_poll(writer->rk, 10);
        code = produce(writer, record);
    }
    if (!code)
        return ODS_OK;
    if (kafka_fault(code).status == ODS_REJECT) {
        refuse_here(writer, record, code);
        return ODS_OK; /* as if it had not been there */
    }
    if (code == RD_KAFKA_RESP_ERR__STATE) { /* the transaction has failed: its end tells why */
        enum ods_status status = kafka_writer_commit(writer, error);
        return status == ODS_OK ? ODS_FENCED : status;
    }
    return refuse_all(writer, code, record->topic->name, error);
}

static rd_kafka_topic_partition_list_t *list_claims(const struct claim *claims, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, claims[i].topic, claims[i].partition)->offset =
            claim_end(&claims[i]);
    return list;
}

enum ods_status kafka_writer_offsets(struct kafka_writer *writer, const struct claim *claims,
                                     size_t count, const struct buffer *membership,
                                     struct error *error)
{
    int64_t until_us = time_monotonic_us() + writer->config.transaction_ms * 1000;
    rd_kafka_consumer_group_metadata_t *member = NULL;
    rd_kafka_error_t *failure =
        rd_kafka_consumer_group_metadata_read(&member, membership->bytes, membership->length);
    rd_kafka_topic_partition_list_t *list = list_claims(claims, count);
    while (!failure) {
        failure = rd_kafka_send_offsets_to_transaction(writer->rk, list, member, 2 * SLICE_MS);
        if (!failure || !rd_kafka_error_is_retriable(failure) || interrupted(writer) ||
            time_monotonic_us() >= until_us)
            break;
        rd_kafka_error_destroy(failure);
        failure = NULL;
    }
    if (member)
        rd_kafka_consumer_group_metadata_destroy(member);
    rd_kafka_topic_partition_list_destroy(list);
    return failure ? give_up(writer, failure, error) : ODS_OK;
}

/* Until nothing is under way. What is written is not told of, so that librdkafka's own wait would
 * see it ten milliseconds late. */
static void wait_written(struct kafka_writer *writer)
{
    int slice_ms = 1, slices = 0;
    while (rd_kafka_outq_len(writer->rk) > 0 && !interrupted(writer) &&
           !(writer->config.transactional_id && writer->failures)) {
        rd_kafka_flush(writer->rk, slice_ms);
        if (++slices == 50)
            slice_ms = 10;
    }
}

enum ods_status kafka_writer_flush(struct kafka_writer *writer, struct error *error)
{
    bool whole = writer->config.transactional_id;
    wait_written(writer);
    if (!writer->failures && !interrupted(writer))
        return ODS_OK;
    /* Without a transaction what was not refused is written. */
    if (!whole && writer->failures && !writer->failure && !writer->smaller && !writer->alone &&
        !rd_kafka_outq_len(writer->rk)) {
        forget_answers(writer);
        return ODS_OK;
    }
    if (!writer->failures) {
        kafka_writer_abort(writer);
        return error_set(error, ODS_RETRY, "target %s: interrupted", writer->config.target);
    }
    return refuse_all(writer,
                      rd_kafka_fatal_error(writer->rk, NULL, 0) ? RD_KAFKA_RESP_ERR__FATAL
                      : writer->failure                         ? writer->failure
                                                                : RD_KAFKA_RESP_ERR__PURGE_QUEUE,
                      writer->failure_topic, error);
}

/* The brokers may have committed it or may not. */
static enum ods_status lose_sight(struct kafka_writer *writer, rd_kafka_error_t *failure,
                                  struct error *error)
{
    char reason[512];
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    snprintf(reason, sizeof reason, "whether the transaction is committed is not known: %s",
             rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
    say(writer, code, reason, error);
    end_client(writer);
    forget_answers(writer);
    return ODS_FENCED;
}

enum ods_status kafka_writer_commit(struct kafka_writer *writer, struct error *error)
{
    int64_t until_us = time_monotonic_us() + writer->config.transaction_ms * 1000;
    rd_kafka_error_t *failure;
    if (!writer->config.transactional_id) {
        enum ods_status status = kafka_writer_flush(writer, error);
        writer->single &= status != ODS_OK;
        return status;
    }
    wait_written(writer);
    while ((failure = rd_kafka_commit_transaction(writer->rk, SLICE_MS))) {
        if (!rd_kafka_error_is_retriable(failure) || interrupted(writer) ||
            time_monotonic_us() >= until_us)
            break;
        rd_kafka_error_destroy(failure);
    }
    if (!failure) {
        writer->state = WRITER_READY;
        writer->single = false;
        return ODS_OK;
    }
    if (rd_kafka_error_txn_requires_abort(failure))
        return give_up(writer, failure, error);
    if (rd_kafka_error_is_retriable(failure))
        return lose_sight(writer, failure, error);
    return give_up(writer, failure, error);
}
