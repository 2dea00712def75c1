/* What a value without schema means: the target's column and Debezium's defaults decide.
 *
 * Without a schema a date is only a number, and a decimal only a text. sink/units.c decides the
 * unit of a number; the setting source.decimals says how decimals are written.
 */
#include <string.h>

#include <yyjson.h>

#include "core/text.h"
#include "sink/postgres/values/encode.h"
#include "sink/units.h"

/* More than the largest number of any database takes: a longer struct is no number. */
#define VARIABLE_DECIMAL_BYTES 65536

static bool is_array(const struct pg_column *target)
{
    size_t length = strlen(target->cast);
    return target->encoding == ENCODE_CAST && length > 2 &&
           strcmp(target->cast + length - 2, "[]") == 0;
}

/* Precision and scale of a numeric, or of an array's elements; -1 and INT32_MIN where the column
 * has none. */
static void numeric_digits(const struct pg_column *target, int32_t *precision, int32_t *scale)
{
    *precision = -1;
    *scale = INT32_MIN;
    if (target->modifier < 0)
        return;
    uint32_t packed = (uint32_t) target->modifier - 4;
    *precision = (int32_t) (packed >> 16 & 0xffff);
    *scale = (int32_t) ((packed & 0x7ff) ^ 1024) - 1024; /* eleven bits, signed */
}

static enum ods_status decimal_meaning(struct encoder *encoder, const struct pg_column *target,
                                       struct inferred *inferred, struct error *error)
{
    int32_t precision, scale;
    numeric_digits(target, &precision, &scale);
    return encode_decimal_text(encoder, target, precision, scale, inferred, error);
}

static enum ods_status text_meaning(struct encoder *encoder, const struct pg_column *target,
                                    struct inferred *inferred, struct error *error)
{
    if (target->encoding == ENCODE_NUMERIC)
        return decimal_meaning(encoder, target, inferred, error);
    if (target->encoding == ENCODE_BYTEA) {
        inferred->column.type = SEM_BYTES;
        return encode_undo(encoder, target, CODING_BASE64, inferred, error);
    }
    if (encode_is_bit_string(target)) {
        enum ods_status status = encode_undo(encoder, target, CODING_BASE64, inferred, error);
        inferred->column.type = SEM_BITS;
        /* Bits come in whole bytes, also when the column has fewer bits. */
        int64_t bits = (int64_t) inferred->value.length * 8;
        int32_t most = target->modifier;
        bool exact = target->type == OID_BIT;
        inferred->column.length = most >= 0 && (exact || bits > most) ? most : -1; /* -1: all */
        return status;
    }
    inferred->column.type = SEM_STRING;
    return ODS_OK;
}

/* {"scale":0,"value":"AQ=="} is the number of a column in which each value has its own scale
 * (Oracle's NUMBER, PostgreSQL's numeric). No other type is written like that. */
static enum ods_status find_variable_decimal(const struct value *value, bool *found,
                                             struct error *error)
{
    static const struct column column = {
        .name = "", .type = SEM_VARIABLE_DECIMAL, .length = -1, .scale = INT32_MIN};
    yyjson_read_err problem = {0};
    struct buffer digits;
    *found = false;
    if (value->length > VARIABLE_DECIMAL_BYTES)
        return ODS_OK;
    yyjson_doc *document =
        yyjson_read_opts((char *) (uintptr_t) value->bytes, value->length, 0, NULL, &problem);
    yyjson_val *root = yyjson_doc_get_root(document);
    bool alike = yyjson_obj_size(root) == 2 && yyjson_is_int(yyjson_obj_get(root, "scale")) &&
                 yyjson_is_str(yyjson_obj_get(root, "value"));
    yyjson_doc_free(document);
    if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return error_out_of_memory(error);
    if (!alike)
        return ODS_OK;
    buffer_init(&digits);
    *found = text_value(&digits, &column, value, NULL) == ODS_OK;
    bool failed = digits.failed;
    buffer_done(&digits);
    return failed ? error_out_of_memory(error) : ODS_OK;
}

/* Can the column hold any number? Not json, which gets the struct as it is. */
static bool takes_numbers(const struct pg_column *target)
{
    return (target->encoding >= ENCODE_BOOL && target->encoding <= ENCODE_TEXT) ||
           (target->encoding == ENCODE_CAST && !target->item);
}

