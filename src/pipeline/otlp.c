#include "pipeline/otlp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ods/json.h>
#include <ods/pipeline.h>

#define KIND_INTERNAL 1
#define KIND_CONSUMER 5
#define STATUS_ERROR  2

static void put_text(struct buffer *out, const char *text)
{
    json_quote(out, text, strlen(text));
}

static void put_attribute(struct buffer *out, const char *key, const char *text, bool first)
{
    buffer_printf(out, "%s{\"key\":\"%s\",\"value\":{\"stringValue\":", first ? "" : ",", key);
    put_text(out, text);
    buffer_puts(out, "}}");
}

static void put_number(struct buffer *out, const char *key, int64_t number)
{
    buffer_printf(out, ",{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRId64 "\"}}", key, number);
}

void otlp_begin(struct buffer *out, const char *service_name, const char *instance)
{
    buffer_puts(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    put_attribute(out, "service.name", service_name, true);
    put_attribute(out, "service.version", ODS_VERSION, false);
    put_attribute(out, "service.instance.id", instance, false);
    buffer_puts(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"ods-sink\",\"version\":\""
                     ODS_VERSION "\"},\"spans\":[");
}

void otlp_end(struct buffer *out)
{
    buffer_puts(out, "]}]}]}");
}

/* A span without its end, which may have attributes and a status. */
static void open_span(struct buffer *out, const struct otlp_record *record, uint64_t id,
                      const char *parent, int kind, int64_t from_us, int64_t upto_us)
{
    if (upto_us < from_us) /* the clock was set meanwhile */
        upto_us = from_us;
    buffer_printf(out,
                  "{\"traceId\":\"%s\",\"spanId\":\"%016" PRIx64 "\",\"parentSpanId\":\"%s\","
                  "\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64
                  "000\",\"endTimeUnixNano\":\"%" PRId64 "000\",\"name\":",
                  record->parent.trace, id, parent, kind, from_us, upto_us);
}

/* Since when Kafka had the record. A clock of another machine may be ahead of ours. */
static int64_t beginning(const struct otlp_record *record)
{
    bool known = record->appended_us > 0 && record->appended_us < record->taken_us;
    return known ? record->appended_us : record->taken_us;
}

static void put_whole(struct buffer *out, const struct otlp_record *record)
{
    char text[300], lane[24];
    const struct pipeline_settings *pipeline = record->pipeline;
    open_span(out, record, record->spans[0], record->parent.span, KIND_CONSUMER,
              beginning(record), record->done_us);
    snprintf(text, sizeof text, "process %s", record->topic);
    put_text(out, text);
    buffer_puts(out, ",\"attributes\":[");
    put_attribute(out, "messaging.system", pipeline->input.type, true);
    put_attribute(out, "messaging.operation.name", "process", false);
    put_attribute(out, "messaging.operation.type", "process", false);
    put_attribute(out, "messaging.destination.name", record->topic, false);
    snprintf(lane, sizeof lane, "%d", (int) record->partition);
    put_attribute(out, "messaging.destination.partition.id", lane, false);
    bool kafka = strcmp(pipeline->input.type, "kafka") == 0;
    put_number(out, kafka ? "messaging.kafka.offset" : "ods_sink.offset", record->offset);
    put_attribute(out, "messaging.consumer.group.name", pipeline->group_id, false);
    put_attribute(out, "ods_sink.pipeline", pipeline->name, false);
    put_attribute(out, "ods_sink.target", pipeline->target, false);
    put_number(out, "ods_sink.lane", (int64_t) record->lane);
    if (record->stage)
        put_attribute(out, "error.type", *record->code ? record->code : record->stage, false);
    buffer_puts(out, "]");
    if (record->stage)
        buffer_printf(out, ",\"status\":{\"code\":%d,\"message\":\"set aside: %s\"}", STATUS_ERROR,
                      record->stage);
    buffer_puts(out, "}");
}

static void put_part(struct buffer *out, const struct otlp_record *record, unsigned number,
                     const char *name, int64_t from_us, int64_t upto_us)
{
    char parent[17];
    snprintf(parent, sizeof parent, "%016" PRIx64, record->spans[0]);
    buffer_puts(out, ",");
    open_span(out, record, record->spans[number], parent, KIND_INTERNAL, from_us, upto_us);
    buffer_printf(out, "\"%s\"}", name);
}

unsigned otlp_spans(const struct otlp_record *record)
{
    return record->commit_us ? 5 : 4;
}

void otlp_put(struct buffer *out, const struct otlp_record *record, bool first)
{
    int64_t applied_us = record->commit_us ? record->commit_us : record->done_us;
    buffer_puts(out, first ? "" : ",");
    put_whole(out, record);
    put_part(out, record, 1, "fetch", beginning(record), record->taken_us);
    put_part(out, record, 2, "decode", record->taken_us, record->decoded_us);
    put_part(out, record, 3, "apply", record->begun_us, applied_us);
    if (record->commit_us)
        put_part(out, record, 4, "commit", record->commit_us, record->done_us);
}
