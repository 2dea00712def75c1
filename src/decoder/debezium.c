/* Debezium's JSON to changes: row envelopes with and without schemas, flattened rows, CloudEvents,
 * tombstones, and the records that are no rows. Told apart record by record.
 *
 * Format: Debezium's documentation ("data change events", "new record state extraction") and
 * Kafka Connect's JsonConverter. Read decode() first.
 */
#include "decoder/debezium.h"

#include <stdlib.h>
#include <string.h>

#include "config/settings.h"

#define UNAVAILABLE_DEFAULT "__debezium_unavailable_value"

/* --- answers --- */

enum ods_status no_memory(struct reading *reading)
{
    return error_set(reading->error, ODS_FATAL, "out of memory while decoding a record");
}

enum ods_status scan_error(struct reading *reading, const struct json_scan *scan, const char *part)
{
    if (scan->out_of_memory)
        return no_memory(reading);
    return error_set(reading->error, ODS_REJECT, "the record's %s is not JSON: %s at byte %zu",
                     part, scan->problem, (size_t) (scan->at - scan->start));
}

struct value *values_alloc(struct reading *reading, const struct plan *plan)
{
    size_t count = plan->layout.column_count;
    count += reading->key ? reading->key->layout.column_count : 0;
    return arena_alloc(reading->reader.arena, (count + 1) * sizeof(struct value)); /* never 0 */
}

bool snapshot_differs(struct reading *reading, const struct plan *plan, const struct value *values)
{
    static const struct unavailable nothing;
    reading->reader.unavailable = &nothing;
    if (!values)
        return true;
    for (uint32_t i = 0; i < plan->layout.column_count; i++)
        if (values[i].kind == VALUE_ABSENT)
            return true;
    return false;
}

/* A record whose key can't be read is fine only where the configuration names the key. */
static bool key_is_configured(const struct reading *reading, const struct shape *shape)
{
    const char *schema = *shape->schema ? shape->schema : shape->database;
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    return pipeline && pipeline_table(pipeline, schema, shape->table)->key.count;
}

enum ods_status change_append(struct reading *reading, const struct binding *binding,
                              enum change_op op, struct value *before, struct value *after,
                              int64_t source_us)
{
    if (reading->key_problem && !key_is_configured(reading, binding->shape))
        return error_set(reading->error, ODS_REJECT,
                         "the record's key is %s, expected a JSON object with the key's columns; "
                         "set key.converter to the JSON converter at the source, or name the key "
                         "in tables.yaml (key: [column])",
                         reading->key_problem);
    uint32_t own = binding->shape->column_count - binding->extra_count;
    for (uint32_t i = 0; i < binding->extra_count; i++) {
        if (before)
            before[own + i] = reading->key_values[binding->extra[i]];
        if (after)
            after[own + i] = reading->key_values[binding->extra[i]];
    }
    struct change *change = batch_add_change(reading->batch);
    if (!change)
        return no_memory(reading);
    change->op = op;
    change->record = reading->index;
    change->shape = binding->shape;
    change->before = before;
    change->after = after;
    change->source_us = source_us;
    return ODS_OK;
}

enum ods_status change_append_key(struct reading *reading, const struct identity *identity,
                                  int64_t source_us)
{
    enum ods_status status = ODS_OK;
    const struct binding *binding =
        plan_bind(reading, reading->key, reading->key, identity, source_us, &status);
    if (!binding)
        return status;
    status = change_append(reading, binding, OP_DELETE, reading->key_values, NULL, source_us);
    if (status == ODS_OK)
        reading->batch->changes[reading->batch->change_count - 1].tombstone = true;
    return status;
}

/* --- {"schema": …, "payload": …} --- */

/* Both members of a wrapper, in any order and with any white space; false: it is no wrapper, or no
 * JSON, which reading it as something else will tell. */
