/* A fuzzer of one decoder: any bytes as a record. The input's first line is the key, the rest the
 * value.
 *
 * Beside crashes and leaks it looks for: a record decoded that another JSON parser refuses, one
 * that decodes differently when its topic is known already, an answer that fits no changes.
 */
#ifndef DECODER_INPUT_H
#define DECODER_INPUT_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include <ods/format.h>

#include "config/settings.h"
#include <ods/buffer.h>
#include "core/json_scan.h"
#include "core/text.h"

static void write_values(struct buffer *out, const struct shape *shape, const struct value *values)
{
    struct error error;
    for (uint32_t i = 0; values && i < shape->column_count; i++) {
        error_init(&error);
        buffer_reset(out);
        if (values[i].kind != VALUE_ABSENT && values[i].kind != VALUE_NULL)
            text_value(out, &shape->columns[i], &values[i], &error);
    }
}

static void check_changes(const struct batch *batch)
{
    struct buffer out;
    buffer_init(&out);
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        assert(change->shape && change->shape->table[0]);
        assert(change->op == OP_TRUNCATE || change->before || change->after);
        for (uint32_t k = 0; k < change->shape->key_count; k++)
            assert(change->shape->key[k] < change->shape->column_count);
        write_values(&out, change->shape, change->before);
        write_values(&out, change->shape, change->after);
    }
    buffer_done(&out);
}

static void check_json(const char *text, size_t length)
{
    const struct slice json = json_of_record(text, length);
    yyjson_doc *doc = yyjson_read(json.bytes, json.length, YYJSON_READ_ALLOW_INF_AND_NAN);
    assert(doc && "decoded what another parser refuses");
    yyjson_doc_free(doc);
}

static enum ods_status decode(struct decoder *decoder, struct batch *batch, const char *topic,
                              const char *key, size_t key_length, const char *value, size_t length)
{
    struct error error;
    struct record *record = batch_add_record(batch);
    assert(record);
    *record = (struct record){.topic = topic,
                              .key = key,
                              .key_length = key_length,
                              .value = value,
                              .value_length = length,
                              .timestamp_ms = 1766131347123};
    error_init(&error);
    enum ods_status status = decoder->ops->decode(decoder, batch, batch->record_count - 1, &error);
    assert(status == ODS_OK || status == ODS_REJECT);
    assert(status == ODS_OK || error.text[0]);
    return status;
}

/* What tables.yaml may say of the record: another key, whose topic it is, what shape it has. */
static const struct pipeline_settings *pick_settings(size_t size)
{
    static const char *one[] = {"id"}, *two[] = {"id", "v"}, *topics[] = {"^p"};
    static struct table_settings tables[] = {{.name = "t", .key = {one, 1}},
                                             {.name = "t", .key = {two, 2}, .topics = {topics, 1}}};
    static struct pipeline_settings pipeline = {.table_count = 1};
    pipeline.defaults.name = tables[0].name = "t";
    pipeline.source.unavailable_value = NULL;
    pipeline.source.connector = pipeline.source.schema_topic = "";
    pipeline.source.shape = size % 7 == 0 ? SHAPE_FLATTENED : SHAPE_AUTO;
    pipeline.tables = &tables[size % 5 < 3];
    return size % 4 ? NULL : &pipeline;
}

/* Headers of any bytes: the record's own key and value. */
static inline size_t two_headers(const struct record *record, struct header *headers, size_t max)
{
    if (max > 0)
        headers[0] = (struct header){"__op", record->value, record->value_length};
    if (max > 1)
        headers[1] = (struct header){"__source_ts_ms", record->key, record->key_length};
    return 2;
}

/* `other`: a record of the format that the decoder has sometimes seen before. */
static inline int decoder_input(const char *name, const char *other, const uint8_t *data, size_t size)
{
    const char *text = (const char *) data, *line = memchr(text, '\n', size);
    const char *value = line ? line + 1 : text;
    size_t key_length = line ? (size_t) (line - text) : 0, length = size - (size_t) (value - text);
    const struct pipeline_settings with_headers = {
        .source = {.connector = "",
                   .metadata = {.add_fields = "op:o,table",
                                .add_fields_prefix = "",
                                .add_headers = "op,source.ts_ms",
                                .add_headers_prefix = "__"}}};
    bool headers = size % 5 == 0 && strcmp(name, "debezium") == 0;
    struct decoder_config config = {.pipeline =
                                        headers ? &with_headers : pick_settings(size / 2),
                                    .shapes = shape_table_new(),
                                    .want_before = size % 2};
    struct decoder *decoder = NULL;
    struct batch *batch = batch_new();
    struct error error;
    const struct format_ops *format = format_find(name);
    if (batch && headers)
        batch->headers = two_headers;
    assert(batch && config.shapes && format->open(&decoder, &config, &error) == ODS_OK);
    if (size % 3 == 0)
        decode(decoder, batch, "p.d.t", NULL, 0, other, strlen(other));
    uint32_t before = batch->change_count;
    enum ods_status first =
        decode(decoder, batch, "p.d.t", key_length ? text : NULL, key_length, value, length);
    uint32_t middle = batch->change_count;
    enum ods_status second =
        decode(decoder, batch, "p.d.t", key_length ? text : NULL, key_length, value, length);
    assert(first == second && middle - before == batch->change_count - middle);
    if (first == ODS_OK)
        check_json(value, length);
    check_changes(batch);
    if (format->observe) {
        enum ods_status seen =
            format->observe(decoder, &batch->records[batch->record_count - 1], &error);
        assert(seen == ODS_OK || seen == ODS_RETRY);
    }
    decode(decoder, batch, "p.d.t", key_length ? text : NULL, key_length, NULL, 0);
    format->close(decoder);
    shape_table_free(config.shapes);
    batch_free(batch);
    return 0;
}

#endif
