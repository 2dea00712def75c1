/* Values within values: skipped, or written as the JSON that JsonConverter writes. Everything
 * is checked against the record's end, and a block can't say that it has more items than there are
 * bytes, or than IDLE_ITEMS_MAX where they take none. */
#include <stdio.h>
#include <string.h>

#include <ods/json.h>

#include "core/base64.h"
#include "core/text_nested.h"
#include "core/utf8.h"
#include "format/avro/avro_schema.h"

#define JSON_BYTES_MAX ((size_t) 64 * 1024 * 1024) /* of one value */
#define IDLE_ITEMS_MAX 100 /* items of a block that take no byte: nulls, records of no fields */

bool avro_long_slow(struct avro_scan *scan, int64_t *number)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (scan->at == scan->end)
            return avro_fail(scan, "it ends in the middle of a number");
        unsigned char byte = *scan->at++;
        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *number = (int64_t) (bits >> 1) ^ -(int64_t) (bits & 1);
            return true;
        }
    }
    return avro_fail(scan, "a number of more than 64 bits");
}

static bool take(struct avro_scan *scan, size_t count, const unsigned char **bytes)
{
    if ((size_t) (scan->end - scan->at) < count)
        return avro_fail(scan, "it ends in the middle of a value");
    *bytes = scan->at;
    scan->at += count;
    return true;
}

static bool take_branch(struct avro_scan *scan, const struct avro_type *type,
                        const struct avro_type **branch)
{
    int64_t index;
    if (!avro_long(scan, &index))
        return false;
    if (index < 0 || index >= type->count)
        return avro_fail(scan, "a union's branch that its schema does not have");
    *branch = type->branches[index];
    return true;
}

/* How many items the next block has; 0: there is no other. *bytes: what they take, where it is
 * said, else -1. */
static bool take_block(struct avro_scan *scan, const struct avro_type *type, int64_t *count,
                       int64_t *bytes)
{
    *bytes = -1;
    if (!avro_long(scan, count))
        return false;
    if (*count < 0) {
        if (*count == INT64_MIN || !avro_long(scan, bytes))
            return avro_fail(scan, "a block of too many items");
        *count = -*count;
        if (*bytes < 0 || *bytes > scan->end - scan->at)
            return avro_fail(scan, "a block that is longer than the record");
    }
    if (*count > scan->end - scan->at)
        return avro_fail(scan, "a block of more items than there are bytes");
    if (type->kind == AVRO_ARRAY && !type->items->least && *count > IDLE_ITEMS_MAX)
        return avro_fail(scan, "a block of more than 100 items that take no byte");
    return true;
}

static bool skip_items(struct avro_scan *scan, const struct avro_type *type)
{
    int64_t count, bytes;
    const char *key;
    size_t length;
    while (take_block(scan, type, &count, &bytes) && count) {
        if (bytes >= 0) {
            scan->at += bytes;
            continue;
        }
        for (; count; count--)
            if ((type->kind == AVRO_MAP && !avro_bytes(scan, &key, &length)) ||
                !avro_skip(scan, type->items))
                return false;
    }
    return !scan->problem;
}

bool avro_skip(struct avro_scan *scan, const struct avro_type *type)
{
    int64_t number;
    const unsigned char *ignored;
    const char *bytes;
    size_t length;
    switch (type->kind) {
    case AVRO_NULL:
        return true;
    case AVRO_BOOLEAN:
        return take(scan, 1, &ignored);
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        return avro_long(scan, &number);
    case AVRO_FLOAT:
        return take(scan, 4, &ignored);
    case AVRO_DOUBLE:
        return take(scan, 8, &ignored);
    case AVRO_BYTES:
    case AVRO_STRING:
        return avro_bytes(scan, &bytes, &length);
    case AVRO_FIXED:
        return take(scan, type->size, &ignored);
    case AVRO_RECORD:
        for (uint32_t i = 0; i < type->count; i++)
            if (!avro_skip(scan, type->fields[i].type))
                return false;
        return true;
    case AVRO_ARRAY:
    case AVRO_MAP:
        return skip_items(scan, type);
    case AVRO_UNION:
        return take_branch(scan, type, &type) && avro_skip(scan, type);
    }
    return avro_fail(scan, "a type that is not known");
}

/* --- JSON --- */

static bool put_text(struct avro_scan *scan, struct buffer *out, const char *text, size_t length)
{
    if (!utf8_valid(text, length))
        return avro_fail(scan, "a string that is not UTF-8");
    json_quote(out, text, length);
    return true;
}

static bool put_base64(struct buffer *out, const void *bytes, size_t length)
{
    buffer_puts(out, "\"");
    char *text = buffer_take(out, BASE64_ENCODED(length));
    if (text)
        base64_encode(bytes, length, text);
    buffer_puts(out, "\"");
    return true;
}

static bool put_real(struct avro_scan *scan, struct buffer *out, int bits)
{
    const unsigned char *bytes;
    float single;
    double real;
    if (!take(scan, (size_t) bits / 8, &bytes))
        return false;
    if (bits == 32) {
        memcpy(&single, bytes, sizeof single);
        real = (double) single;
    } else {
        memcpy(&real, bytes, sizeof real);
    }
    bool word = real - real != 0; /* NaN and the infinities */
    buffer_puts(out, word ? "\"" : "");
    text_real(out, real, bits);
    buffer_puts(out, word ? "\"" : "");
    return true;
}

