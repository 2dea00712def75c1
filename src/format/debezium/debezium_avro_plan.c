/* From the id that a record names to the plan by which it is read.
 *
 * A plan has the columns that the same record has in JSON: its Avro schema is written out as the
 * schema that Kafka Connect has for it, and read as that of a JSON record is. */
#include "format/debezium/debezium_avro.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_USUAL 32

/* --- which schema --- */

static uint64_t big_endian(const char *bytes, size_t count)
{
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++)
        number = number << 8 | (unsigned char) bytes[i];
    return number;
}

/* Confluent's header: 0 and an id, or 1 and a GUID, and for Protobuf the indexes of the message. */
static bool confluent_ref(const struct header *header, struct avro_source *source)
{
    if (!header->value || !header->length)
        return false;
    size_t length = header->value[0] ? 17 : 5;
    if (header->length >= 5 && header->value[0] == 0)
        source->ref = (struct schema_ref){SCHEMA_ID, 0, big_endian(header->value + 1, 4)};
    else if (header->length >= 17 && header->value[0] == 1)
        source->ref = (struct schema_ref){SCHEMA_GUID, big_endian(header->value + 1, 8),
                                          big_endian(header->value + 9, 8)};
    else
        return false;
    source->path = (struct slice){header->value + length, header->length - length};
    return true;
}

static bool apicurio_ref(const struct header *header, enum schema_id kind, struct schema_ref *ref)
{
    if (!header->value || header->length != 8)
        return false;
    *ref = (struct schema_ref){kind, 0, big_endian(header->value, 8)};
    return true;
}

/* "apicurio.value.globalId" has the name "globalId" for values. */
static const char *apicurio_name(const char *name, bool is_key)
{
    const char *prefix = is_key ? "apicurio.key." : "apicurio.value.";
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 ? name + length : "";
}

