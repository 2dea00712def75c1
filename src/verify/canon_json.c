/* JSON by its meaning. See canon.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <yyjson.h>

#include "core/decimal.h"
#include "verify/canon.h"

#define DOUBLE_DIGITS 17
#define DEPTH_MAX     1000

static bool put_value(struct buffer *out, yyjson_val *value, int depth);

static void put_text(struct buffer *out, const char *text, size_t length)
{
    char head[24];
    int written = snprintf(head, sizeof head, "\"%zu:", length);
    buffer_add(out, head, (size_t) written);
    buffer_add(out, text, length);
}

static size_t significant(const char *text)
{
    size_t count = 0, zeros = 0;
    for (; *text && *text != 'e' && *text != 'E'; text++) {
        if (*text == '0' && count)
            zeros++;
        else if (*text >= '1' && *text <= '9') {
            count += 1 + zeros;
            zeros = 0;
        }
    }
    return count;
}

/* Writes plain digits: no sign for zero, no zeros at the end of the fraction. */
static void put_exact(struct buffer *out, const char *text)
{
    size_t start = out->length;
    if (!decimal_from_text(out, text, strlen(text))) {
        out->length = start;
        buffer_puts(out, text);
        return;
    }
    if (memchr(out->bytes + start, '.', out->length - start)) {
        while (out->bytes[out->length - 1] == '0')
            out->length--;
        out->length -= out->bytes[out->length - 1] == '.';
    }
}

/* Texts of the same double are one number. When there are more digits than a double has, every
 * digit counts. */
static void put_number(struct buffer *out, const char *text)
{
    double real = strtod(text, NULL);
    bool whole = !strpbrk(text, ".eE");
    if (whole || significant(text) > DOUBLE_DIGITS || !isfinite(real)) {
        put_exact(out, text);
        return;
    }
    char digits[40];
    for (int precision = 15; precision <= DOUBLE_DIGITS; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (strtod(digits, NULL) == real)
            break;
    }
    put_exact(out, real == 0 ? "0" : digits);
}

struct member {
    yyjson_val *name, *value;
    size_t place;
};

static int by_name(const void *one, const void *other)
{
    const struct member *a = one, *b = other;
    size_t x = yyjson_get_len(a->name), y = yyjson_get_len(b->name);
    int order = memcmp(yyjson_get_str(a->name), yyjson_get_str(b->name), x < y ? x : y);
    if (!order)
        order = x < y ? -1 : x > y;
    return order ? order : a->place < b->place ? -1 : 1;
}

static bool put_object(struct buffer *out, yyjson_val *object, int depth)
{
    size_t count = yyjson_obj_size(object), i, max;
    struct member *members = calloc(count + 1, sizeof *members);
    yyjson_val *name, *value;
    bool good = members != NULL;
    if (!members) {
        out->failed = true;
        return false;
    }
    yyjson_obj_foreach(object, i, max, name, value)
        members[i] = (struct member){name, value, i};
    qsort(members, count, sizeof *members, by_name);
    buffer_puts(out, "{");
    for (i = 0; good && i < count; i++) {
        bool again = i + 1 < count && yyjson_equals(members[i].name, members[i + 1].name);
        if (again)
            continue;
        put_text(out, yyjson_get_str(members[i].name), yyjson_get_len(members[i].name));
        good = put_value(out, members[i].value, depth + 1);
    }
    buffer_puts(out, "}");
    free(members);
    return good;
}

static bool put_array(struct buffer *out, yyjson_val *array, int depth)
{
    size_t i, max;
    yyjson_val *value;
    bool good = true;
    buffer_puts(out, "[");
    yyjson_arr_foreach(array, i, max, value)
    {
        good = good && put_value(out, value, depth + 1);
        buffer_puts(out, ",");
    }
    buffer_puts(out, "]");
    return good;
}

static bool put_value(struct buffer *out, yyjson_val *value, int depth)
{
    if (depth > DEPTH_MAX)
        return false;
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_STR:
        put_text(out, yyjson_get_str(value), yyjson_get_len(value));
        return true;
    case YYJSON_TYPE_RAW:
        put_number(out, yyjson_get_raw(value));
        return true;
    case YYJSON_TYPE_OBJ:
        return put_object(out, value, depth);
    case YYJSON_TYPE_ARR:
        return put_array(out, value, depth);
    case YYJSON_TYPE_BOOL:
        buffer_puts(out, yyjson_get_bool(value) ? "t" : "f");
        return true;
    default:
        buffer_puts(out, "n");
        return true;
    }
}

bool canon_json(struct buffer *out, const char *json, size_t length)
{
    yyjson_read_err problem = {0};
    yyjson_doc *document = yyjson_read_opts((char *) (uintptr_t) json, length,
                                            YYJSON_READ_NUMBER_AS_RAW, NULL, &problem);
    out->failed |= problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    yyjson_val *root = yyjson_doc_get_root(document);
    bool good = root && put_value(out, root, 0);
    yyjson_doc_free(document);
    return good;
}
