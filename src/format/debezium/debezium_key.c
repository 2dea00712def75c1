/* Keys: objects with the key's columns, single values, and keys that can't be read; and tombstones,
 * which have only a key. */
#include "format/debezium/debezium.h"

#include <string.h>

#include "core/utf8.h"

/* --- a record's key --- */

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
            /* An object without members counts as no key. */
            reading->key = plan->layout.column_count ? plan : NULL;
            return ODS_OK;
        }
        if (answer == LAYOUT_BAD)
            return scan->problem ? scan_error(reading, scan, "key") : ODS_REJECT;
        plan = NULL;
    }
    return error_set(reading->error, ODS_REJECT, "the record's key can't be read");
}

struct slice key_quote(struct arena *arena, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    char *start = arena_alloc(arena, length * 6 + 2), *at = start;
    if (!start)
        return (struct slice){0};
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) text[i];
        if (byte == '"' || byte == '\\') {
            *at++ = '\\';
            *at++ = (char) byte;
        } else if (byte < 0x20) {
            memcpy(at, "\\u00", 4);
            at[4] = hex[byte >> 4];
            at[5] = hex[byte & 15];
            at += 6;
        } else {
            *at++ = (char) byte;
        }
    }
    *at++ = '"';
    return (struct slice){start, (size_t) (at - start)};
}

#define JAVA_OBJECT "the text of a Java object (as Struct{…}), which can't be read back"

/* Struct{id=42}: written by Java's toString(), whose text is ambiguous and can't be read back. */
static bool is_java_object(const char *text, size_t length)
{
    size_t name = 0;
    while (name < length && ((text[name] >= 'a' && text[name] <= 'z') ||
                             (text[name] >= 'A' && text[name] <= 'Z') || text[name] == '.'))
        name++;
    return name && name < length && text[name] == '{' && text[length - 1] == '}';
}

static bool is_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return utf8_valid(text, length);
}

/* It is not JSON: the text itself is the value, as the StringConverter writes it. */
static enum ods_status read_raw(struct reading *reading)
{
    const char *key = reading->record->key;
    size_t length = reading->record->key_length;
    if (*key == '[' || is_java_object(key, length)) {
        reading->key_problem = JAVA_OBJECT;
    } else if (!is_text(key, length)) {
        reading->key_problem = "bytes that are not text";
    } else {
        reading->key_problem = "text that is not JSON";
        reading->scalar = key_quote(reading->reader.arena, key, length);
        if (!reading->scalar.bytes)
            return no_memory(reading);
    }
    return ODS_OK;
}

/* A key that is not an object: a single value, null, or something that can't be read. */
static enum ods_status read_other(struct reading *reading, struct json_scan *scan,
                                  const struct payload *payload)
{
    const char *start = scan->at, first = json_peek(scan);
    if (!json_skip(scan))
        return read_raw(reading);
    const char *end = scan->at;
    if (!payload_close(scan, payload))
        return read_raw(reading);
    if (first == 'n')
        return ODS_OK;
    if (first == '[') {
        reading->key_problem = "a JSON array";
        return ODS_OK;
    }
    if (first == '"' && is_java_object(start + 1, (size_t) (end - start) - 2)) {
        reading->key_problem = JAVA_OBJECT;
        return ODS_OK;
    }
    reading->key_problem = first == '"' ? "a JSON string" : "a single value";
    reading->scalar = (struct slice){start, (size_t) (end - start)};
    if (payload->schema.bytes && *payload->schema.bytes == '{')
        reading->scalar_schema = payload->schema;
    return ODS_OK;
}

enum ods_status key_read(struct reading *reading)
{
    const struct record *record = reading->record;
    struct json_scan scan;
    struct payload payload;
    if (!record->key || !record->key_length)
        return ODS_OK;
    const struct slice key = json_of_record(record->key, record->key_length);
    json_scan_init(&scan, key.bytes, key.length);
    json_space(&scan);
    enum ods_status status = payload_open(reading, &scan, &reading->topic->keys, true, &payload);
    if (status != ODS_OK) {
        error_prefix(reading->error, "key: ");
        return status;
    }
    if (json_peek(&scan) != '{')
        return read_other(reading, &scan, &payload);
    status = read_key_object(reading, &scan, &payload);
    if (status == ODS_OK && !payload_close(&scan, &payload))
        return scan_error(reading, &scan, "key");
    return status;
}

/* --- a single value --- */

/* The pieces, one after the other; NULL bytes: memory is out. */
static struct slice join(struct arena *arena, const struct slice *pieces, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += pieces[i].length;
    char *text = arena_alloc(arena, length + 1), *at = text;
    for (size_t i = 0; text && i < count; at += pieces[i++].length)
        memcpy(at, pieces[i].bytes, pieces[i].length);
    return (struct slice){text, length};
}

#define TEXT(literal) ((struct slice){literal, sizeof(literal) - 1})