/* What the record's headers say about its key or value. */
static bool read_headers(struct reading *reading, bool is_key, struct avro_source *source)
{
    struct batch *batch = reading->batch;
    struct header few[HEADERS_USUAL], *headers = few;
    size_t count = batch_headers(batch, reading->record, few, HEADERS_USUAL);
    bool found = false;
    if (count > HEADERS_USUAL) {
        headers = arena_alloc(&batch->arena, count * sizeof *headers);
        if (!headers)
            return false;
        count = batch_headers(batch, reading->record, headers, count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct header *header = &headers[i];
        const char *own = apicurio_name(header->name, is_key);
        if (strcmp(header->name, is_key ? "__key_schema_id" : "__value_schema_id") == 0)
            found |= confluent_ref(header, source);
        else if (strcmp(own, "globalId") == 0)
            found |= apicurio_ref(header, SCHEMA_GLOBAL_ID, &source->ref);
        else if (strcmp(own, "contentId") == 0)
            found |= apicurio_ref(header, SCHEMA_CONTENT_ID, &source->ref);
        else if (strcmp(own, "encoding") == 0 && header->length == 4 && header->value)
            source->json = memcmp(header->value, "JSON", 4) == 0;
    }
    return found;
}

/* `path` NULL: any message of the schema. */
static uint32_t find_plan(const struct plan_list *list, const struct schema_ref *ref,
                          const uint32_t *path, size_t path_length)
{
    uint32_t at = 0;
    for (; at < list->count; at++) {
        const struct avro_plan *plan = list->items[at]->avro;
        if (schema_ref_same(&plan->ref, ref) &&
            (!path || (plan->path_length == path_length &&
                       memcmp(plan->path, path, path_length * sizeof *path) == 0)))
            break;
    }
    return at;
}

struct avro_source avro_find_source(struct reading *reading, bool is_key)
{
    const struct record *record = reading->record;
    const struct plan_list *list = is_key ? &reading->topic->avro_keys
                                          : &reading->topic->avro_values;
    const char *bytes = is_key ? record->key : record->value;
    size_t length = is_key ? record->key_length : record->value_length;
    struct avro_source source = {.bytes = bytes, .length = length}, behind = source;
    bool magic = length >= 5 && bytes[0] == 0;
    if (magic) {
        behind = (struct avro_source){.bytes = bytes + 5,
                                      .length = length - 5,
                                      .ref = {SCHEMA_ID, 0, big_endian(bytes + 1, 4)}};
        /* Headers are read only where the id is not one of the topic's: what an id in a header
         * stands for may begin with any bytes, but not with those of a schema that is in use
         * here. */
        if (find_plan(list, &behind.ref, NULL, 0) < list->count)
            return behind;
    }
    if (read_headers(reading, is_key, &source))
        return source;
    if (magic && behind.ref.low)
        return behind;
    source.bytes = NULL;
    return source;
}

/* --- compiling --- */

static void compile_member(struct avro_member *member, const struct avro_type *type)
{
    member->type = type;
    if (type->kind == AVRO_UNION && type->shown == UNION_ONE && type->count == 2 && type->other &&
        type->null_branch >= 0) {
        member->branch = (uint8_t) (type->null_branch + 1);
        member->type = type->other;
    }
}

enum { IN_ENVELOPE = 1, IN_SOURCE = 2, IN_TRANSACTION = 4 };

static const struct {
    const char *name;
    enum avro_member_use use;
    unsigned where;
    size_t place; /* of USE_PLACE: in struct source_position */
} uses[] = {
    {"before", USE_BEFORE, IN_ENVELOPE, 0},
    {"after", USE_AFTER, IN_ENVELOPE, 0},
    {"source", USE_SOURCE, IN_ENVELOPE, 0},
    {"op", USE_OP, IN_ENVELOPE, 0},
    {"transaction", USE_TRANSACTION, IN_ENVELOPE, 0},
    {"ts_us", USE_TS_US, IN_ENVELOPE | IN_SOURCE, 0},
    {"ts_ns", USE_TS_NS, IN_ENVELOPE | IN_SOURCE, 0},
    {"ts_ms", USE_TS_MS, IN_ENVELOPE | IN_SOURCE, 0},
    {"db", USE_DATABASE, IN_SOURCE, 0},
    {"schema", USE_SCHEMA, IN_SOURCE, 0},
    {"table", USE_TABLE, IN_SOURCE, 0},
    {"connector", USE_CONNECTOR, IN_SOURCE, 0},
    {"lsn", USE_PLACE, IN_SOURCE, offsetof(struct source_position, lsn)},
    {"scn", USE_PLACE, IN_SOURCE, offsetof(struct source_position, scn)},
    {"file", USE_PLACE, IN_SOURCE, offsetof(struct source_position, file)},
    {"pos", USE_PLACE, IN_SOURCE, offsetof(struct source_position, pos)},
    {"row", USE_PLACE, IN_SOURCE, offsetof(struct source_position, row)},
    {"gtid", USE_PLACE, IN_SOURCE, offsetof(struct source_position, gtid)},
    {"txId", USE_PLACE, IN_SOURCE, offsetof(struct source_position, transaction)},
    {"id", USE_PLACE, IN_TRANSACTION, offsetof(struct source_position, transaction)},
    {"total_order", USE_PLACE, IN_TRANSACTION, offsetof(struct source_position, order)},
};

/* Has the member the type that it has in an envelope? */
static bool fits(enum avro_member_use use, const struct avro_type *type)
{
    switch (use) {
    case USE_BEFORE:
    case USE_AFTER:
    case USE_SOURCE:
    case USE_TRANSACTION:
        return type->kind == AVRO_RECORD;
    case USE_PLACE:
        return type->kind == AVRO_STRING || type->kind == AVRO_LONG || type->kind == AVRO_INT;
    case USE_TS_US:
    case USE_TS_NS:
    case USE_TS_MS:
        return type->kind == AVRO_LONG || type->kind == AVRO_INT;
    case USE_OP:
        return type->kind == AVRO_STRING || type->kind == AVRO_ENUM;
    case USE_NOTHING:
        return false;
    default:
        return type->kind == AVRO_STRING;
    }
}

static bool compile_members(struct avro_members *members, struct blocks *blocks,
                            const struct avro_type *type, unsigned where)
{
    members->items = blocks_alloc(blocks, type->count * sizeof *members->items);
    if (!members->items)
        return false;
    members->count = type->count;
    for (uint32_t i = 0; i < type->count; i++) {
        struct avro_member *member = &members->items[i];
        compile_member(member, type->fields[i].type);
        for (size_t k = 0; k < sizeof uses / sizeof *uses; k++)
            if (uses[k].where & where && strcmp(type->fields[i].name, uses[k].name) == 0 &&
                fits(uses[k].use, member->type)) {
                member->use = (uint8_t) uses[k].use;
                member->place = (uint8_t) uses[k].place;
            }
        if (member->use == USE_NOTHING) {
            member->branch = 0;
            member->type = type->fields[i].type;
        }
    }
    return true;
}

/* The record of an envelope's images, which is one; NULL: it is not. */
static const struct avro_type *image_of(const struct avro_members *members)
{
    const struct avro_type *image = NULL;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct avro_member *member = &members->items[i];
        if (member->use != USE_BEFORE && member->use != USE_AFTER)
            continue;
        if (image && image != member->type)
            return NULL;
        image = member->type;
    }
    return image;
}

