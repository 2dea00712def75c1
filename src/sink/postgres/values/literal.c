/* Values of literal shapes (struct shape): the record has each value just as it is written. The
 * rules for a connector's values, by the column's type or the target's, would read some wrongly.
 *
 * A text for json becomes a JSON string, since JSON itself comes as JSON. An array for a text
 * column is a set of MySQL. A number is only a number: it is never a moment, and never base64.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include <ods/json.h>
#include "core/text_geometry.h"
#include "sink/postgres/values/encode.h"

static bool is_json(const struct pg_column *target)
{
    return target->encoding == ENCODE_JSON || target->encoding == ENCODE_JSONB;
}

static void set_bytes(struct inferred *inferred, enum value_kind kind, const struct buffer *bytes)
{
    inferred->value.kind = (uint8_t) kind;
    inferred->value.bytes = bytes->bytes ? bytes->bytes : "";
    inferred->value.length = (uint32_t) bytes->length;
}

/* --- text ------------------------------------------------------------------------------------ */

static bool take_number(const char **at, const char *end, struct buffer *out)
{
    const char *start = *at;
    while (*at < end && **at && strchr("+-.0123456789eE", **at))
        ++*at;
    buffer_add(out, start, (size_t) (*at - start));
    return encode_is_number(start, (size_t) (*at - start));
}

/* Writes "POINT (1.5 -2)" as PostgreSQL's type point reads it: "(1.5,-2)". False: no point. */
static bool put_point(struct buffer *out, const char *text, size_t length)
{
    static const char start[] = "POINT (";
    const char *at = text + sizeof start - 1, *end = text + length;
    if (length < sizeof start - 1 || memcmp(text, start, sizeof start - 1) != 0)
        return false;
    buffer_puts(out, "(");
    if (!take_number(&at, end, out) || at == end || *at++ != ' ')
        return false;
    buffer_puts(out, ",");
    if (!take_number(&at, end, out) || end - at != 1 || *at != ')')
        return false;
    buffer_puts(out, ")");
    return true;
}

/* Is the text to be written as a JSON string? It is for a json column, and for a text column where
 * the source declares JSON. */
static bool is_json_string(const struct pg_column *target, enum semantic type)
{
    if (is_json(target))
        return type == SEM_UNKNOWN || type == SEM_JSON;
    return type == SEM_JSON && target->encoding == ENCODE_TEXT;
}

static void text_meaning(struct encoder *encoder, const struct pg_column *target,
                         struct inferred *inferred)
{
    enum semantic *type = &inferred->column.type;
    struct buffer *out = &encoder->bytes;
    bool bytes = target->encoding == ENCODE_BYTEA;
    if (is_json_string(target, *type)) {
        json_quote(out, inferred->value.bytes, inferred->value.length);
        set_bytes(inferred, VALUE_JSON, out);
        *type = SEM_JSON;
        return;
    }
    if (target->type == OID_POINT && put_point(out, inferred->value.bytes, inferred->value.length))
        set_bytes(inferred, VALUE_TEXT, out);
    bool text = *type == SEM_UNKNOWN || *type == SEM_DECIMAL || text_is_geometry(*type);
    *type = text && !bytes ? SEM_STRING : encode_iso_twin(*type);
}

/* --- sets ------------------------------------------------------------------------------------ */

/* Turns ["x","z"] into x,z. False: it is no array, or an element is no string. */
static bool put_labels(struct buffer *out, const struct value *value)
{
    yyjson_read_err problem = {0};
    yyjson_doc *document =
        yyjson_read_opts((char *) (uintptr_t) value->bytes, value->length, 0, NULL, &problem);
    out->failed |= problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    yyjson_val *root = yyjson_doc_get_root(document), *label;
    bool good = yyjson_is_arr(root);
    size_t index, max;
    yyjson_arr_foreach(root, index, max, label)
    {
        good = good && yyjson_is_str(label);
        if (!good)
            break;
        buffer_puts(out, index ? "," : "");
        buffer_add(out, yyjson_get_str(label), yyjson_get_len(label));
    }
    yyjson_doc_free(document);
    return good;
}