/* 42 is read as {"<column>":42}, and a schema of its own as that of a struct's field. */
static enum ods_status read_scalar(struct reading *reading, const char *column)
{
    struct arena *arena = reading->reader.arena;
    struct payload payload = {0};
    struct json_scan scan;
    enum ods_status status = ODS_OK;
    struct slice name = key_quote(arena, column, strlen(column)), schema = reading->scalar_schema;
    if (!name.bytes)
        return no_memory(reading);
    struct slice object =
        join(arena, (struct slice[]){TEXT("{"), name, TEXT(":"), reading->scalar, TEXT("}")}, 5);
    if (schema.bytes) {
        schema.length--; /* its brace */
        schema = join(arena,
                      (struct slice[]){TEXT("{\"type\":\"struct\",\"fields\":["), schema,
                                       TEXT(",\"field\":"), name, TEXT("}]}")},
                      5);
        if (!schema.bytes)
            return no_memory(reading);
        payload.plan = plan_of_schema(reading, &reading->topic->keys, schema, true, &status);
    }
    if (!object.bytes)
        return no_memory(reading);
    json_scan_init(&scan, object.bytes, object.length);
    if (status == ODS_OK)
        status = read_key_object(reading, &scan, &payload);
    if (status != ODS_OK)
        error_prefix(reading->error, "key: ");
    return status;
}

bool key_resolve(struct reading *reading, const struct identity *identity, enum ods_status *status)
{
    *status = ODS_OK;
    if (!reading->scalar.bytes || reading->key)
        return true;
    const struct table_settings *table = identity_settings(reading, identity);
    if (!table || table->key.count != 1)
        return true;
    *status = read_scalar(reading, table->key.items[0]);
    if (*status == ODS_OK)
        reading->key_problem = NULL;
    return *status == ODS_OK;
}

static bool shape_has(const struct shape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return true;
    return false;
}

bool key_may_be_bad(struct reading *reading, const struct shape *shape)
{
    const char *schema = *shape->schema ? shape->schema : shape->database;
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    const struct table_settings *table =
        pipeline ? pipeline_table(pipeline, schema, shape->table) : NULL;
    if (table && table->skip)
        return true;
    if (!table || !table->key.count) {
        error_set(reading->error, ODS_REJECT,
                  "the record's key is %s, expected a JSON object with the key's columns; set "
                  "key.converter to the JSON converter at the source, or name the key in "
                  "tables.yaml (key: [column])",
                  reading->key_problem);
        return false;
    }
    for (size_t i = 0; i < table->key.count; i++) {
        if (shape_has(shape, table->key.items[i]))
            continue;
        error_set(reading->error, ODS_REJECT,
                  "the record's key is %s, and its value has no column \"%.63s\", which "
                  "tables.yaml names in the key; set key.converter to the JSON converter at the "
                  "source",
                  reading->key_problem, table->key.items[i]);
        return false;
    }
    return true;
}

/* --- tombstones --- */

static bool is_ignored(const struct table_settings *table)
{
    return table && (table->on_tombstone == ON_TOMBSTONE_IGNORE ||
                     table->on_delete == ON_DELETE_IGNORE || table->skip);
}

/* The table of a tombstone, and its time if a header has it. ODS_REJECT: the table can't be told.
 */
static enum ods_status find_tombstone(struct reading *reading, struct identity *identity,
                                      bool *derived, int64_t *time)
{
    const struct metadata *metadata = &reading->self->metadata;
    struct value meta[META_COUNT] = {0};
    if (metadata->header_count) {
        enum ods_status status = metadata_read_headers(metadata, reading->batch, reading->record,
                                                       meta, reading->error);
        if (status != ODS_OK)
            return status;
    }
    *identity = row_identity(meta);
    *time = row_time(meta);
    *derived = false;
    bool named = identity->table.length ? identity_complete(reading, NULL, identity)
                                        : identity_of_tombstone(reading, identity, derived);
    return named ? ODS_OK : ODS_REJECT;
}

enum ods_status tombstone_read(struct reading *reading)
{
    struct identity identity;
    bool derived = false;
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    int64_t ms = reading->record->timestamp_ms, time = INT64_MIN;
    enum ods_status status = ODS_OK;
    reading->tells = TELLS_NOTHING;
    bool again = !reading->batch->apart && deletes_has(&reading->topic->deletes, reading->record);
    if (!again)
        status = find_tombstone(reading, &identity, &derived, &time);
    if (status != ODS_OK && status != ODS_REJECT)
        return status;
    bool named = !again && status == ODS_OK;
    if (again || is_ignored(named      ? identity_settings(reading, &identity)
                            : pipeline ? &pipeline->defaults
                                       : NULL)) {
        error_init(reading->error);
        reading->pass = PASS_TOMBSTONE;
        return ODS_OK;
    }
    if (!named)
        return ODS_REJECT;
    if (time == INT64_MIN && (ms < 0 || __builtin_mul_overflow(ms, INT64_C(1000), &time)))
        time = INT64_MIN;
    status = change_append_key(reading, &identity, time);
    if (status == ODS_OK)
        reading->batch->changes[reading->batch->change_count - 1].derived = derived;
    return status;
}
