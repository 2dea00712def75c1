/* Debezium's JSON to changes: row envelopes with and without schemas, flattened rows, CloudEvents,
 * tombstones, and the records that are no rows. Told apart record by record.
 *
 * Format: Debezium's documentation ("data change events", "new record state extraction") and
 * Kafka Connect's JsonConverter. Read decode() first.
 */
#include "format/debezium/debezium.h"
#include "format/schema_follower.h"

#include <stdlib.h>
#include <string.h>

extern const struct format_ops format_debezium, format_debezium_avro, format_avro,
    format_debezium_protobuf, format_protobuf;

/* memory that is kept for the next record to observe */
#define CONTEXT_BYTES_MAX   ((size_t) 1024 * 1024)
#define UNAVAILABLE_DEFAULT "__debezium_unavailable_value"

/* --- answers --- */

enum ods_status no_memory(struct reading *reading)
{
    return error_set(reading->error, ODS_RETRY, "out of memory while decoding a record");
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
    count += reading->key ? reading->key->layout.column_count : reading->scalar.bytes != NULL;
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

enum ods_status change_append(struct reading *reading, const struct binding *binding,
                              enum change_op op, struct value *before, struct value *after,
                              int64_t source_us)
{
    if (reading->key_problem && !key_may_be_bad(reading, binding->shape))
        return ODS_REJECT;
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
    change->position = reading->position;
    return ODS_OK;
}

enum ods_status change_append_key(struct reading *reading, const struct identity *identity,
                                  int64_t source_us)
{
    enum ods_status status = ODS_OK;
    if (!key_resolve(reading, identity, &status))
        return status;
    if (!reading->key)
        return error_set(
            reading->error, ODS_REJECT,
            "the deleted row can't be told: the record has no before image, and its key is %s; "
            "expected a JSON object with the key's columns (key.converter at the source)%s",
            reading->key_problem ? reading->key_problem : "null",
            reading->scalar.bytes ? ", or the one column that this value belongs to in tables.yaml "
                                    "(key: [column])"
                                  : "");
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

/* Reads both members of a wrapper, in any order and with any white space. False: it is not a
 * wrapper, or not JSON; reading it as something else will tell which. */
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
            return false; /* a member twice: which one is meant can't be told */
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
    payload->schema = schema;
    scan->at = inner.bytes; /* all of the wrapper has been checked */
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

/* --- values with a schema --- */

static enum ods_status read_typed_row(struct reading *reading, struct json_scan *scan,
                                      struct plan *plan)
{
    enum ods_status status;
    if (plan->schema.kind == SCHEMA_ENVELOPE) {
        if (envelope_read(reading, scan, plan, &status) == ENVELOPE_NONE)
            return error_set(reading->error, ODS_REJECT,
                             "the schema is an envelope's, but the payload is not one: it has no "
                             "op, or op, before, after or source have other types");
    } else if (reading->self->shape == SHAPE_ENVELOPE) {
        return error_set(reading->error, ODS_REJECT,
                         "the schema '%.100s' is a row's; expected a Debezium envelope "
                         "(source.shape: envelope)",
                         plan->schema.name);
    } else {
        row_read(reading, scan, plan, &status);
    }
    return status != ODS_OK && scan->problem ? scan_error(reading, scan, "value") : status;
}

enum pass_reason debezium_pass(enum schema_kind kind)
{
    return kind == SCHEMA_MESSAGE         ? PASS_MESSAGE
           : kind == SCHEMA_SCHEMA_CHANGE ? PASS_SCHEMA_CHANGE
           : kind == SCHEMA_TRANSACTION   ? PASS_TRANSACTION
                                          : PASS_HEARTBEAT;
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
    case SCHEMA_SCHEMA_CHANGE:
    case SCHEMA_TRANSACTION:
    case SCHEMA_HEARTBEAT:
        reading->pass = debezium_pass(plan->schema.kind);
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
    const struct slice value = json_of_record(record->value, record->value_length);
    json_scan_init(&scan, value.bytes, value.length);
    json_space(&scan);
    enum ods_status status = payload_open(reading, &scan, &reading->topic->values, false, &payload);
    if (status != ODS_OK)
        return status;
    char first = json_peek(&scan);
    if (first == '{')
        status =
            payload.plan ? read_typed(reading, &scan, payload.plan) : untyped_read(reading, &scan);
    else if (first == 'n' && json_skip(&scan))
        status = tombstone_read(reading);
    else
        status = error_set(reading->error, ODS_REJECT,
                           "the record's value is %s, expected a JSON object", json_found(&scan));
    if (status == ODS_OK && !payload_close(&scan, &payload))
        status = scan_error(reading, &scan, "value");
    return status;
}

static enum ods_status read_record(struct reading *reading)
{
    const struct record *record = reading->record;
    if (record->value_length > UINT32_MAX || record->key_length > UINT32_MAX)
        return error_set(reading->error, ODS_REJECT, "a record of more than 4 GB");
    plans_trim(reading->self);
    reading->topic = topic_find(reading->self, record->topic);
    if (!reading->topic)
        return no_memory(reading);
    if (reading->topic->heartbeat) {
        reading->pass = PASS_HEARTBEAT;
        reading->batch->beat_us = heartbeat_us(record);
        return ODS_OK;
    }
    if (reading->self->avro)
        return avro_read_record(reading);
    enum ods_status status = key_read(reading);
    if (status != ODS_OK)
        return status;
    return record->value ? read_value(reading) : tombstone_read(reading);
}

static struct reading begin_reading(struct debezium *self, struct batch *batch, uint32_t index,
                                    struct error *error)
{
    return (struct reading){.self = self,
                            .batch = batch,
                            .index = index,
                            .record = &batch->records[index],
                            .error = error,
                            .pass = -1,
                            .reader = {.arena = &batch->arena,
                                       .unavailable = &self->unavailable,
                                       .error = error}};
}

static enum ods_status debezium_decode(struct decoder *decoder, struct batch *batch, uint32_t index,
                                       struct error *error)
{
    struct debezium *self = (struct debezium *) decoder;
    struct reading reading = begin_reading(self, batch, index, error);
    uint32_t change_count = batch->change_count;
    enum ods_status status = read_record(&reading);
    if (status == ODS_OK && reading.pass == PASS_SCHEMA_CHANGE && !self->avro)
        status = schema_topic_learn(&self->schema, reading.record, error);
    if (status != ODS_OK)
        batch->change_count = change_count;
    /* A record that is put off is decoded again, so it is not counted now. */
    if ((status == ODS_OK || status == ODS_REJECT) && reading.topic && !batch->apart &&
        !deletes_note(&reading.topic->deletes, reading.record, reading.tells))
        return no_memory(&reading);
    if (status == ODS_OK && reading.pass >= 0)
        batch->passed[reading.pass]++;
    return status;
}

/* Decoded like any other record, into a batch that is not used. Only Avro needs more than the
 * record to tell a delete: for the types of JSON's columns nothing is waited for here. */
static enum ods_status debezium_observe(struct decoder *decoder, const struct record *record,
                                        struct error *error)
{
    struct debezium *self = (struct debezium *) decoder;
    struct error why;
    if (!self->context && !(self->context = batch_new()))
        return error_out_of_memory(error);
    struct record *copy = batch_add_record(self->context);
    enum ods_status status = copy ? ODS_OK : error_out_of_memory(error);
    if (copy) {
        *copy = *record;
        error_init(&why);
        struct reading reading = begin_reading(self, self->context, 0, &why);
        if (read_record(&reading) == ODS_RETRY && self->avro) {
            *error = why;
            status = ODS_RETRY;
        } else if (reading.topic &&
                   !deletes_note(&reading.topic->deletes, record, reading.tells)) {
            status = error_out_of_memory(error);
        }
    }
    batch_reset(self->context);
    if (batch_bytes(self->context) > CONTEXT_BYTES_MAX) {
        batch_free(self->context);
        self->context = NULL;
    }
    return status;
}

static void debezium_close(struct decoder *decoder)
{
    struct debezium *self = (struct debezium *) decoder;
    if (!self)
        return;
    topics_free(self);
    batch_free(self->context);
    schema_topic_close(&self->schema);
    schema_registry_close(self->own);
    buffer_done(&self->json);
    proto_room_done(&self->proto);
    unavailable_done(&self->unavailable);
    free(self->told);
    metadata_done(&self->metadata);
    free(self);
}

static enum ods_status open_decoder(struct debezium **out, const struct decoder_config *config,
                                    bool avro, struct error *error)
{
    const struct pipeline_settings *pipeline = config->pipeline;
    struct debezium *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ODS_FATAL, "out of memory while opening the decoder");
    self->avro = avro;
    self->decoder.ops = &format_debezium;
    self->pipeline = pipeline;
    self->shape = pipeline ? pipeline->source.shape : SHAPE_AUTO;
    self->want_before = config->want_before;
    self->want_position = config->want_position;
    self->notice = config->notice;
    self->notice_context = config->context;
    self->connector = pipeline && pipeline->source.connector ? pipeline->source.connector : "";
    self->shapes = config->shapes;
    self->told = calloc(pipeline ? pipeline->table_count + 1 : 1, sizeof *self->told);
    const char *placeholder = pipeline && pipeline->source.unavailable_value
                                  ? pipeline->source.unavailable_value
                                  : UNAVAILABLE_DEFAULT;
    static const struct metadata_settings usual;
    if (!metadata_init(&self->metadata, pipeline ? &pipeline->source.metadata : &usual) ||
        !self->told || (!avro && !schema_topic_open(&self->schema, config)) ||
        !unavailable_init(&self->unavailable, placeholder)) {
        debezium_close(&self->decoder);
        return error_set(error, ODS_FATAL, "out of memory while opening the decoder");
    }
    *out = self;
    return ODS_OK;
}

static enum ods_status debezium_open(struct decoder **decoder, const struct decoder_config *config,
                                     struct error *error)
{
    struct debezium *self;
    enum ods_status status = open_decoder(&self, config, false, error);
    *decoder = self ? &self->decoder : NULL;
    return status;
}

/* Without a helper it has a registry of its own, in a command; without either no record can be
 * read. */
static enum ods_status open_avro(struct decoder **decoder, const struct decoder_config *config,
                                 const struct format_ops *ops, struct error *error)
{
    const struct registry_settings *settings =
        config->pipeline ? &config->pipeline->registry : config->registry;
    struct debezium *self;
    enum ods_status status = open_decoder(&self, config, true, error);
    *decoder = NULL;
    if (status != ODS_OK)
        return status;
    self->decoder.ops = ops;
    self->plain = ops == &format_avro || ops == &format_protobuf;
    self->languages = config->any_language ? LANGUAGE_AVRO | LANGUAGE_PROTOBUF
                      : ops == &format_protobuf || ops == &format_debezium_protobuf
                          ? LANGUAGE_PROTOBUF
                          : LANGUAGE_AVRO;
    self->registry = schema_registry_of(config->helper);
    if (!self->registry && settings && settings->url && *settings->url)
        status = schema_registry_open(&self->own, settings, error);
    if (!self->registry)
        self->registry = self->own;
    if (status == ODS_OK)
        *decoder = &self->decoder;
    else
        debezium_close(&self->decoder);
    return status;
}

static enum ods_status debezium_avro_open(struct decoder **decoder,
                                          const struct decoder_config *config, struct error *error)
{
    return open_avro(decoder, config, &format_debezium_avro, error);
}

static enum ods_status avro_open(struct decoder **decoder, const struct decoder_config *config,
                                 struct error *error)
{
    return open_avro(decoder, config, &format_avro, error);
}

static enum ods_status debezium_protobuf_open(struct decoder **decoder,
                                              const struct decoder_config *config,
                                              struct error *error)
{
    return open_avro(decoder, config, &format_debezium_protobuf, error);
}

static enum ods_status protobuf_open(struct decoder **decoder, const struct decoder_config *config,
                                     struct error *error)
{
    return open_avro(decoder, config, &format_protobuf, error);
}

const struct format_ops format_debezium = {
    .name = "debezium",
    .summary = "Debezium change events as JSON: envelopes (CloudEvents too), flattened rows, with "
               "or without schema",
    .open = debezium_open,
    .decode = debezium_decode,
    .look_back = DELETES_LOOK_BACK,
    .observe = debezium_observe,
    .close = debezium_close,
    .helper = &schema_follower_ops,
};

const struct format_ops format_debezium_avro = {
    .name = "debezium-avro",
    .summary = "Debezium change events as Avro, by the schemas of a registry: envelopes and "
               "flattened rows",
    .open = debezium_avro_open,
    .decode = debezium_decode,
    .look_back = DELETES_LOOK_BACK,
    .observe = debezium_observe,
    .close = debezium_close,
    .helper = &schema_registry_ops,
};

const struct format_ops format_avro = {
    .name = "avro",
    .summary = "plain rows as Avro, by the schemas of a registry: each is the newest state of its "
               "key",
    .open = avro_open,
    .decode = debezium_decode,
    .look_back = DELETES_LOOK_BACK,
    .observe = debezium_observe,
    .close = debezium_close,
    .helper = &schema_registry_ops,
};

const struct format_ops format_debezium_protobuf = {
    .name = "debezium-protobuf",
    .summary = "Debezium change events as Protobuf, by the schemas of a registry: envelopes and "
               "flattened rows",
    .open = debezium_protobuf_open,
    .decode = debezium_decode,
    .look_back = DELETES_LOOK_BACK,
    .observe = debezium_observe,
    .close = debezium_close,
    .helper = &schema_registry_ops,
};

const struct format_ops format_protobuf = {
    .name = "protobuf",
    .summary = "plain rows as Protobuf, by the schemas of a registry: each is the newest state of "
               "its key",
    .open = protobuf_open,
    .decode = debezium_decode,
    .look_back = DELETES_LOOK_BACK,
    .observe = debezium_observe,
    .close = debezium_close,
    .helper = &schema_registry_ops,
};
