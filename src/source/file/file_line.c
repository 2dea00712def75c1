/* From JSON to a record. See file_line.h. */
#include "source/file/file_line.h"

#include <stdlib.h>
#include <string.h>

#include "core/base64.h"

struct file_headers {
    size_t count;
    struct header items[];
};

/* A line's members, in any order. */
struct members {
    struct file_line *line;
    struct value partition, offset, timestamp;
};

/* A string or null. */
static bool read_text(struct json_scan *scan, struct arena *arena, struct slice *text)
{
    *text = (struct slice){0};
    json_space(scan);
    if (json_peek(scan) == 'n')
        return json_word(scan, "null", 4);
    return json_string(scan, arena, &text->bytes, &text->length);
}

static bool read_base64(struct json_scan *scan, struct arena *arena, struct slice *bytes)
{
    struct slice text;
    if (!read_text(scan, arena, &text))
        return false;
    *bytes = text;
    if (!text.bytes)
        return true;
    unsigned char *decoded = arena_alloc(arena, BASE64_DECODED_MAX(text.length) + 1);
    bytes->bytes = (char *) decoded;
    if (!decoded)
        return json_no_memory(scan);
    return base64_decode(text.bytes, text.length, decoded, &bytes->length) ||
           json_fail(scan, "a member that is not base64");
}

/* How many values there are in an array, and in the arrays within it. */
static size_t count_values(struct json_scan scan, struct arena *arena)
{
    size_t count = 0, length;
    const char *text;
    for (int depth = 0;;) {
        json_space(&scan);
        char byte = json_peek(&scan);
        if (byte == '[' || byte == ']') {
            depth += byte == '[' ? 1 : -1;
            scan.at++;
            if (!depth || depth > 2)
                return count;
        } else if (byte == ',') {
            scan.at++;
        } else if (byte == '"' ? json_string(&scan, arena, &text, &length) : json_skip(&scan)) {
            count++;
        } else {
            return count;
        }
    }
}

/* "name", "value" */
static bool read_header(struct json_scan *scan, struct arena *arena, bool base64,
                        struct header *header)
{
    struct slice name, value;
    if (!read_text(scan, arena, &name) || !json_take(scan, ',') || !name.bytes ||
        !(base64 ? read_base64(scan, arena, &value) : read_text(scan, arena, &value)))
        return json_fail(scan, "headers that are no list of names and values");
    *header = (struct header){.name = arena_strndup(arena, name.bytes, name.length),
                              .value = value.bytes,
                              .length = value.length};
    return header->name || json_no_memory(scan);
}

/* ["name", "value", "name", null, …], as kcat writes them, or [["name", "value"], …] */
static bool read_headers(struct json_scan *scan, struct arena *arena, bool base64,
                         struct file_headers **list)
{
    json_space(scan);
    if (json_peek(scan) == 'n')
        return json_word(scan, "null", 4);
    if (json_peek(scan) != '[')
        return json_fail(scan, "headers that are no array");
    size_t pairs = count_values(*scan, arena) / 2;
    struct file_headers *headers =
        arena_alloc(arena, sizeof *headers + pairs * sizeof(struct header));
    if (!headers)
        return json_no_memory(scan);
    headers->count = 0;
    scan->at++;
    if (!json_take(scan, ']')) {
        do {
            bool pair = json_take(scan, '[');
            if (headers->count == pairs ||
                !read_header(scan, arena, base64, &headers->items[headers->count++]) ||
                (pair && !json_take(scan, ']')))
                return json_fail(scan, "headers that are no list of names and values");
        } while (json_take(scan, ','));
        if (!json_take(scan, ']'))
            return json_fail(scan, "headers that are no list of names and values");
    }
    *list = headers;
    return true;
}

static bool read_integer(struct json_scan *scan, struct value *value)
{
    if (!json_number(scan, value))
        return false;
    return value->kind == VALUE_INT || json_fail(scan, "a number that is no integer");
}

