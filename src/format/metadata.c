/* Names of metadata, and headers that have it. */
#include "format/metadata.h"

#include <stdio.h>
#include <string.h>

#include "core/added_field.h"
#include "core/utf8.h"

#define PREFIX_DEFAULT "__"
#define HEADERS_USUAL  32

/* --- names --- */

static const struct {
    const char *name; /* behind the prefix */
    enum meta meta;
} usual[] = {
    {"op", META_OP},
    {"deleted", META_DELETED},
    {"table", META_TABLE},
    {"source_table", META_TABLE},
    {"collection", META_TABLE},
    {"source_collection", META_TABLE},
    {"db", META_DATABASE},
    {"source_db", META_DATABASE},
    {"schema", META_SCHEMA},
    {"source_schema", META_SCHEMA},
    {"connector", META_CONNECTOR},
    {"source_connector", META_CONNECTOR},
    {"source_ts_ms", META_SOURCE_TS_MS},
    {"source_ts_us", META_SOURCE_TS_US},
    {"source_ts_ns", META_SOURCE_TS_NS},
    {"ts_ms", META_TS_MS},
    {"ts_us", META_TS_US},
    {"ts_ns", META_TS_NS},
    {"version", META_OTHER},
    {"name", META_OTHER},
    {"snapshot", META_OTHER},
    {"sequence", META_OTHER},
    {"lsn", META_LSN},
    {"source_lsn", META_LSN},
    {"txId", META_TX},
    {"source_txId", META_TX},
    {"xmin", META_OTHER},
    {"scn", META_OTHER},
    {"commit_scn", META_OTHER},
    {"change_lsn", META_OTHER},
    {"commit_lsn", META_OTHER},
    {"event_serial_no", META_OTHER},
    {"server_id", META_OTHER},
    {"gtid", META_GTID},
    {"source_gtid", META_GTID},
    {"file", META_FILE},
    {"source_file", META_FILE},
    {"pos", META_POS},
    {"source_pos", META_POS},
    {"row", META_ROW},
    {"source_row", META_ROW},
    {"transaction_id", META_TX_ID},
    {"transaction_total_order", META_TX_ORDER},
    {"thread", META_OTHER},
    {"query", META_OTHER},
};

static bool begins_with(const char *name, size_t length, const char *prefix)
{
    size_t count = strlen(prefix);
    return length > count && memcmp(name, prefix, count) == 0;
}

static enum meta find_usual(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strlen(usual[i].name) == length && memcmp(usual[i].name, name, length) == 0)
            return usual[i].meta;
    return begins_with(name, length, "source_") || begins_with(name, length, "transaction_")
               ? META_OTHER
               : META_NONE;
}

/* ExtractNewRecordState gives this field no prefix. */
static bool is_deleted(const char *name, size_t length)
{
    return length == 9 && memcmp(name, "__deleted", 9) == 0;
}

enum meta metadata_find(const struct metadata *metadata, const char *name, size_t length)
{
    for (size_t i = 0; i < metadata->field_count; i++)
        if (metadata->fields[i].length == length &&
            memcmp(metadata->fields[i].name, name, length) == 0)
            return metadata->fields[i].meta;
    if (is_deleted(name, length))
        return META_DELETED;
    if (metadata->configured || length <= metadata->prefix_length ||
        memcmp(name, metadata->prefix, metadata->prefix_length) != 0)
        return META_NONE;
    return find_usual(name + metadata->prefix_length, length - metadata->prefix_length);
}

const char *metadata_op_place(const struct metadata *metadata, char *buffer, size_t size)
{
    for (int headers = 0; headers < 2; headers++) {
        const struct metadata_name *names = headers ? metadata->headers : metadata->fields;
        size_t count = headers ? metadata->header_count : metadata->field_count;
        for (size_t i = 0; i < count; i++) {
            if (names[i].meta != META_OP)
                continue;
            snprintf(buffer, size, "%s%.100s", headers ? "header " : "", names[i].name);
            return buffer;
        }
    }
    snprintf(buffer, size, "%.100sop", metadata->configured ? PREFIX_DEFAULT : metadata->prefix);
    return buffer;
}

/* --- settings --- */

/* What an entry of the list means, independent of its new name. */
static enum meta meaning(const struct added_field *entry)
{
    char name[ADDED_FIELDS_MAX];
    struct added_field unnamed = *entry;
    unnamed.name.length = 0;
    enum meta meta = find_usual(name, added_field_name(&unnamed, name));
    return meta == META_NONE ? META_OTHER : meta;
}

