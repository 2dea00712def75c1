/* From the id that a record names to the plan by which it is read.
 *
 * A plan has the columns that the same record has in JSON: its Avro schema is written out as the
 * schema that Kafka Connect has for it, and read as that of a JSON record is. */
#include "format/debezium/debezium_avro.h"

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

/* Confluent's header: 0 and an id, or 1 and a GUID. */
static bool confluent_ref(const struct header *header, struct schema_ref *ref)
{
    if (!header->value || !header->length)
        return false;
    if (header->length == 5 && header->value[0] == 0)
        *ref = (struct schema_ref){SCHEMA_ID, 0, big_endian(header->value + 1, 4)};
    else if (header->length == 17 && header->value[0] == 1)
        *ref = (struct schema_ref){SCHEMA_GUID, big_endian(header->value + 1, 8),
                                   big_endian(header->value + 9, 8)};
    else
        return false;
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
    size_t count =
        batch->headers ? batch->headers(reading->record, few, HEADERS_USUAL) : 0;
    bool found = false;
    if (count > HEADERS_USUAL) {
        headers = arena_alloc(&batch->arena, count * sizeof *headers);
        if (!headers)
            return false;
        count = batch->headers(reading->record, headers, count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct header *header = &headers[i];
        const char *own = apicurio_name(header->name, is_key);
        if (strcmp(header->name, is_key ? "__key_schema_id" : "__value_schema_id") == 0)
            found |= confluent_ref(header, &source->ref);
        else if (strcmp(own, "globalId") == 0)
            found |= apicurio_ref(header, SCHEMA_GLOBAL_ID, &source->ref);
        else if (strcmp(own, "contentId") == 0)
            found |= apicurio_ref(header, SCHEMA_CONTENT_ID, &source->ref);
        else if (strcmp(own, "encoding") == 0 && header->length == 4 && header->value)
            source->json = memcmp(header->value, "JSON", 4) == 0;
    }
    return found;
}

static uint32_t find_plan(const struct plan_list *list, const struct schema_ref *ref)
{
    uint32_t at = 0;
    while (at < list->count && !schema_ref_same(&list->items[at]->avro->ref, ref))
        at++;
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
        behind = (struct avro_source){bytes + 5, length - 5,
                                      {SCHEMA_ID, 0, big_endian(bytes + 1, 4)}, false};
        /* Headers are read only where the id is not one of the topic's: what an id in a header
         * stands for may begin with any bytes, but not with those of a schema that is in use
         * here. */
        if (find_plan(list, &behind.ref) < list->count)
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

static enum ods_status compile(struct reading *reading, struct plan *plan,
                               const struct schema_texts *texts, bool is_key)
{
    struct avro_plan *avro = plan->avro;
    struct buffer connect;
    buffer_init(&connect);
    enum ods_status status = check_subject(reading, texts, is_key);
    if (status == ODS_OK)
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

static struct plan *learn_plan(struct reading *reading, const struct schema_ref *ref, bool is_key,
                               enum ods_status *status)
{
    struct schema_texts texts;
    struct plan_list *list = is_key ? &reading->topic->avro_keys : &reading->topic->avro_values;
    if (!reading->self->registry) {
        *status = error_set(reading->error, ODS_REJECT,
                            "no schema registry is known that could have the record's schema");
        return NULL;
    }
    *status = schema_registry_get(reading->self->registry, ref, &texts, reading->error);
    if (*status != ODS_OK)
        return NULL;
    struct plan *plan = plan_new(reading->self);
    if (!plan || !(plan->avro = calloc(1, sizeof *plan->avro)))
        goto no_memory;
    plan->schema.name = "";
    plan->avro->ref = *ref;
    *status = compile(reading, plan, &texts, is_key);
    if (*status == ODS_REJECT)
        *status = note_refusal(reading, plan);
    if (*status != ODS_OK)
        goto failed;
    if (!plan_add(reading->self, list, plan))
        goto no_memory;
    schema_texts_done(&texts);
    return plan;
no_memory:
    *status = no_memory(reading);
failed:
    schema_texts_done(&texts);
    plan_free(plan);
    return NULL;
}

struct plan *avro_plan_of(struct reading *reading, const struct schema_ref *ref, bool is_key,
                          enum ods_status *status)
{
    struct plan_list *list = is_key ? &reading->topic->avro_keys : &reading->topic->avro_values;
    uint32_t at = find_plan(list, ref);
    struct plan *plan = NULL;
    *status = ODS_OK;
    if (at < list->count) {
        if (at)
            plan_to_front(list, at);
        plan = list->items[0];
    } else {
        plan = learn_plan(reading, ref, is_key, status);
    }
    if (!plan || !plan->avro->refusal)
        return plan;
    *status = error_set(reading->error, ODS_REJECT, "%s", plan->avro->refusal);
    return NULL;
}
