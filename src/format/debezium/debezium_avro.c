/* Records in Avro: keys, envelopes and flattened rows, read by the plan of their schema. What they
 * mean is what the same records mean in JSON, so from the values on it is the same code. */
#include "format/debezium/debezium_avro.h"

#include <stdlib.h>
#include <string.h>

static struct avro_reader open_reader(struct reading *reading, const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *) bytes;
    return (struct avro_reader){.scan = {.at = at, .end = at + length},
                                .arena = reading->reader.arena,
                                .unavailable = reading->reader.unavailable,
                                .json = &reading->self->json};
}

/* Why the bytes can't be read by the plan. */
static enum ods_status reader_error(struct reading *reading, const struct avro_reader *reader,
                                    const struct plan *plan, const char *part)
{
    char text[SCHEMA_REF_BYTES];
    const char *column = reader->column ? reader->column : "";
    if (reader->out_of_memory)
        return no_memory(reading);
    return error_set(reading->error, ODS_REJECT,
                     "the record's %s is not what its schema says (%s, %.100s): %s%.63s%s%s, %zu "
                     "bytes before its end",
                     part, schema_ref_text(&plan->avro->ref, text), plan->schema.name,
                     *column ? "column " : "", column, *column ? ": " : "", reader->scan.problem,
                     (size_t) (reader->scan.end - reader->scan.at));
}

static bool at_end(struct avro_reader *reader)
{
    return reader->scan.at == reader->scan.end ||
           avro_fail(&reader->scan, "something follows the record");
}

/* --- keys --- */

/* A key that is no record: the value of the one column that tables.yaml may name. */
static enum ods_status read_scalar_key(struct reading *reading, struct avro_reader *reader,
                                       const struct plan *plan)
{
    struct buffer *json = reader->json;
    buffer_reset(json);
    if (!avro_json(&reader->scan, plan->avro->schema.root, json) || !at_end(reader))
        return reader_error(reading, reader, plan, "key");
    if (json->failed)
        return no_memory(reading);
    if (json->length == 4 && memcmp(json->bytes, "null", 4) == 0)
        return ODS_OK;
    reading->scalar.bytes = arena_strndup(reading->reader.arena, json->bytes, json->length);
    reading->scalar.length = json->length;
    reading->scalar_schema = (struct slice){plan->avro->scalar, strlen(plan->avro->scalar)};
    reading->key_problem = "a single value";
    return reading->scalar.bytes ? ODS_OK : no_memory(reading);
}

enum ods_status avro_read_key(struct reading *reading)
{
    enum ods_status status;
    if (!reading->record->key || !reading->record->key_length)
        return ODS_OK;
    struct avro_source source = avro_find_source(reading, true);
    if (!source.bytes || source.json)
        return key_read(reading); /* JSON or text beside a value in Avro */
    struct plan *plan = avro_plan_of(reading, &source, true, &status);
    if (!plan)
        return status;
    struct avro_reader reader = open_reader(reading, source.bytes, source.length);
    if (plan->avro->scalar)
        return read_scalar_key(reading, &reader, plan);
    reading->key_values = values_alloc(reading, plan);
    if (!reading->key_values)
        return no_memory(reading);
    if (!avro_row_read(&plan->avro->row, &reader, reading->key_values, NULL) || !at_end(&reader))
        return reader_error(reading, &reader, plan, "key");
    reading->key = plan->layout.column_count ? plan : NULL;
    return ODS_OK;
}

/* --- envelopes --- */

bool avro_read_image(struct reading *reading, const struct plan *plan, struct image *image,
                     enum ods_status *status)
{
    struct avro_reader reader =
        open_reader(reading, image->start, (size_t) (image->end - image->start));
    image->values = values_alloc(reading, plan);
    if (!image->values)
        *status = no_memory(reading);
    else if (!avro_row_read(&plan->avro->row, &reader, image->values, NULL))
        *status = reader_error(reading, &reader, plan, "value");
    else
        return true;
    return false;
}

static bool take_image(struct reading *reading, struct avro_reader *reader, struct plan *plan,
                       bool wanted, struct image *image)
{
    image->start = (const char *) reader->scan.at;
    image->values = wanted ? values_alloc(reading, plan) : NULL;
    if (wanted && !image->values) {
        reader->out_of_memory = true;
        return avro_fail(&reader->scan, "memory is out");
    }
    bool good = wanted ? avro_row_read(&plan->avro->row, reader, image->values, NULL)
                       : avro_row_skip(&plan->avro->row, &reader->scan);
    image->end = (const char *) reader->scan.at;
    return good;
}