/* False: memory is out. Invalid lists were refused when the configuration was checked. */
static bool read_list(struct metadata *metadata, const char *list, const char *prefix,
                      struct metadata_name **names, size_t *count)
{
    char last[ADDED_FIELDS_MAX];
    struct added_field entry;
    const char *problem;
    size_t capacity = 1, prefix_length = strlen(prefix);
    if (!list || strlen(list) >= ADDED_FIELDS_MAX)
        return true;
    for (const char *at = list; *at; at++)
        capacity += *at == ',';
    *names = blocks_alloc(&metadata->blocks, capacity * sizeof **names);
    if (!*names)
        return false;
    while (added_field_next(&list, &entry, &problem)) {
        size_t length = added_field_name(&entry, last);
        char *name = blocks_alloc(&metadata->blocks, prefix_length + length + 1);
        if (!name)
            return false;
        memcpy(name, prefix, prefix_length);
        memcpy(name + prefix_length, last, length);
        (*names)[(*count)++] =
            (struct metadata_name){name, prefix_length + length, meaning(&entry)};
    }
    return true;
}

bool metadata_init(struct metadata *metadata, const struct metadata_settings *settings)
{
    const char *prefix =
        settings->add_fields_prefix ? settings->add_fields_prefix : PREFIX_DEFAULT;
    const char *header_prefix =
        settings->add_headers_prefix ? settings->add_headers_prefix : PREFIX_DEFAULT;
    *metadata = (struct metadata){.prefix = prefix, .prefix_length = strlen(prefix)};
    if (!read_list(metadata, settings->add_fields, prefix, &metadata->fields,
                   &metadata->field_count) ||
        !read_list(metadata, settings->add_headers, header_prefix, &metadata->headers,
                   &metadata->header_count))
        return false;
    metadata->configured = metadata->field_count || metadata->header_count;
    return true;
}

void metadata_done(struct metadata *metadata)
{
    blocks_done(&metadata->blocks);
}

/* --- headers --- */

/* The payload inside the wrapper of a JsonConverter with schemas; NULL bytes: there is no wrapper.
 */
static struct slice find_payload(struct json_scan scan, struct arena *arena)
{
    struct slice payload = {0};
    bool first = true;
    scan.at++;
    while (json_next_member(&scan, &first)) {
        struct slice name;
        if (!json_name(&scan, arena, &name.bytes, &name.length))
            break;
        const char *start = scan.at;
        if (!json_skip(&scan))
            break;
        if (SLICE_IS(name, "payload"))
            payload = (struct slice){start, (size_t) (scan.at - start)};
    }
    return scan.problem || !json_end(&scan) ? (struct slice){0} : payload;
}

/* A header's text: it stands there as it is (SimpleHeaderConverter, StringConverter), or as JSON,
 * with or without its schema (JsonConverter). NULL bytes: null. */
static struct slice header_text(const struct header *header, struct arena *arena)
{
    struct json_scan scan;
    struct slice text = {header->value, header->value ? header->length : 0}, inner;
    if (!text.length)
        return text;
    json_scan_init(&scan, text.bytes, text.length);
    json_space(&scan);
    if (json_peek(&scan) == '{' && (inner = find_payload(scan, arena)).bytes) {
        text = inner;
        json_scan_init(&scan, text.bytes, text.length);
    }
    if (json_peek(&scan) == '"' && json_string(&scan, arena, &inner.bytes, &inner.length) &&
        json_end(&scan))
        return inner;
    return SLICE_IS(text, "null") ? (struct slice){0} : text;
}

static struct value header_value(enum meta meta, struct slice text)
{
    if (meta >= META_SOURCE_TS_MS)
        return json_number_of(text);
    if (!text.bytes)
        return (struct value){.kind = VALUE_NULL};
    return (struct value){
        .kind = VALUE_TEXT, .length = (uint32_t) text.length, .bytes = text.bytes};
}

static const struct metadata_name *find_header(const struct metadata *metadata, const char *name)
{
    for (size_t i = 0; i < metadata->header_count; i++)
        if (strcmp(metadata->headers[i].name, name) == 0)
            return &metadata->headers[i];
    return NULL;
}

enum ods_status metadata_read_headers(const struct metadata *metadata, struct batch *batch,
                                      const struct record *record, struct value *values,
                                      struct error *error)
{
    struct header few[HEADERS_USUAL], *headers = few;
    size_t count = batch_headers(batch, record, few, HEADERS_USUAL);
    if (count > HEADERS_USUAL) {
        headers = arena_alloc(&batch->arena, count * sizeof *headers);
        if (!headers)
            return error_out_of_memory(error);
        count = batch_headers(batch, record, headers, count);
    }
    /* If several have the same name, the last one is the newest. */
    while (count--) {
        const struct metadata_name *known = find_header(metadata, headers[count].name);
        if (!known || known->meta == META_OTHER || values[known->meta].kind > VALUE_NULL)
            continue;
        struct slice text = header_text(&headers[count], &batch->arena);
        if (text.length && (text.length > UINT32_MAX || !utf8_valid(text.bytes, text.length)))
            return error_set(error, ODS_REJECT, "the record's header %.63s is not UTF-8 text",
                             known->name);
        values[known->meta] = header_value(known->meta, text);
    }
    return ODS_OK;
}