static bool read_member(struct json_scan *scan, struct arena *arena, struct slice name,
                        struct members *members)
{
    struct file_line *line = members->line;
    if (SLICE_IS(name, "topic"))
        return read_text(scan, arena, &line->topic);
    if (SLICE_IS(name, "partition"))
        return read_integer(scan, &members->partition);
    if (SLICE_IS(name, "offset"))
        return read_integer(scan, &members->offset);
    if (SLICE_IS(name, "ts"))
        return read_integer(scan, &members->timestamp);
    if (SLICE_IS(name, "headers"))
        return read_headers(scan, arena, false, &line->headers);
    if (SLICE_IS(name, "headers_b64"))
        return read_headers(scan, arena, true, &line->headers);
    if (SLICE_IS(name, "key"))
        return read_text(scan, arena, &line->key);
    if (SLICE_IS(name, "payload") || SLICE_IS(name, "value"))
        return read_text(scan, arena, &line->value);
    if (SLICE_IS(name, "key_b64"))
        return read_base64(scan, arena, &line->key);
    if (SLICE_IS(name, "value_b64"))
        return read_base64(scan, arena, &line->value);
    return json_skip(scan);
}

static bool read_members(struct json_scan *scan, struct arena *arena, struct members *members)
{
    bool first = true;
    json_space(scan);
    if (json_peek(scan) != '{')
        return json_fail(scan, "expected an object");
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, arena, &name.bytes, &name.length) ||
            !read_member(scan, arena, name, members))
            return false;
    }
    return !scan->problem && json_end(scan);
}

static bool check_place(struct json_scan *scan, const struct members *members)
{
    struct file_line *line = members->line;
    const struct value *partition = &members->partition, *offset = &members->offset;
    if (!line->topic.length || memchr(line->topic.bytes, '\0', line->topic.length))
        return json_fail(scan, "no topic");
    if (partition->kind != VALUE_INT || offset->kind != VALUE_INT || partition->integer < 0 ||
        partition->integer > INT32_MAX || offset->integer < 0 || offset->integer == INT64_MAX)
        return json_fail(scan, "no partition and offset");
    line->partition = (int32_t) partition->integer;
    line->offset = offset->integer;
    line->timestamp_ms = members->timestamp.kind == VALUE_INT ? members->timestamp.integer : -1;
    return true;
}

enum ods_status file_line_read(struct file_line *line, struct slice text, struct arena *arena,
                               struct error *error)
{
    struct members members = {.line = line};
    struct json_scan scan;
    *line = (struct file_line){0};
    json_scan_init(&scan, text.bytes, text.length);
    scan.any_bytes = true; /* kcat writes a payload's bytes as they are */
    if (read_members(&scan, arena, &members) && check_place(&scan, &members))
        return ODS_OK;
    if (scan.out_of_memory)
        return error_set(error, ODS_RETRY, "out of memory for a record of %zu bytes", text.length);
    return error_set(error, ODS_REJECT, "not a record: %s at byte %zu", scan.problem,
                     (size_t) (scan.at - scan.start));
}

/* --- a record of its own --- */

static char *put(char **room, const char *bytes, size_t length)
{
    char *at = *room;
    if (length)
        memcpy(at, bytes, length);
    *room = at + length;
    return at;
}

bool file_line_record(const struct file_line *line, struct record *record)
{
    size_t count = line->headers ? line->headers->count : 0;
    size_t bytes = line->key.length + line->value.length;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(line->headers->items[i].name) + 1 + line->headers->items[i].length;
    struct file_headers *own = malloc(sizeof *own + count * sizeof *own->items + bytes);
    if (!own)
        return false;
    char *room = (char *) &own->items[count];
    own->count = count;
    *record = (struct record){
        .partition = line->partition,
        .offset = line->offset,
        .timestamp_ms = line->timestamp_ms,
        .key = line->key.bytes ? put(&room, line->key.bytes, line->key.length) : NULL,
        .key_length = line->key.length,
        .value = line->value.bytes ? put(&room, line->value.bytes, line->value.length) : NULL,
        .value_length = line->value.length,
        .owner = own,
    };
    for (size_t i = 0; i < count; i++) {
        const struct header *header = &line->headers->items[i];
        own->items[i] = (struct header){
            .name = put(&room, header->name, strlen(header->name) + 1),
            .value = header->value ? put(&room, header->value, header->length) : NULL,
            .length = header->length};
    }
    return true;
}

size_t file_line_headers(const struct record *record, struct header *headers, size_t max)
{
    const struct file_headers *list = record->owner;
    if (!list)
        return 0;
    for (size_t i = 0; i < list->count && i < max; i++)
        headers[i] = list->items[i];
    return list->count;
}
