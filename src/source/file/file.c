/* kcat's JSON lines to records. */
#include "source/file/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/json_scan.h"

struct topic_name {
    struct topic_name *next;
    char name[];
};

struct file_source {
    FILE *file;
    const char *path;
    char *line;
    size_t line_capacity;
    uint64_t line_number;
    struct topic_name *topics; /* handed out: they outlive every batch */
};

/* Headers of one record, in the arena: what record->owner points to. */
struct header_list {
    size_t count;
    struct header items[];
};

enum ods_status file_open(struct file_source **source, const char *path, struct error *error)
{
    bool standard_input = strcmp(path, "-") == 0;
    struct file_source *self = calloc(1, sizeof *self);
    *source = NULL;
    if (!self)
        return error_set(error, ODS_FATAL, "out of memory");
    self->path = standard_input ? "standard input" : path;
    self->file = standard_input ? stdin : fopen(path, "re");
    if (!self->file) {
        free(self);
        return error_set(error, ODS_FATAL, "%s: %s", path, strerror(errno));
    }
    *source = self;
    return ODS_OK;
}

void file_close(struct file_source *source)
{
    if (!source)
        return;
    if (source->file != stdin)
        fclose(source->file);
    for (struct topic_name *topic = source->topics, *next; topic; topic = next) {
        next = topic->next;
        free(topic);
    }
    free(source->line);
    free(source);
}

uint64_t file_line(const struct file_source *source)
{
    return source->line_number;
}

static const char *intern_topic(struct file_source *source, struct slice name)
{
    struct topic_name **link = &source->topics, *topic;
    for (; (topic = *link); link = &topic->next) {
        if (strlen(topic->name) != name.length || memcmp(topic->name, name.bytes, name.length) != 0)
            continue;
        *link = topic->next; /* the most recent stands first */
        break;
    }
    if (!topic) {
        topic = calloc(1, sizeof *topic + name.length + 1);
        if (!topic)
            return NULL;
        memcpy(topic->name, name.bytes, name.length);
    }
    topic->next = source->topics;
    source->topics = topic;
    return topic->name;
}

static bool no_memory(struct json_scan *scan)
{
    scan->out_of_memory = true;
    return json_fail(scan, "out of memory");
}

/* --- headers --- */

static size_t file_headers(const struct record *record, struct header *headers, size_t max)
{
    const struct header_list *list = record->owner;
    if (!list)
        return 0;
    for (size_t i = 0; i < list->count && i < max; i++)
        headers[i] = list->items[i];
    return list->count;
}

static size_t count_strings(struct json_scan scan, struct arena *arena)
{
    size_t count = 0, length;
    const char *text;
    scan.at++;
    for (;; count++) {
        json_space(&scan);
        if (json_peek(&scan) == '"' ? !json_string(&scan, arena, &text, &length)
                                    : json_peek(&scan) == ']' || !json_skip(&scan))
            return count;
        json_take(&scan, ',');
    }
}

/* A string or null. */
static bool read_text(struct json_scan *scan, struct arena *arena, struct slice *text)
{
    *text = (struct slice){0};
    json_space(scan);
    if (json_peek(scan) == 'n')
        return json_word(scan, "null", 4);
    return json_string(scan, arena, &text->bytes, &text->length);
}

/* ["name", "value", "name", null, …] */
static bool read_headers(struct json_scan *scan, struct arena *arena, struct header_list **list)
{
    if (json_peek(scan) == 'n')
        return json_word(scan, "null", 4);
    if (json_peek(scan) != '[')
        return json_fail(scan, "headers that are no array");
    size_t pairs = count_strings(*scan, arena) / 2;
    struct header_list *headers =
        arena_alloc(arena, sizeof *headers + pairs * sizeof(struct header));
    if (!headers)
        return no_memory(scan);
    headers->count = 0;
    scan->at++;
    if (!json_take(scan, ']')) {
        do {
            struct slice name, value;
            if (!read_text(scan, arena, &name) || !json_take(scan, ',') ||
                !read_text(scan, arena, &value) || !name.bytes || headers->count == pairs)
                return json_fail(scan, "headers that are no list of names and values");
            struct header *header = &headers->items[headers->count++];
            *header = (struct header){.name = arena_strndup(arena, name.bytes, name.length),
                                      .value = value.bytes,
                                      .length = value.length};
            if (!header->name)
                return no_memory(scan);
        } while (json_take(scan, ','));
        if (!json_take(scan, ']'))
            return json_fail(scan, "headers that are no list of names and values");
    }
    *list = headers;
    return true;
}