static const struct avro_type *member_of(const struct avro_members *members,
                                         enum avro_member_use use)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->items[i].use == use)
            return members->items[i].type;
    return NULL;
}

/* The record whose fields are the columns. */
static enum ods_status find_row(struct reading *reading, struct plan *plan,
                                const struct avro_type **row)
{
    struct avro_plan *avro = plan->avro;
    *row = avro->schema.root;
    if (plan->schema.kind != SCHEMA_ENVELOPE)
        return ODS_OK;
    if (!compile_members(&avro->envelope, &plan->blocks, avro->schema.root, IN_ENVELOPE))
        return no_memory(reading);
    const struct avro_type *source = member_of(&avro->envelope, USE_SOURCE);
    const struct avro_type *transaction = member_of(&avro->envelope, USE_TRANSACTION);
    if (source && !compile_members(&avro->source, &plan->blocks, source, IN_SOURCE))
        return no_memory(reading);
    if (transaction &&
        !compile_members(&avro->transaction, &plan->blocks, transaction, IN_TRANSACTION))
        return no_memory(reading);
    *row = image_of(&avro->envelope);
    if (*row)
        return ODS_OK;
    return error_set(reading->error, ODS_REJECT,
                     "the images before and after are of different types");
}

static enum ods_status compile_row(struct reading *reading, struct plan *plan, bool is_key)
{
    const struct avro_type *row;
    enum ods_status status = find_row(reading, plan, &row);
    if (status != ODS_OK)
        return status;
    plan->flattened = !is_key && plan->schema.kind == SCHEMA_ROW;
    if (!layout_of_schema(&plan->layout, &plan->blocks, &plan->schema,
                          plan->flattened ? &reading->self->metadata : NULL))
        return no_memory(reading);
    if (plan->layout.slot_count != row->count)
        return error_set(reading->error, ODS_REJECT, "two fields of the record '%.100s' have the "
                                                     "same name",
                         row->name);
    return avro_row_compile(&plan->avro->row, &plan->blocks, row, &plan->layout)
               ? ODS_OK
               : no_memory(reading);
}

/* A key's schema under a value would be taken for a row of nothing but the key. */
static enum ods_status check_subject(struct reading *reading, const struct schema_texts *texts,
                                     bool is_key)
{
    if (is_key ? !texts->value_only : !texts->key_only)
        return ODS_OK;
    return error_set(reading->error, ODS_REJECT,
                     "it is registered under the subject %s, so it is a %s's, and the record has "
                     "it for its %s",
                     texts->subject, is_key ? "value" : "key", is_key ? "key" : "value");
}

/* Nothing in the records tells NULL, and whoever set up the source should know. */
static void tell_forgetful(const struct reading *reading)
{
    char text[512];
    const struct debezium *self = reading->self;
    if (!reading->topic || self->plain || !self->notice || reading->topic->forgetful)
        return;
    reading->topic->forgetful = true;
    snprintf(text, sizeof text,
             "topic %.200s: no column of its Protobuf schema can be NULL: a NULL of the source "
             "arrives as 0, false or an empty text; set optional.for.nullables=true (or wrapper."
             "for.nullables=true) at its converter",
             reading->topic->name);
    self->notice(self->notice_context, text);
}

/* The message's Avro schema. */
static enum ods_status parse_protobuf(struct reading *reading, struct plan *plan,
                                      const struct schema_texts *texts, bool is_key)
{
    struct avro_plan *avro = plan->avro;
    struct proto_text *files = calloc(texts->count + 1, sizeof *files);
    struct buffer schema;
    buffer_init(&schema);
    avro->protobuf = blocks_alloc(&plan->blocks, sizeof *avro->protobuf);
    enum ods_status status = files && avro->protobuf ? ODS_OK : no_memory(reading);
    for (size_t i = 0; status == ODS_OK && i < texts->count; i++) {
        assert(files);
        files[i] = (struct proto_text){texts->names[i], texts->items[i].bytes,
                                       texts->items[i].length};
    }
    if (status == ODS_OK)
        status = proto_schema_parse(files, texts->count, avro->path, avro->path_length,
                                    !reading->self->plain, &plan->blocks, avro->protobuf, &schema,
                                    reading->error);
    if (status == ODS_OK) {
        const struct slice text = {schema.bytes, schema.length};
        status = avro_schema_parse(&avro->schema, &text, 1, reading->error);
    }
    if (status == ODS_OK && avro->protobuf->forgetful && !is_key)
        tell_forgetful(reading);
    buffer_done(&schema);
    free(files);
    return status;
}