static bool find_wrapped(struct json_scan scan, struct arena *arena, struct slice *schema,
                         struct slice *payload)
{
    bool first = true;
    *schema = *payload = (struct slice){0};
    scan.at++;
    while (json_next_member(&scan, &first)) {
        struct slice name, *part;
        if (!json_name(&scan, arena, &name.bytes, &name.length))
            return false;
        if (SLICE_IS(name, "schema"))
            part = schema;
        else if (SLICE_IS(name, "payload"))
            part = payload;
        else
            return false;
        if (part->bytes)
            return false; /* which of two is meant nobody can tell */
        part->bytes = scan.at;
        if (!json_skip(&scan))
            return false;
        part->length = (size_t) (scan.at - part->bytes);
    }
    if (scan.problem || !json_end(&scan) || !schema->bytes || !payload->bytes)
        return false;
    return *schema->bytes == '{' || *schema->bytes == 'n';
}

enum ods_status payload_open(struct reading *reading, struct json_scan *scan,
                             struct plan_list *list, bool is_key, struct payload *payload)
{
    static const char schema_token[] = "{\"schema\":", payload_token[] = ",\"payload\":";
    const size_t schema_length = sizeof schema_token - 1, payload_length = sizeof payload_token - 1;
    const char *start = scan->at;
    *payload = (struct payload){0};
    if (json_peek(scan) != '{')
        return ODS_OK;
    if ((size_t) (scan->end - scan->at) > schema_length &&
        memcmp(scan->at, schema_token, schema_length) == 0) {
        scan->at += schema_length;
        struct plan *plan = plan_match(list, scan);
        if (plan && (size_t) (scan->end - scan->at) > payload_length &&
            memcmp(scan->at, payload_token, payload_length) == 0) {
            scan->at += payload_length;
            json_space(scan);
            *payload = (struct payload){.plan = plan, .wrapped = true};
            return ODS_OK;
        }
        scan->at = start;
    }
    struct slice schema, inner;
    if (!find_wrapped(*scan, reading->reader.arena, &schema, &inner))
        return ODS_OK;
    enum ods_status status = ODS_OK;
    scan->at = inner.bytes; /* the whole of the wrapper has been checked */
    scan->end = inner.bytes + inner.length;
    if (*schema.bytes == '{' && *inner.bytes == '{')
        payload->plan = plan_of_schema(reading, list, schema, is_key, &status);
    return status;
}

bool payload_close(struct json_scan *scan, const struct payload *payload)
{
    if (payload->wrapped && !json_take(scan, '}'))
        return json_fail(scan, "expected the end of the wrapper");
    return json_end(scan);
}

/* --- keys --- */

static enum ods_status read_key_object(struct reading *reading, struct json_scan *scan,
                                       struct payload *payload)
{
    struct plan_list *layouts = &reading->topic->key_layouts;
    struct json_scan start = *scan;
    enum ods_status status = ODS_OK;
    struct plan *plan = payload->plan ? payload->plan : layouts->count ? layouts->items[0] : NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!plan)
            plan = plan_of_object(reading, layouts, start, false, &status);
        if (!plan)
            return status;
        reading->key = NULL;
        reading->key_values = values_alloc(reading, plan);
        if (!reading->key_values)
            return no_memory(reading);
        *scan = start;
        enum layout_answer answer =
            layout_read(&plan->layout, scan, &reading->reader, reading->key_values, NULL);
        if (answer == LAYOUT_OK) {
            /* An object without members is no key. */
            reading->key = plan->layout.column_count ? plan : NULL;
            return ODS_OK;
        }
        if (answer == LAYOUT_BAD)
            return scan->problem ? scan_error(reading, scan, "key") : ODS_REJECT;
        plan = NULL;
    }
    return error_set(reading->error, ODS_REJECT, "the record's key can't be read");
}