static bool take_integer(struct avro_scan *scan, struct value *value)
{
    value->kind = VALUE_INT;
    return avro_long(scan, &value->integer);
}

static bool take_text(struct avro_scan *scan, const struct avro_type *type, struct slice *text)
{
    int64_t index;
    if (type->kind == AVRO_STRING)
        return avro_text(scan, &text->bytes, &text->length);
    if (!avro_long(scan, &index))
        return false;
    if (index < 0 || index >= type->count)
        return avro_fail(scan, "an enum's symbol that its schema does not have");
    *text = (struct slice){type->symbols[index], strlen(type->symbols[index])};
    return true;
}

static bool take_member(struct reading *reading, struct avro_reader *reader, struct plan *plan,
                        const struct avro_member *member, struct envelope *envelope);

static bool take_members(struct reading *reading, struct avro_reader *reader, struct plan *plan,
                         const struct avro_members *members, struct envelope *envelope)
{
    for (uint32_t i = 0; i < members->count; i++) {
        const struct avro_member *member = &members->items[i];
        bool null = false;
        if (member->branch && !avro_branch(&reader->scan, member->branch - 1U, &null))
            return false;
        if (null)
            continue;
        if (member->use == USE_NOTHING ? !avro_skip(&reader->scan, member->type)
                                       : !take_member(reading, reader, plan, member, envelope))
            return false;
    }
    return true;
}

/* The times of the envelope and of its source are told apart by where they stand: source_ts is
 * filled while its source is read. */
static bool take_source(struct reading *reading, struct avro_reader *reader, struct plan *plan,
                        struct envelope *envelope)
{
    struct envelope inner = {.position = envelope->position};
    if (!take_members(reading, reader, plan, &plan->avro->source, &inner))
        return false;
    envelope->has_source = true;
    envelope->source = inner.source;
    memcpy(envelope->source_ts, inner.ts, sizeof inner.ts);
    return true;
}

/* Where nobody asks for the position it is passed over. */
static bool take_place(struct avro_scan *scan, const struct avro_member *member,
                       const struct envelope *envelope)
{
    struct slice text;
    if (!envelope->position)
        return avro_skip(scan, member->type);
    struct value *value = (struct value *) ((char *) envelope->position + member->place);
    if (member->type->kind != AVRO_STRING)
        return take_integer(scan, value);
    if (!avro_text(scan, &text.bytes, &text.length))
        return false;
    *value = (struct value){
        .kind = VALUE_TEXT, .length = (uint32_t) text.length, .bytes = text.bytes};
    return true;
}

static bool take_member(struct reading *reading, struct avro_reader *reader, struct plan *plan,
                        const struct avro_member *member, struct envelope *envelope)
{
    struct avro_scan *scan = &reader->scan;
    switch ((enum avro_member_use) member->use) {
    case USE_TS_US:
    case USE_TS_NS:
    case USE_TS_MS:
        return take_integer(scan, &envelope->ts[member->use - USE_TS_US]);
    case USE_BEFORE:
        return take_image(reading, reader, plan, envelope_expects_before(reading, plan),
                          &envelope->before);
    case USE_AFTER:
        return take_image(reading, reader, plan, true, &envelope->after);
    case USE_SOURCE:
        return take_source(reading, reader, plan, envelope);
    case USE_OP:
        return take_text(scan, member->type, &envelope->op);
    case USE_DATABASE:
        return take_text(scan, member->type, &envelope->source.database);
    case USE_SCHEMA:
        return take_text(scan, member->type, &envelope->source.schema);
    case USE_TABLE:
        return take_text(scan, member->type, &envelope->source.table);
    case USE_CONNECTOR:
        return take_text(scan, member->type, &envelope->source.connector);
    case USE_TRANSACTION:
        return take_members(reading, reader, plan, &plan->avro->transaction, envelope);
    case USE_PLACE:
        return take_place(scan, member, envelope);
    case USE_NOTHING:
        break;
    }
    return avro_skip(scan, member->type);
}

static enum ods_status read_envelope(struct reading *reading, struct avro_reader *reader,
                                     struct plan *plan)
{
    struct envelope envelope = {0};
    if (reading->self->want_position && !(envelope.position = position_new(reading)))
        return no_memory(reading);
    if (!take_members(reading, reader, plan, &plan->avro->envelope, &envelope) || !at_end(reader))
        return reader_error(reading, reader, plan, "value");
    if (!envelope.op.bytes)
        envelope.op = (struct slice){"", 0};
    return envelope_finish(reading, NULL, plan, &envelope);
}

/* --- flattened rows --- */