static enum ods_status check_language(struct reading *reading, const struct schema_texts *texts)
{
    const struct debezium *self = reading->self;
    bool protobuf = texts->type == SCHEMA_PROTOBUF;
    if (self->languages & (protobuf ? LANGUAGE_PROTOBUF : LANGUAGE_AVRO))
        return ODS_OK;
    return error_set(reading->error, ODS_REJECT,
                     "it is a schema of type %s, and the pipeline's format reads %s (format: "
                     "%s%s)",
                     protobuf ? "PROTOBUF" : "AVRO", protobuf ? "AVRO" : "PROTOBUF",
                     self->plain ? "" : "debezium-", protobuf ? "protobuf" : "avro");
}

static enum ods_status compile(struct reading *reading, struct plan *plan,
                               const struct schema_texts *texts, bool is_key)
{
    struct avro_plan *avro = plan->avro;
    struct buffer connect;
    buffer_init(&connect);
    enum ods_status status = check_language(reading, texts);
    if (status == ODS_OK)
        status = check_subject(reading, texts, is_key);
    if (status == ODS_OK && texts->type == SCHEMA_PROTOBUF)
        status = parse_protobuf(reading, plan, texts, is_key);
    else if (status == ODS_OK)
        status = avro_schema_parse(&avro->schema, texts->items, texts->count, reading->error);
    if (status == ODS_OK)
        status = avro_connect_schema(avro->schema.root, &connect, reading->error);
    if (status == ODS_OK && avro->schema.root->kind != AVRO_RECORD) {
        avro->scalar = is_key ? strndup(connect.bytes, connect.length) : NULL;
        if (!is_key)
            status = error_set(reading->error, ODS_REJECT,
                               "it is of type %s, expected a record of a row's columns",
                               avro->schema.root->name);
        else if (!avro->scalar)
            status = no_memory(reading);
    } else if (status == ODS_OK) {
        bool rows_only =
            is_key || reading->self->plain || reading->self->shape == SHAPE_FLATTENED;
        status = connect_schema_parse(&plan->schema, &plan->blocks, connect.bytes, connect.length,
                                      rows_only, reading->error);
        if (status == ODS_OK)
            status = compile_row(reading, plan, is_key);
    }
    buffer_done(&connect);
    avro_schema_forget_texts(&avro->schema);
    return status;
}

void avro_plan_free(struct avro_plan *plan)
{
    if (!plan)
        return;
    avro_schema_done(&plan->schema);
    free(plan->refusal);
    free(plan->scalar);
    free(plan);
}

size_t avro_plan_bytes(const struct avro_plan *plan)
{
    return plan ? sizeof *plan + plan->schema.blocks.bytes : 0;
}

/* A schema that can't be used has a plan too, so that each of its records does not compile it. */
static enum ods_status note_refusal(struct reading *reading, struct plan *plan)
{
    char text[SCHEMA_REF_BYTES];
    error_prefix(reading->error, "%s: ", schema_ref_text(&plan->avro->ref, text));
    plan->avro->refusal = strdup(reading->error->text);
    return plan->avro->refusal ? ODS_OK : no_memory(reading);
}

/* A plan of this schema, and of this message where it is in Protobuf. */
static struct plan *learn_plan(struct reading *reading, const struct schema_ref *ref,
                               const struct schema_texts *texts, const uint32_t *path,
                               size_t path_length, bool is_key, enum ods_status *status)
{
    struct plan_list *list = is_key ? &reading->topic->avro_keys : &reading->topic->avro_values;
    struct plan *plan = plan_new(reading->self);
    if (!plan || !(plan->avro = calloc(1, sizeof *plan->avro)))
        goto no_memory;
    plan->schema.name = "";
    plan->avro->ref = *ref;
    plan->avro->path_length = path_length;
    memcpy(plan->avro->path, path, path_length * sizeof *path);
    *status = compile(reading, plan, texts, is_key);
    if (*status == ODS_REJECT)
        *status = note_refusal(reading, plan);
    if (*status != ODS_OK)
        goto failed;
    if (!plan_add(reading->self, list, plan))
        goto no_memory;
    return plan;
no_memory:
    *status = no_memory(reading);
failed:
    plan_free(plan);
    return NULL;
}

