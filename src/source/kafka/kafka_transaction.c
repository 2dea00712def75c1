/* Records into transactions, or without one as they come. See kafka_writer.h. */
#include "source/kafka/kafka_writer_room.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "source/kafka/kafka_fault.h"

#define AWAY_MOST_MS  INT64_C(8000)
#define ABORT_MS      5000
#define POINTED_BYTES 60000 /* msg.copy.max.bytes is 65535 */

/* --- its end ------------------------------------------------------------------------------ */

void kafka_writer_abort(struct kafka_writer *writer)
{
    int64_t until_us = time_monotonic_us() + ABORT_MS * 1000;
    writer->waiting_count = 0;
    if (writer->state == WRITER_CLOSED)
        return;
    if (!writer->config.transactional_id) {
        rd_kafka_purge(writer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(writer->rk, SLICE_MS);
        if (rd_kafka_outq_len(writer->rk))
            kafka_writer_end(writer);
        return;
    }
    while (writer->state == WRITER_OPEN) {
        rd_kafka_error_t *failure = rd_kafka_abort_transaction(writer->rk, SLICE_MS);
        bool more = failure && rd_kafka_error_is_retriable(failure) &&
                    !kafka_writer_interrupted(writer) && time_monotonic_us() < until_us;
        if (!failure)
            writer->state = WRITER_READY;
        else
            rd_kafka_error_destroy(failure);
        if (failure && !more)
            kafka_writer_end(writer);
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
        kafka_writer_end(writer);
    else
        kafka_writer_abort(writer);
    enum ods_status status = kafka_answers_conclude(writer, code, reason, error);
    if (fatal && status == ODS_RETRY)
        status = ODS_FENCED; /* by another producer, or by what this one no longer knows */
    return status;
}

/* --- records ------------------------------------------------------------------------------ */

enum ods_status kafka_writer_begin(struct kafka_writer *writer, struct error *error)
{
    /* After a batch that went one by one, at full speed again. */
    if (writer->state == WRITER_READY && writer->was_single != writer->single)
        kafka_writer_end(writer);
    enum ods_status status = kafka_writer_ready(writer, error);
    kafka_answers_forget(writer);
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

static int32_t partition_of(const struct kafka_outgoing *record)
{
    return record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition;
}

/* A list that came with a record is handed on as it is: another one for each record would cost as
 * much as all else that is done for it. NULL: there are none. */
static rd_kafka_headers_t *make_headers(const struct kafka_outgoing *record)
{
    rd_kafka_headers_t *headers = NULL;
    if (record->bearer && rd_kafka_message_detach_headers(record->bearer, &headers))
        headers = NULL;
    if (!headers && record->header_count)
        headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value,
                            record->headers[i].value ? (ssize_t) record->headers[i].length : 0);
    return headers;
}

/* The headers are the client's once it has taken the record. */
static rd_kafka_resp_err_t produce(struct kafka_writer *writer, const struct kafka_outgoing *record,
                                   rd_kafka_headers_t *headers)
{
    /* Small values are copied into their request; large ones a request only points to, also when
     * it is given up. */
    int flags = record->value_length < POINTED_BYTES ? 0 : RD_KAFKA_MSG_F_COPY;
    return rd_kafka_producev(writer->rk, RD_KAFKA_V_RKT(record->topic->handle),
                             RD_KAFKA_V_PARTITION(partition_of(record)), RD_KAFKA_V_MSGFLAGS(flags),
                             RD_KAFKA_V_VALUE((void *) record->value, record->value_length),
                             RD_KAFKA_V_KEY((void *) record->key, record->key_length),
                             RD_KAFKA_V_OPAQUE((void *) (uintptr_t) record->tag),
                             RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
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
        kafka_writer_end(writer);
    else
        kafka_writer_abort(writer);
    enum ods_status status = kafka_answers_conclude(writer, code, reason, error);
    if (!fatal || status == ODS_FATAL || status == ODS_REJECT)
        return status;
    return writer->config.transactional_id ? ODS_FENCED : ODS_RETRY;
}

static enum ods_status tell_away(struct kafka_writer *writer, struct error *error)
{
    if (writer->patience_ms < AWAY_MOST_MS)
        writer->patience_ms *= 2;
    kafka_writer_abort(writer);
    return kafka_answers_conclude(writer, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, NULL, error);
}

/* The client takes no record of the topic. */
static enum ods_status fail(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                            const struct kafka_writer_topic *topic, struct error *error)
{
    if (code == RD_KAFKA_RESP_ERR__STATE) { /* the transaction has failed: its end tells why */
        writer->waiting_count = 0;
        enum ods_status status = kafka_writer_commit(writer, error);
        return status == ODS_OK ? ODS_FENCED : status;
    }
    return refuse_all(writer, code, topic->name, error);
}

/* The client's queue is full: its records are waited for, once. ODS_OK: it is to be tried again. */
static enum ods_status await_room(struct kafka_writer *writer,
                                  const struct kafka_writer_topic *topic, struct error *error)
{
    if (kafka_writer_interrupted(writer))
        return fail(writer, RD_KAFKA_RESP_ERR__QUEUE_FULL, topic, error);
    if (kafka_answers_away(writer))
        return tell_away(writer, error);
    rd_kafka_poll(writer->rk, 10);
    return ODS_OK;
}

static enum ods_status send_alone(struct kafka_writer *writer, const struct kafka_outgoing *record,
                                  rd_kafka_headers_t *headers, struct error *error)
{
    rd_kafka_resp_err_t code = produce(writer, record, headers);
    enum ods_status status = ODS_OK;
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        kafka_answers_await(writer);
    while (status == ODS_OK && code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        status = await_room(writer, record->topic, error);
        if (status == ODS_OK)
            code = produce(writer, record, headers);
    }
    if (!code)
        return ODS_OK;
    if (headers)
        rd_kafka_headers_destroy(headers);
    if (status != ODS_OK)
        return status;
    if (kafka_fault(code).status != ODS_REJECT)
        return fail(writer, code, record->topic, error);
    refuse_here(writer, record, code);
    return ODS_OK; /* as if it had not been there */
}

/* Those that were not taken stay, in their order: one for which the queue is too full, and all
 * behind it. */
static rd_kafka_resp_err_t produce_waiting(struct kafka_writer *writer)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t kept = 0, count = writer->waiting_count;
    if ((size_t) rd_kafka_produce_batch(writer->waiting_topic->handle, writer->waiting_partition, 0,
                                        writer->waiting, (int) count) == count)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!writer->waiting[i].err)
            continue;
        code = code ? code : writer->waiting[i].err;
        writer->waiting[kept++] = writer->waiting[i];
    }
    writer->waiting_count = kept;
    return code;
}