static bool put_fields(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    buffer_puts(out, "{");
    for (uint32_t i = 0; i < type->count; i++) {
        const struct avro_field *field = &type->fields[i];
        buffer_puts(out, i ? "," : "");
        if (!put_text(scan, out, field->name, strlen(field->name)))
            return false;
        buffer_puts(out, ":");
        if (!avro_json(scan, field->type, out))
            return false;
    }
    buffer_puts(out, "}");
    return true;
}

/* The key and the value of a map whose keys are not strings. */
static bool put_entry(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    buffer_puts(out, "[");
    if (!avro_json(scan, type->fields[0].type, out))
        return false;
    buffer_puts(out, ",");
    if (!avro_json(scan, type->fields[1].type, out))
        return false;
    buffer_puts(out, "]");
    return true;
}

static bool put_item(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    const char *key;
    size_t length;
    if (type->entries)
        return put_entry(scan, type->items, out);
    if (type->kind == AVRO_MAP) {
        if (!avro_bytes(scan, &key, &length) || !put_text(scan, out, key, length))
            return false;
        buffer_puts(out, ":");
    }
    return avro_json(scan, type->items, out);
}

static bool put_items(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    int64_t count, bytes;
    bool first = true, map = type->kind == AVRO_MAP;
    buffer_puts(out, map ? "{" : "[");
    while (take_block(scan, type, &count, &bytes) && count) {
        const unsigned char *end = bytes >= 0 ? scan->at + bytes : NULL;
        for (; count; count--) {
            buffer_puts(out, first ? "" : ",");
            first = false;
            if (!put_item(scan, type, out))
                return false;
        }
        if (end && scan->at != end)
            return avro_fail(scan, "a block that is not as long as it says");
    }
    buffer_puts(out, map ? "}" : "]");
    return !scan->problem;
}

static bool put_union(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    const struct avro_type *branch;
    if (!take_branch(scan, type, &branch))
        return false;
    if (branch->kind == AVRO_NULL || type->shown != UNION_STRUCT)
        return avro_json(scan, branch, out);
    buffer_puts(out, "{");
    if (!put_text(scan, out, branch->name, strlen(branch->name)))
        return false;
    buffer_puts(out, ":");
    if (!avro_json(scan, branch, out))
        return false;
    buffer_puts(out, "}");
    return true;
}

void avro_special_text(const struct avro_type *type, const unsigned char *bytes, char *text)
{
    const size_t size = AVRO_SPECIAL_BYTES;
    if (type->special == SPECIAL_UUID) {
        const unsigned char *b = bytes;
        snprintf(text, size,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                 b[15]);
        return;
    }
    uint32_t parts[3]; /* little-endian: months, days, milliseconds */
    for (int i = 0; i < 3; i++)
        parts[i] = (uint32_t) bytes[4 * i] | (uint32_t) bytes[4 * i + 1] << 8 |
                   (uint32_t) bytes[4 * i + 2] << 16 | (uint32_t) bytes[4 * i + 3] << 24;
    snprintf(text, size, "P%uM%uDT%u.%03uS", parts[0], parts[1], parts[2] / 1000, parts[2] % 1000);
}

static bool put_fixed(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    const unsigned char *bytes;
    char text[AVRO_SPECIAL_BYTES];
    if (!take(scan, type->size, &bytes))
        return false;
    if (type->special == SPECIAL_NONE)
        return put_base64(out, bytes, type->size);
    avro_special_text(type, bytes, text);
    return put_text(scan, out, text, strlen(text));
}

static bool put_scalar(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    int64_t number = 0;
    const unsigned char *byte;
    const char *bytes;
    size_t length;
    switch (type->kind) {
    case AVRO_NULL:
        buffer_puts(out, "null");
        return true;
    case AVRO_BOOLEAN:
        if (!take(scan, 1, &byte) || *byte > 1)
            return avro_fail(scan, "a boolean that is neither 0 nor 1");
        buffer_puts(out, *byte ? "true" : "false");
        return true;
    case AVRO_INT:
    case AVRO_LONG:
        if (!(type->kind == AVRO_INT ? avro_int(scan, &number) : avro_long(scan, &number)))
            return false;
        buffer_printf(out, "%lld", (long long) number);
        return true;
    case AVRO_ENUM:
        if (!avro_long(scan, &number))
            return false;
        if (number < 0 || number >= type->count)
            return avro_fail(scan, "an enum's symbol that its schema does not have");
        return put_text(scan, out, type->symbols[number], strlen(type->symbols[number]));
    case AVRO_BYTES:
        return avro_bytes(scan, &bytes, &length) && put_base64(out, bytes, length);
    default:
        return avro_bytes(scan, &bytes, &length) && put_text(scan, out, bytes, length);
    }
}

bool avro_json(struct avro_scan *scan, const struct avro_type *type, struct buffer *out)
{
    if (out->length > JSON_BYTES_MAX)
        return avro_fail(scan, "a nested value of more than 64 MB as JSON");
    switch (type->kind) {
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return put_real(scan, out, type->kind == AVRO_FLOAT ? 32 : 64);
    case AVRO_FIXED:
        return put_fixed(scan, type, out);
    case AVRO_RECORD:
        return put_fields(scan, type, out);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return put_items(scan, type, out);
    case AVRO_UNION:
        return put_union(scan, type, out);
    default:
        return put_scalar(scan, type, out);
    }
}
