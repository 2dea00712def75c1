#include "output.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct kafka_output {
    struct output output;
    rd_kafka_t *producer;
    int64_t failed;
    char why[256];
};

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_output *out = opaque;
    if (message->err && !out->failed++)
        snprintf(out->why, sizeof out->why, "%s", rd_kafka_err2str(message->err));
}

static void complain(const struct kafka_output *out)
{
    if (out->failed)
        die("Kafka did not take %lld records: %s", (long long) out->failed, out->why);
}

static void kafka_send(struct output *output, const struct outgoing *record)
{
    struct kafka_output *out = (struct kafka_output *) output;
    rd_kafka_resp_err_t result;
    for (;;) {
        rd_kafka_headers_t *headers = NULL;
        if (record->header) {
            headers = rd_kafka_headers_new(1);
            rd_kafka_header_add(headers, record->header, -1, record->header_value,
                                (ssize_t) record->header_length);
        }
        result = rd_kafka_producev(
            out->producer, RD_KAFKA_V_TOPIC(record->topic),
            RD_KAFKA_V_KEY(record->key, record->key_length),
            RD_KAFKA_V_VALUE((void *) record->value, record->value_length),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_TIMESTAMP(record->ms),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (result && headers)
            rd_kafka_headers_destroy(headers);
        rd_kafka_poll(out->producer, result ? 50 : 0);
        if (result != RD_KAFKA_RESP_ERR__QUEUE_FULL || interrupted)
            break;
    }
    if (result)
        die("Kafka does not take a record for %s: %s", record->topic, rd_kafka_err2str(result));
    complain(out);
}

static void kafka_flush(struct output *output, bool wait)
{
    struct kafka_output *out = (struct kafka_output *) output;
    if (wait)
        rd_kafka_flush(out->producer, 60000);
    else
        rd_kafka_poll(out->producer, 0);
    complain(out);
}

static void kafka_close(struct output *output)
{
    struct kafka_output *out = (struct kafka_output *) output;
    kafka_flush(output, true);
    if (rd_kafka_outq_len(out->producer))
        die("Kafka has not answered to %d records", rd_kafka_outq_len(out->producer));
    rd_kafka_destroy(out->producer);
    free(out);
}

static const struct output_ops ops = {kafka_send, kafka_flush, kafka_close};

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        die("%s: %s", name, why);
}

struct output *output_kafka_open(const struct output_options *options)
{
    struct kafka_output *out = calloc(1, sizeof *out);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];
    if (!out)
        die("out of memory");
    set(conf, "bootstrap.servers", options->to + 8);
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "5");
    set(conf, "compression.type", "lz4");
    set(conf, "message.max.bytes", "33554432");
    for (size_t i = 0; i < options->property_count; i++) {
        char name[128];
        const char *equals = strchr(options->properties[i], '=');
        if (!equals || (size_t) (equals - options->properties[i]) >= sizeof name)
            die("--property %s: it is NAME=VALUE", options->properties[i]);
        snprintf(name, sizeof name, "%.*s", (int) (equals - options->properties[i]),
                 options->properties[i]);
        set(conf, name, equals + 1);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, out);
    out->output.ops = &ops;
    out->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!out->producer)
        die("Kafka: %s", why);
    return &out->output;
}