/* --- lines --- */

/* A line's members, in any order. */
struct line {
    struct slice topic, key, value;
    struct value partition, offset, timestamp;
    struct header_list *headers;
};

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
        return no_memory(scan);
    return base64_decode(text.bytes, text.length, decoded, &bytes->length) ||
           json_fail(scan, "a member that is not base64");
}

static bool read_integer(struct json_scan *scan, struct value *value)
{
    if (!json_number(scan, value))
        return false;
    return value->kind == VALUE_INT || json_fail(scan, "a number that is no integer");
}

static bool read_member(struct json_scan *scan, struct arena *arena, struct slice name,
                        struct line *line)
{
    if (SLICE_IS(name, "topic"))
        return read_text(scan, arena, &line->topic);
    if (SLICE_IS(name, "partition"))
        return read_integer(scan, &line->partition);
    if (SLICE_IS(name, "offset"))
        return read_integer(scan, &line->offset);
    if (SLICE_IS(name, "ts"))
        return read_integer(scan, &line->timestamp);
    if (SLICE_IS(name, "headers"))
        return read_headers(scan, arena, &line->headers);
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

static bool read_line(struct json_scan *scan, struct arena *arena, struct line *line)
{
    bool first = true;
    json_space(scan);
    if (json_peek(scan) != '{')
        return json_fail(scan, "expected an object");
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, arena, &name.bytes, &name.length) ||
            !read_member(scan, arena, name, line))
            return false;
    }
    if (scan->problem || !json_end(scan))
        return false;
    if (!line->topic.length || memchr(line->topic.bytes, '\0', line->topic.length))
        return json_fail(scan, "no topic");
    if (line->partition.kind != VALUE_INT || line->offset.kind != VALUE_INT ||
        line->partition.integer < 0 || line->partition.integer > INT32_MAX ||
        line->offset.integer < 0 || line->offset.integer == INT64_MAX)
        return json_fail(scan, "no partition and offset");
    return true;
}

static enum ods_status add_record(struct file_source *source, struct batch *batch,
                                  const struct line *line, struct error *error)
{
    const char *topic = intern_topic(source, line->topic);
    struct record *record = topic ? batch_add_record(batch) : NULL;
    if (!record)
        return error_set(error, ODS_FATAL, "out of memory");
    *record = (struct record){
        .topic = topic,
        .partition = (int32_t) line->partition.integer,
        .offset = line->offset.integer,
        .timestamp_ms = line->timestamp.kind == VALUE_INT ? line->timestamp.integer : -1,
        .key = line->key.bytes,
        .key_length = line->key.length,
        .value = line->value.bytes,
        .value_length = line->value.length,
        .owner = line->headers, /* in the arena: nothing to release */
    };
    batch->headers = file_headers;
    batch->release = NULL;
    batch->payload_bytes += record->key_length + record->value_length;
    return ODS_OK;
}

/* The next line that is not empty, copied into the arena so that records outlive the next call. */
static enum ods_status next_line(struct file_source *source, struct arena *arena,
                                 struct json_scan *scan, bool *end, struct error *error)
{
    for (;;) {
        errno = 0;
        ssize_t length = getline(&source->line, &source->line_capacity, source->file);
        if (length < 0 && (ferror(source->file) || errno == ENOMEM))
            return error_set(error, ODS_FATAL, "%s: %s", source->path, strerror(errno));
        *end = length < 0;
        if (*end)
            return ODS_OK;
        source->line_number++;
        while (length && json_blank(source->line[length - 1]))
            length--;
        if (!length)
            continue;
        char *copy = arena_strndup(arena, source->line, (size_t) length);
        if (!copy)
            return error_set(error, ODS_FATAL, "out of memory");
        json_scan_init(scan, copy, (size_t) length);
        scan->any_bytes = true; /* kcat writes a payload's bytes as they are */
        return ODS_OK;
    }
}

enum ods_status file_read(struct file_source *source, struct batch *batch, bool *end,
                          struct error *error)
{
    struct json_scan scan;
    struct line line = {0};
    enum ods_status status = next_line(source, &batch->arena, &scan, end, error);
    if (status != ODS_OK || *end)
        return status;
    if (read_line(&scan, &batch->arena, &line))
        return add_record(source, batch, &line, error);
    if (scan.out_of_memory)
        return error_set(error, ODS_FATAL, "out of memory");
    return error_set(error, ODS_REJECT, "%s line %llu: not a record: %s at byte %zu", source->path,
                     (unsigned long long) source->line_number, scan.problem,
                     (size_t) (scan.at - scan.start));
}