/* The message's indexes, which stand before it or in a header. */
static size_t take_path(struct avro_source *source, uint32_t path[PROTO_PATH_MAX])
{
    if (!source->path.bytes)
        return proto_path_read(&source->bytes, &source->length, path);
    return source->path.length
               ? proto_path_read(&source->path.bytes, &source->path.length, path)
               : 0;
}

/* A schema that no record had before, or another message of one. */
static struct plan *ask_plan(struct reading *reading, struct avro_source *source, bool is_key,
                             enum ods_status *status)
{
    struct schema_texts texts;
    uint32_t path[PROTO_PATH_MAX] = {0};
    size_t path_length = 0;
    struct plan *plan = NULL;
    if (!reading->self->registry) {
        *status = error_set(reading->error, ODS_REJECT,
                            "no schema registry is known that could have the record's schema");
        return NULL;
    }
    *status = schema_registry_get(reading->self->registry, &source->ref, &texts, reading->error);
    if (*status != ODS_OK)
        return NULL;
    if (texts.type == SCHEMA_PROTOBUF && !(path_length = take_path(source, path)))
        *status = error_set(reading->error, ODS_REJECT,
                            "the record's %s has a schema in Protobuf, but not the indexes of its "
                            "message behind the id",
                            is_key ? "key" : "value");
    else
        plan = learn_plan(reading, &source->ref, &texts, path, path_length, is_key, status);
    schema_texts_done(&texts);
    return plan;
}

static struct plan *find_or_ask(struct reading *reading, struct avro_source *source, bool is_key,
                                enum ods_status *status)
{
    struct plan_list *list = is_key ? &reading->topic->avro_keys : &reading->topic->avro_values;
    uint32_t at = find_plan(list, &source->ref, NULL, 0);
    if (at < list->count && list->items[at]->avro->path_length) {
        uint32_t path[PROTO_PATH_MAX];
        struct avro_source behind = *source;
        size_t length = take_path(&behind, path);
        at = length ? find_plan(list, &source->ref, path, length) : list->count;
        if (at < list->count)
            *source = behind;
    }
    if (at == list->count)
        return ask_plan(reading, source, is_key, status);
    if (at)
        plan_to_front(list, at);
    return list->items[0];
}

/* Brings the message into its form in Avro. */
static enum ods_status transcribe(struct reading *reading, const struct plan *plan,
                                  struct avro_source *source, bool is_key)
{
    struct proto_problem problem;
    struct proto_room *room = &reading->self->proto;
    char text[SCHEMA_REF_BYTES];
    if (!proto_record_read(room, plan->avro->protobuf, source->bytes, source->length, &problem)) {
        if (problem.out_of_memory)
            return no_memory(reading);
        return error_set(reading->error, ODS_REJECT,
                         "the record's %s is not what its schema says (%s, %.100s): %s%.63s%s%s, "
                         "%zu bytes before its end",
                         is_key ? "key" : "value", schema_ref_text(&plan->avro->ref, text),
                         plan->avro->protobuf->message->name, *problem.field ? "column " : "",
                         problem.field, *problem.field ? ": " : "", problem.what, problem.left);
    }
    source->length = room->out.length;
    source->bytes = arena_strndup(reading->reader.arena, room->out.bytes ? room->out.bytes : "",
                                  room->out.length);
    return source->bytes ? ODS_OK : no_memory(reading);
}

const char *avro_language(const struct reading *reading)
{
    return reading->self->languages & LANGUAGE_AVRO ? "Avro" : "Protobuf";
}

struct plan *avro_plan_of(struct reading *reading, struct avro_source *source, bool is_key,
                          enum ods_status *status)
{
    *status = ODS_OK;
    struct plan *plan = find_or_ask(reading, source, is_key, status);
    if (plan && plan->avro->refusal)
        *status = error_set(reading->error, ODS_REJECT, "%s", plan->avro->refusal);
    else if (plan && plan->avro->protobuf)
        *status = transcribe(reading, plan, source, is_key);
    return *status == ODS_OK ? plan : NULL;
}