static enum ods_status read_key(struct reading *reading)
{
    const struct record *record = reading->record;
    struct json_scan scan;
    struct payload payload;
    if (!record->key || !record->key_length)
        return ODS_OK;
    json_scan_init(&scan, record->key, record->key_length);
    json_space(&scan);
    enum ods_status status = payload_open(reading, &scan, &reading->topic->keys, true, &payload);
    if (status != ODS_OK) {
        error_prefix(reading->error, "key: ");
        return status;
    }
    switch (json_peek(&scan)) {
    case '{':
        break;
    case 'n':
        if (json_skip(&scan) && payload_close(&scan, &payload))
            return ODS_OK;
        reading->key_problem = "not JSON";
        return ODS_OK;
    case '"':
        reading->key_problem = "a JSON string";
        return ODS_OK;
    case '[':
        reading->key_problem = "a JSON array";
        return ODS_OK;
    default:
        reading->key_problem = "no JSON object";
        return ODS_OK;
    }
    status = read_key_object(reading, &scan, &payload);
    if (status == ODS_OK && !payload_close(&scan, &payload))
        return scan_error(reading, &scan, "key");
    return status;
}

/* Its table and time stand in its headers, or its key's schema and its record tell them. */
static enum ods_status read_tombstone(struct reading *reading)
{
    const struct metadata *metadata = &reading->self->metadata;
    struct value meta[META_COUNT] = {0};
    int64_t ms = reading->record->timestamp_ms, time = INT64_MIN;
    if (reading->key && metadata->header_count) {
        enum ods_status status = metadata_read_headers(metadata, reading->batch, reading->record,
                                                       meta, reading->error);
        if (status != ODS_OK)
            return status;
        time = row_time(meta);
    }
    struct identity identity = row_identity(meta);
    if (identity.table.length)
        identity_complete(reading, NULL, &identity);
    if (!reading->key || (!identity.table.length && !identity_of_tombstone(reading, &identity))) {
        reading->pass = PASS_TOMBSTONE;
        return ODS_OK;
    }
    if (time == INT64_MIN && (ms < 0 || __builtin_mul_overflow(ms, INT64_C(1000), &time)))
        time = INT64_MIN;
    return change_append_key(reading, &identity, time);
}

/* --- values with a schema --- */

static enum ods_status read_typed_row(struct reading *reading, struct json_scan *scan,
                                      struct plan *plan)
{
    enum ods_status status;
    if (plan->schema.kind == SCHEMA_ENVELOPE) {
        if (envelope_read(reading, scan, plan, &status) == ENVELOPE_NONE)
            return error_set(reading->error, ODS_REJECT,
                             "the schema is an envelope's, the payload has no op");
    } else {
        row_read(reading, scan, plan, &status);
    }
    return status != ODS_OK && scan->problem ? scan_error(reading, scan, "value") : status;
}

static enum ods_status read_typed(struct reading *reading, struct json_scan *scan,
                                  struct plan *plan)
{
    switch (plan->schema.kind) {
    case SCHEMA_ROW:
    case SCHEMA_ENVELOPE:
        return read_typed_row(reading, scan, plan);
    case SCHEMA_EVENT_DATA:
        return error_set(reading->error, ODS_REJECT,
                         "found the data of a CloudEvent without the event around it");
    case SCHEMA_DOCUMENT:
        return document_refuse(reading);
    case SCHEMA_MESSAGE:
        reading->pass = PASS_MESSAGE;
        break;
    case SCHEMA_SCHEMA_CHANGE:
        reading->pass = PASS_SCHEMA_CHANGE;
        break;
    case SCHEMA_TRANSACTION:
        reading->pass = PASS_TRANSACTION;
        break;
    case SCHEMA_HEARTBEAT:
        reading->pass = PASS_HEARTBEAT;
        break;
    }
    return json_skip(scan) ? ODS_OK : scan_error(reading, scan, "value");
}

/* --- records --- */