/* The meaning of structs that JsonConverter writes in the same way with and without schema. */
static enum semantic struct_meaning(const struct pg_column *target)
{
    if (target->encoding == ENCODE_NUMERIC)
        return SEM_VARIABLE_DECIMAL;
    if (target->type == OID_POINT)
        return SEM_POINT;
    if (target->type == OID_LINE)
        return SEM_LINE;
    if (target->type == OID_CIRCLE)
        return SEM_CIRCLE;
    if (target->type >= OID_LSEG && target->type <= OID_POLYGON)
        return SEM_GEOMETRY;
    if (strstr(target->cast, "geometry") || strstr(target->cast, "geography"))
        return SEM_GEOMETRY;
    return SEM_STRUCT;
}

static enum ods_status json_meaning(const struct pg_column *target, const struct value *value,
                                    enum semantic *type, struct error *error)
{
    bool number = false;
    enum ods_status status = ODS_OK;
    if (!value->length || value->bytes[0] != '{') {
        bool array = value->length && value->bytes[0] == '[';
        *type = array && is_array(target) ? SEM_ARRAY : SEM_STRUCT;
        return ODS_OK;
    }
    *type = struct_meaning(target);
    if (*type == SEM_STRUCT && takes_numbers(target))
        status = find_variable_decimal(value, &number, error);
    if (number)
        *type = SEM_VARIABLE_DECIMAL;
    return status;
}

/* --- arrays --------------------------------------------------------------------------------- */

/* The meaning of each element is found separately, by the type of the column's elements
 * (encode_array.c). */
static void elements_meaning(struct inferred *inferred)
{
    inferred->element =
        (struct column){.name = "", .length = -1, .scale = INT32_MIN, .optional = true};
    inferred->column.element = &inferred->element;
}

/* --- numbers -------------------------------------------------------------------------------- */

static enum ods_status number_meaning(const struct encoder *encoder,
                                      const struct pg_column *target, int64_t number,
                                      enum semantic *type, struct error *error)
{
    struct unit_asked asked = {.source = encoder->source,
                               .connector = encoder->connector,
                               .precision = target->modifier,
                               .number = number};
    switch (target->encoding) {
    case ENCODE_DATE:
        asked.what = UNIT_OF_DATE;
        break;
    case ENCODE_TIME:
        asked.what = UNIT_OF_TIME;
        break;
    case ENCODE_TIMESTAMP:
    case ENCODE_TIMESTAMPTZ:
        asked.what = UNIT_OF_TIMESTAMP;
        break;
    default:
        *type = SEM_INT64;
        if (target->type != OID_INTERVAL)
            return ODS_OK;
        asked.what = UNIT_OF_LAPSE;
    }
    struct error why;
    error_init(&why);
    enum ods_status status = unit_of_number(&asked, type, &why);
    return status == ODS_REJECT ? encode_refuse(target, "22023", why.text, error) : status;
}

enum ods_status infer_value(struct encoder *encoder, const struct pg_column *target,
                            const struct column **column, const struct value **value,
                            struct inferred *inferred, struct error *error)
{
    enum ods_status status;
    inferred->column = **column;
    inferred->value = **value;
    *column = &inferred->column;
    *value = &inferred->value;
    switch (inferred->value.kind) {
    case VALUE_INT:
        return number_meaning(encoder, target, inferred->value.integer, &inferred->column.type,
                              error);
    case VALUE_TEXT:
        return text_meaning(encoder, target, inferred, error);
    case VALUE_JSON:
        status = json_meaning(target, &inferred->value, &inferred->column.type, error);
        if (inferred->column.type == SEM_ARRAY)
            elements_meaning(inferred);
        return status;
    case VALUE_BOOL:
        inferred->column.type = SEM_BOOLEAN;
        return ODS_OK;
    default: /* a number kept as text: a decimal, unless the column is a double itself */
        if (target->encoding == ENCODE_FLOAT8)
            inferred->column.type = SEM_FLOAT64;
        if (target->type == OID_INTERVAL) /* Oracle's connector sends a double of microseconds */
            inferred->column.type = SEM_DURATION_US;
        return ODS_OK;
    }
}