static void json_meaning(struct encoder *encoder, const struct pg_column *target,
                         struct inferred *inferred)
{
    enum semantic type = inferred->column.type;
    bool set = type == SEM_ENUM_SET || (type == SEM_UNKNOWN && target->encoding == ENCODE_TEXT);
    if (!set)
        return;
    if (is_json(target)) {
        inferred->column.type = SEM_JSON;
        return;
    }
    if (!put_labels(&encoder->bytes, &inferred->value))
        return;
    set_bytes(inferred, VALUE_TEXT, &encoder->bytes);
    inferred->column.type = SEM_ENUM_SET;
}

/* --- numbers --------------------------------------------------------------------------------- */

/* Reads a whole number up to 2^64 - 1. False: it is none. */
static bool whole_number(const struct value *value, uint64_t *number)
{
    char digits[24], *end;
    *number = (uint64_t) value->integer;
    if (value->kind == VALUE_INT)
        return value->integer >= 0;
    if (value->length >= sizeof digits || value->bytes[0] == '-')
        return false;
    memcpy(digits, value->bytes, value->length);
    digits[value->length] = '\0';
    errno = 0;
    *number = strtoull(digits, &end, 10);
    return !errno && end == digits + value->length && end > digits;
}

/* The number's bits, as many as the column has, with the lowest byte first, as a connector sends
 * bits. */
static enum ods_status to_bits(struct encoder *encoder, const struct pg_column *target,
                               struct inferred *inferred, struct error *error)
{
    uint64_t number;
    int32_t most = target->modifier > 0 ? target->modifier : 64;
    if (!whole_number(&inferred->value, &number) || (most < 64 && number >> most))
        return encode_refuse(target, "22003",
                             "the number is negative, or has more bits than the column", error);
    for (int32_t bits = 0; bits < most; bits += 8) {
        char byte = bits < 64 ? (char) (number >> bits & 0xff) : 0;
        buffer_add(&encoder->bytes, &byte, 1);
    }
    set_bytes(inferred, VALUE_BYTES, &encoder->bytes);
    inferred->column.type = SEM_BITS;
    inferred->column.length = most;
    return ODS_OK;
}

/* Types of which an integer needs no conversion. */
static bool is_number(enum semantic type)
{
    return (type >= SEM_BOOLEAN && type <= SEM_FLOAT64) || type == SEM_YEAR || type == SEM_JSON;
}

static enum ods_status number_meaning(struct encoder *encoder, const struct pg_column *target,
                                      struct inferred *inferred, struct error *error)
{
    enum semantic *type = &inferred->column.type;
    if (encode_is_bit_string(target))
        return to_bits(encoder, target, inferred, error);
    if (inferred->value.kind == VALUE_INT && !is_number(*type))
        *type = SEM_INT64;
    return ODS_OK;
}

enum coding literal_coding(enum coding coding)
{
    return coding >= CODING_BASE64 && coding <= CODING_BYTES ? coding : CODING_NONE;
}

enum ods_status literal_value(struct encoder *encoder, const struct pg_column *target,
                              const struct column **column, const struct value **value,
                              struct inferred *inferred, struct error *error)
{
    enum ods_status status = ODS_OK;
    inferred->column = **column;
    inferred->value = **value;
    *column = &inferred->column;
    *value = &inferred->value;
    buffer_reset(&encoder->bytes);
    switch (inferred->value.kind) {
    case VALUE_TEXT:
        text_meaning(encoder, target, inferred);
        break;
    case VALUE_JSON:
        json_meaning(encoder, target, inferred);
        break;
    case VALUE_INT:
    case VALUE_NUMBER:
        status = number_meaning(encoder, target, inferred, error);
        break;
    default:
        break;
    }
    return encoder->bytes.failed ? error_out_of_memory(error) : status;
}