static enum ods_status read_row(struct reading *reading, struct avro_reader *reader,
                                struct plan *plan)
{
    const struct metadata *metadata = &reading->self->metadata;
    const struct avro_scan start = reader->scan;
    struct value meta[META_COUNT] = {0};
    struct value *values = values_alloc(reading, plan);
    enum ods_status status = ODS_OK;
    if (!values)
        return no_memory(reading);
    if (!avro_row_read(&plan->avro->row, reader, values, meta) || !at_end(reader))
        return reader_error(reading, reader, plan, "value");
    if (metadata->header_count)
        status = metadata_read_headers(metadata, reading->batch, reading->record, meta,
                                       reading->error);
    if (status != ODS_OK)
        return status;
    if (row_op(meta) == OP_READ && snapshot_differs(reading, plan, values)) {
        reader->scan = start;
        reader->unavailable = reading->reader.unavailable;
        if (!avro_row_read(&plan->avro->row, reader, values, meta))
            return reader_error(reading, reader, plan, "value");
    }
    return row_finish(reading, plan, values, meta);
}

/* --- values --- */

static enum ods_status read_rows(struct reading *reading, struct avro_reader *reader,
                                 struct plan *plan)
{
    if (plan->schema.kind == SCHEMA_ENVELOPE)
        return read_envelope(reading, reader, plan);
    if (reading->self->shape == SHAPE_ENVELOPE)
        return error_set(reading->error, ODS_REJECT,
                         "the schema '%.100s' is a row's; expected a Debezium envelope "
                         "(source.shape: envelope)",
                         plan->schema.name);
    return read_row(reading, reader, plan);
}

static enum ods_status read_by(struct reading *reading, const struct avro_source *source,
                               struct plan *plan)
{
    struct avro_reader reader = open_reader(reading, source->bytes, source->length);
    switch (plan->schema.kind) {
    case SCHEMA_ROW:
    case SCHEMA_ENVELOPE:
        return read_rows(reading, &reader, plan);
    case SCHEMA_EVENT_DATA:
        return error_set(reading->error, ODS_REJECT,
                         "found the data of a CloudEvent, which is read as JSON only");
    case SCHEMA_DOCUMENT:
        return document_refuse(reading);
    case SCHEMA_MESSAGE:
    case SCHEMA_SCHEMA_CHANGE:
    case SCHEMA_TRANSACTION:
    case SCHEMA_HEARTBEAT:
        reading->pass = debezium_pass(plan->schema.kind);
        break;
    }
    if (avro_skip(&reader.scan, plan->avro->schema.root) && at_end(&reader))
        return ODS_OK;
    return reader_error(reading, &reader, plan, "value");
}

static enum ods_status refuse_bytes(struct reading *reading, bool json)
{
    const struct record *record = reading->record;
    if (!record->value_length)
        return error_set(reading->error, ODS_REJECT,
                         "the record's value has no bytes, which no %s record of a row has",
                         avro_language(reading));
    unsigned char first = (unsigned char) record->value[0];
    if (json)
        return error_set(reading->error, ODS_REJECT,
                         "a header of the record says that its value is JSON (apicurio.value."
                         "encoding), expected binary %s",
                         avro_language(reading));
    if (first == 0)
        return error_set(reading->error, ODS_REJECT,
                         "the record's value begins as %s does, but names no schema: its magic "
                         "byte 0 is followed by %s, and no header has an id",
                         avro_language(reading),
                         record->value_length < 5 ? "less than four bytes" : "the id 0");
    return error_set(reading->error, ODS_REJECT,
                     "the record's value begins with the byte 0x%02x: expected 0x00 and the id of "
                     "a schema, or an id in a header%s",
                     first, first == '{' ? "; it seems to be JSON (format: debezium)" : "");
}

/* While the key's schema is waited for, the value's is asked for too. */
static void ask_ahead(struct reading *reading)
{
    struct error why = *reading->error;
    enum ods_status ignored;
    struct avro_source source = avro_find_source(reading, false);
    if (source.bytes && !source.json)
        avro_plan_of(reading, &source, false, &ignored);
    *reading->error = why;
}

enum ods_status avro_read_record(struct reading *reading)
{
    const struct record *record = reading->record;
    enum ods_status status = avro_read_key(reading);
    if (status == ODS_RETRY && record->value)
        ask_ahead(reading);
    if (status != ODS_OK || !record->value)
        return status != ODS_OK ? status : tombstone_read(reading);
    struct avro_source source = avro_find_source(reading, false);
    if (!source.bytes || source.json)
        return refuse_bytes(reading, source.json);
    struct plan *plan = avro_plan_of(reading, &source, false, &status);
    return plan ? read_by(reading, &source, plan) : status;
}
