/* What brokers say of the records that were sent, and what follows from it.
 *
 * A broker refuses all records of a message set for the fault of one. A record that is larger than
 * a message set may be stands in one alone, so where a topic takes less than we send at once, sets
 * are made smaller until the one at fault is alone. What is refused for another reason is sent once
 * more one by one.
 */
#include "source/kafka/kafka_writer_room.h"

#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "core/utf8.h"
#include "source/kafka/kafka_fault.h"

#define SET_LEAST INT64_C(1024)

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

void kafka_answers_await(struct kafka_writer *writer)
{
    writer->waits_us = time_monotonic_us();
    writer->under_way = rd_kafka_outq_len(writer->rk);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_writer *writer = opaque;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        writer->away = true;
        kafka_answers_await(writer);
    } else if (code != RD_KAFKA_RESP_ERR__FATAL) {
        utf8_copy(writer->trouble, sizeof writer->trouble, reason, strlen(reason));
    }
}

void kafka_answers_forget(struct kafka_writer *writer)
{
    writer->refused = writer->smaller = writer->alone = false;
    writer->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    writer->failures = 0;
}

static int on_statistics(rd_kafka_t *rk, char *json, size_t length, void *opaque)
{
    struct kafka_writer *writer = opaque;
    kafka_statistics_take(&writer->statistics, json, length);
    return 0; /* librdkafka frees it */
}

void kafka_writer_tell(const struct kafka_writer *writer, double *values)
{
    kafka_statistics_add(&writer->statistics, values);
}

void kafka_answers_take(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_stats_cb(conf, on_statistics);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
}

/* In a transaction the lane hears of it by its source, at the same brokers. What is under way are
 * records and what the client has to tell. Less of it may mean that brokers are back, so one waits
 * anew; but only that the last record is written says so. */
bool kafka_answers_away(struct kafka_writer *writer)
{
    if (!writer->away || writer->config.transactional_id)
        return false;
    if (rd_kafka_outq_len(writer->rk) < writer->under_way && !writer->failures)
        kafka_answers_await(writer);
    return time_monotonic_us() - writer->waits_us >= writer->patience_ms * 1000;
}

void kafka_answers_written(struct kafka_writer *writer)
{
    writer->away = false;
    writer->patience_ms = AWAY_MS;
}

/* --- failures ----------------------------------------------------------------------------- */

enum ods_status kafka_answers_say(struct kafka_writer *writer, rd_kafka_resp_err_t code,
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

enum ods_status kafka_answers_conclude(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                                       const char *reason, struct error *error)
{
    bool again = writer->refused || writer->smaller || writer->alone;
    enum ods_status status = again ? error_set(error, ODS_REJECT, "records were refused")
                                   : kafka_answers_say(writer, code, reason, error);
    if (writer->smaller)
        writer->set_bytes = writer->set_bytes / 4 > SET_LEAST ? writer->set_bytes / 4 : SET_LEAST;
    writer->single |= writer->alone;
    if (writer->smaller || writer->alone)
        kafka_writer_end(writer);
    kafka_answers_forget(writer);
    return status;
}