static enum ods_status read_value(struct reading *reading)
{
    const struct record *record = reading->record;
    struct json_scan scan;
    struct payload payload;
    json_scan_init(&scan, record->value, record->value_length);
    json_space(&scan);
    enum ods_status status = payload_open(reading, &scan, &reading->topic->values, false, &payload);
    if (status != ODS_OK)
        return status;
    char first = json_peek(&scan);
    if (first == '{')
        status =
            payload.plan ? read_typed(reading, &scan, payload.plan) : untyped_read(reading, &scan);
    else if (first == 'n' && json_skip(&scan))
        status = read_tombstone(reading);
    else
        status = error_set(reading->error, ODS_REJECT,
                           "the record's value is %s, expected a JSON object", json_found(&scan));
    if (status == ODS_OK && !payload_close(&scan, &payload))
        status = scan_error(reading, &scan, "value");
    return status;
}

static enum ods_status debezium_decode(struct decoder *decoder, struct batch *batch, uint32_t index,
                                       struct error *error)
{
    struct debezium *self = (struct debezium *) decoder;
    const struct record *record = &batch->records[index];
    struct reading reading = {
        .self = self, .batch = batch, .index = index, .record = record, .error = error, .pass = -1};
    reading.reader = (struct layout_reader){
        .arena = &batch->arena, .unavailable = &self->unavailable, .error = error};
    uint32_t change_count = batch->change_count;
    if (record->value_length > UINT32_MAX || record->key_length > UINT32_MAX)
        return error_set(error, ODS_REJECT, "a record of more than 4 GB");
    plans_trim(self);
    reading.topic = topic_find(self, record->topic);
    if (!reading.topic)
        return no_memory(&reading);
    enum ods_status status = ODS_OK;
    if (reading.topic->heartbeat)
        reading.pass = PASS_HEARTBEAT;
    else if ((status = read_key(&reading)) == ODS_OK)
        status = record->value ? read_value(&reading) : read_tombstone(&reading);
    if (status == ODS_OK && reading.pass == PASS_SCHEMA_CHANGE)
        status = schema_topic_learn(&self->schema, record, error);
    if (status != ODS_OK)
        batch->change_count = change_count;
    else if (reading.pass >= 0)
        batch->passed[reading.pass]++;
    return status;
}

static void debezium_close(struct decoder *decoder)
{
    struct debezium *self = (struct debezium *) decoder;
    if (!self)
        return;
    topics_free(self);
    shape_table_free(self->shapes);
    schema_topic_close(&self->schema);
    unavailable_done(&self->unavailable);
    metadata_done(&self->metadata);
    free(self);
}

static enum ods_status debezium_open(struct decoder **decoder, const struct decoder_config *config,
                                     struct error *error)
{
    const struct pipeline_settings *pipeline = config->pipeline;
    struct debezium *self = calloc(1, sizeof *self);
    *decoder = NULL;
    if (!self)
        return error_set(error, ODS_FATAL, "out of memory while opening the decoder");
    self->decoder.ops = &decoder_debezium;
    self->pipeline = pipeline;
    self->want_before = config->want_before;
    self->notice = config->notice;
    self->notice_context = config->context;
    self->connector = pipeline && pipeline->source.connector ? pipeline->source.connector : "";
    self->shapes = shape_table_new();
    const char *placeholder = pipeline && pipeline->source.unavailable_value
                                  ? pipeline->source.unavailable_value
                                  : UNAVAILABLE_DEFAULT;
    static const struct metadata_settings usual;
    if (!metadata_init(&self->metadata, pipeline ? &pipeline->source.metadata : &usual) ||
        !self->shapes || !schema_topic_open(&self->schema, config) ||
        !unavailable_init(&self->unavailable, placeholder)) {
        debezium_close(&self->decoder);
        return error_set(error, ODS_FATAL, "out of memory while opening the decoder");
    }
    *decoder = &self->decoder;
    return ODS_OK;
}

const struct decoder_ops decoder_debezium = {
    .name = "debezium",
    .summary = "Debezium change events as JSON: envelopes (CloudEvents too), flattened rows, with "
               "or without schema",
    .open = debezium_open,
    .decode = debezium_decode,
    .close = debezium_close,
};
