/* Nested values, out of the JSON that they came in. See avro_write.h. */
#include "format/avro/avro_write.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/base64.h"

/* `problem` stays NULL where memory is out. */
struct writing {
    struct buffer *out;
    const char *problem;
};

static bool wrong(struct writing *writing, const char *problem)
{
    if (!writing->problem)
        writing->problem = problem;
    return false;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

bool avro_real_of(const char *text, size_t length, int bits, double *real)
{
    char digits[64], *longer = NULL, *copy = digits, *end;
    bool minus = length && *text == '-';
    if (is_word(text, length, "NaN")) {
        *real = (double) NAN;
        return true;
    }
    if (is_word(text + minus, length - minus, "Infinity")) {
        *real = minus ? -(double) INFINITY : (double) INFINITY;
        return true;
    }
    if (!length || !strchr("-0123456789", *text))
        return false;
    if (length >= sizeof digits)
        copy = longer = malloc(length + 1);
    if (!copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *real = bits == 32 ? (double) strtof(copy, &end) : strtod(copy, &end);
    bool good = end == copy + length && strspn(copy, "-+.eE0123456789") == length && !isinf(*real);
    free(longer);
    return good;
}

static bool put(struct writing *writing, const struct avro_type *type, yyjson_val *value);

/* A number's own characters, whether they stand in quotes or not. */
static const char *characters(yyjson_val *value, size_t *length)
{
    *length = yyjson_get_len(value);
    return yyjson_is_raw(value) ? yyjson_get_raw(value) : yyjson_get_str(value);
}

static bool put_integer(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    char *end;
    const char *text = yyjson_get_raw(value);
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : 0;
    if (!text || errno || end != text + yyjson_get_len(value))
        return wrong(writing, "a member is no whole number of 64 bits");
    if (type->kind == AVRO_INT && (number < INT32_MIN || number > INT32_MAX))
        return wrong(writing, "a member is no number of 32 bits");
    avro_put_long(writing->out, number);
    return true;
}

static bool put_real(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    size_t length;
    double real;
    int bits = type->kind == AVRO_FLOAT ? 32 : 64;
    const char *text = characters(value, &length);
    if (!text || !avro_real_of(text, length, bits, &real))
        return wrong(writing, "a member is no number that its float holds");
    if (bits == 32)
        avro_put_float(writing->out, (float) real);
    else
        avro_put_double(writing->out, real);
    return true;
}

static bool put_bytes(struct writing *writing, yyjson_val *value)
{
    const char *text = yyjson_get_str(value);
    size_t length = yyjson_get_len(value), decoded = 0;
    if (!text)
        return wrong(writing, "a member of bytes is no text in base64");
    unsigned char *bytes = malloc(BASE64_DECODED_MAX(length) + 1);
    if (!bytes) {
        writing->out->failed = true;
        return false;
    }
    bool good = base64_decode(text, length, bytes, &decoded);
    if (good)
        avro_put_bytes(writing->out, (const char *) bytes, decoded);
    free(bytes);
    return good || wrong(writing, "a member of bytes is no text in base64");
}

static bool put_text(struct writing *writing, yyjson_val *value)
{
    if (!yyjson_is_str(value))
        return wrong(writing, "a member is no text");
    avro_put_bytes(writing->out, yyjson_get_str(value), yyjson_get_len(value));
    return true;
}

static bool put_boolean(struct writing *writing, yyjson_val *value)
{
    if (!yyjson_is_bool(value))
        return wrong(writing, "a member is neither true nor false");
    buffer_add(writing->out, yyjson_get_bool(value) ? "\1" : "\0", 1);
    return true;
}

/* Members that are null say nothing that would be lost. */
static size_t count_told(yyjson_val *object)
{
    size_t index, max, count = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, index, max, key, value)
    {
        count += !yyjson_is_null(value);
    }
    return count;
}

static bool put_record(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    size_t found = 0;
    if (!yyjson_is_obj(value))
        return wrong(writing, "a member is no object");
    for (uint32_t i = 0; i < type->count; i++) {
        yyjson_val *member = yyjson_obj_get(value, type->fields[i].name);
        found += member && !yyjson_is_null(member);
        if (!put(writing, type->fields[i].type, member))
            return false;
    }
    return found == count_told(value) ||
           wrong(writing, "an object has members that its schema does not have");
}

static bool put_items(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    size_t index, max, count = yyjson_arr_size(value);
    yyjson_val *item;
    if (!yyjson_is_arr(value))
        return wrong(writing, "a member is no array");
    if (count)
        avro_put_long(writing->out, (int64_t) count);
    yyjson_arr_foreach(value, index, max, item)
    {
        if (!put(writing, type->items, item))
            return false;
    }
    avro_put_long(writing->out, 0);
    return true;
}

static bool put_map(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    size_t index, max, count = yyjson_obj_size(value);
    yyjson_val *key, *item;
    if (!yyjson_is_obj(value))
        return wrong(writing, "a map is no object");
    if (count)
        avro_put_long(writing->out, (int64_t) count);
    yyjson_obj_foreach(value, index, max, key, item)
    {
        avro_put_bytes(writing->out, yyjson_get_str(key), yyjson_get_len(key));
        if (!put(writing, type->items, item))
            return false;
    }
    avro_put_long(writing->out, 0);
    return true;
}

/* A union of null and another type. */
static bool put_optional(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    bool null = !value || yyjson_is_null(value);
    if (type->null_branch < 0 || !type->other || type->count != 2)
        return wrong(writing, "its schema has a union that is not written");
    avro_put_long(writing->out, null ? type->null_branch : 1 - type->null_branch);
    return null || put(writing, type->other, value);
}

/* `value` NULL: the member is not there. */
static bool put(struct writing *writing, const struct avro_type *type, yyjson_val *value)
{
    if (type->kind == AVRO_UNION)
        return put_optional(writing, type, value);
    if (!value || yyjson_is_null(value))
        return wrong(writing, "a member that has to be there is null, or missing");
    switch (type->kind) {
    case AVRO_BOOLEAN:
        return put_boolean(writing, value);
    case AVRO_INT:
    case AVRO_LONG:
        return put_integer(writing, type, value);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return put_real(writing, type, value);
    case AVRO_BYTES:
        return put_bytes(writing, value);
    case AVRO_STRING:
        return put_text(writing, value);
    case AVRO_RECORD:
        return put_record(writing, type, value);
    case AVRO_ARRAY:
        return put_items(writing, type, value);
    case AVRO_MAP:
        return put_map(writing, type, value);
    default:
        return wrong(writing, "its schema has a type that is not written");
    }
}

bool avro_put_json(struct buffer *out, const struct avro_type *type, const char *json,
                   size_t length, const char **problem)
{
    struct writing writing = {.out = out};
    yyjson_read_err why;
    yyjson_doc *doc =
        yyjson_read_opts((char *) (uintptr_t) json, length,
                         YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why);
    bool good = doc && put(&writing, type, yyjson_doc_get_root(doc));
    if (!doc && why.code != YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        wrong(&writing, "it is not JSON");
    yyjson_doc_free(doc);
    *problem = writing.problem;
    return good && !out->failed;
}