/* What send() has gathered. */
static enum ods_status send_waiting(struct kafka_writer *writer, struct error *error)
{
    bool waits = false;
    while (writer->waiting_count) {
        rd_kafka_resp_err_t code = produce_waiting(writer);
        if (!code)
            break;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return fail(writer, code, writer->waiting_topic, error);
        if (!waits)
            kafka_answers_await(writer);
        waits = true;
        enum ods_status status = await_room(writer, writer->waiting_topic, error);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

/* Records without headers go to the client by the hundred, which spares it and us half of what a
 * call costs. One that may be too large is told apart from the others. */
static bool can_wait(const struct kafka_writer *writer, const struct kafka_outgoing *record)
{
    int64_t bytes = (int64_t) (record->key_length + record->value_length);
    return bytes < POINTED_BYTES && bytes < writer->config.record_bytes_max / 2;
}

enum ods_status kafka_writer_send(struct kafka_writer *writer, const struct kafka_outgoing *record,
                                  struct error *error)
{
    int32_t partition = partition_of(record);
    if (!has_handle(writer, record->topic))
        return error_out_of_memory(error);
    rd_kafka_headers_t *headers = make_headers(record);
    bool waits = !headers && can_wait(writer, record);
    if (writer->waiting_count &&
        (!waits || writer->waiting_count == WAITING_MOST ||
         writer->waiting_topic != record->topic || writer->waiting_partition != partition)) {
        enum ods_status status = send_waiting(writer, error);
        if (status != ODS_OK) {
            if (headers)
                rd_kafka_headers_destroy(headers);
            return status;
        }
    }
    if (!waits)
        return send_alone(writer, record, headers, error);
    writer->waiting_topic = record->topic;
    writer->waiting_partition = partition;
    writer->waiting[writer->waiting_count++] =
        (rd_kafka_message_t){.payload = (void *) record->value,
                             .len = record->value_length,
                             .key = (void *) record->key,
                             .key_len = record->key_length,
                             ._private = (void *) (uintptr_t) record->tag};
    return ODS_OK;
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
    enum ods_status status = send_waiting(writer, error);
    if (status != ODS_OK)
        return status;
    rd_kafka_error_t *failure =
        rd_kafka_consumer_group_metadata_read(&member, membership->bytes, membership->length);
    rd_kafka_topic_partition_list_t *list = list_claims(claims, count);
    while (!failure) {
        failure = rd_kafka_send_offsets_to_transaction(writer->rk, list, member, 2 * SLICE_MS);
        if (!failure || !rd_kafka_error_is_retriable(failure) || kafka_writer_interrupted(writer) ||
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
 * see it ten milliseconds late. False: the brokers are away. */
static bool wait_written(struct kafka_writer *writer)
{
    int slice_ms = 1, slices = 0;
    kafka_answers_await(writer);
    while (rd_kafka_outq_len(writer->rk) > 0 && !kafka_writer_interrupted(writer) &&
           !(writer->config.transactional_id && writer->failures)) {
        if (kafka_answers_away(writer))
            return false;
        rd_kafka_flush(writer->rk, slice_ms);
        if (++slices == 50)
            slice_ms = 10;
    }
    if (!writer->failures && !kafka_writer_interrupted(writer))
        kafka_answers_written(writer);
    return true;
}

enum ods_status kafka_writer_flush(struct kafka_writer *writer, struct error *error)
{
    bool whole = writer->config.transactional_id;
    enum ods_status status = send_waiting(writer, error);
    if (status != ODS_OK)
        return status;
    if (!wait_written(writer))
        return tell_away(writer, error);
    if (!writer->failures && !kafka_writer_interrupted(writer))
        return ODS_OK;
    /* Without a transaction what was not refused is written. */
    if (!whole && writer->failures && !writer->failure && !writer->smaller && !writer->alone &&
        !rd_kafka_outq_len(writer->rk)) {
        kafka_answers_forget(writer);
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
    kafka_answers_say(writer, code, reason, error);
    kafka_writer_end(writer);
    kafka_answers_forget(writer);
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
    enum ods_status status = send_waiting(writer, error);
    if (status != ODS_OK)
        return status;
    wait_written(writer);
    while ((failure = rd_kafka_commit_transaction(writer->rk, SLICE_MS))) {
        if (!rd_kafka_error_is_retriable(failure) || kafka_writer_interrupted(writer) ||
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
