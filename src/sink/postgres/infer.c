/* What a schemaless value means: the target's column tells, and Debezium's own defaults.
 *
 * Without a schema a date is just a number and a decimal just a text. Units follow Debezium's
 * default modes for the connector (documentation of its connectors, "Data types"); the settings
 * source.timestamp_unit, source.time_unit and source.decimals override them.
 */
#include <string.h>

#include "sink/postgres/encode.h"

#define OID_POINT    600
#define OID_LSEG     601
#define OID_PATH     602
#define OID_BOX      603
#define OID_POLYGON  604
#define OID_LINE     628
#define OID_CIRCLE   718
#define OID_INTERVAL 1186
#define OID_BIT      1560

static const enum semantic timestamp_of_unit[] = {[UNIT_DAYS] = SEM_DATE,
                                                  [UNIT_MS] = SEM_TIMESTAMP_MS,
                                                  [UNIT_US] = SEM_TIMESTAMP_US,
                                                  [UNIT_NS] = SEM_TIMESTAMP_NS};
static const enum semantic time_of_unit[] = {[UNIT_DAYS] = SEM_TIME_US,
                                             [UNIT_MS] = SEM_TIME_MS,
                                             [UNIT_US] = SEM_TIME_US,
                                             [UNIT_NS] = SEM_TIME_NS};

static bool is_connector(const struct encoder *encoder, const char *name)
{
    return strcmp(encoder->source->connector, name) == 0;
}

/* Adaptive precision: milliseconds up to three fractional digits, microseconds up to six or when
 * the column does not say. */
static enum time_unit timestamp_unit(const struct encoder *encoder, const struct pg_column *target)
{
    if (encoder->source->timestamp_unit != UNIT_AUTO)
        return encoder->source->timestamp_unit;
    return target->modifier >= 0 && target->modifier <= 3 ? UNIT_MS : UNIT_US;
}

/* MySQL's default is adaptive_time_microseconds; the others adapt times as they do timestamps. */
static enum time_unit time_unit(const struct encoder *encoder, const struct pg_column *target)
{
    if (encoder->source->time_unit != UNIT_AUTO)
        return encoder->source->time_unit;
    bool adaptive = is_connector(encoder, "postgresql") || is_connector(encoder, "sqlserver") ||
                    is_connector(encoder, "oracle") || is_connector(encoder, "db2");
    return adaptive && target->modifier >= 0 && target->modifier <= 3 ? UNIT_MS : UNIT_US;
}

static enum semantic integer_meaning(const struct encoder *encoder, const struct pg_column *target)
{
    switch (target->encoding) {
    case ENCODE_DATE:
        return SEM_DATE;
    case ENCODE_TIME:
        return time_of_unit[time_unit(encoder, target)];
    case ENCODE_TIMESTAMP:
    case ENCODE_TIMESTAMPTZ:
        return timestamp_of_unit[timestamp_unit(encoder, target)];
    default:
        return target->type == OID_INTERVAL ? SEM_DURATION_US : SEM_INT64;
    }
}

static bool is_array(const struct pg_column *target)
{
    size_t length = strlen(target->cast);
    return target->encoding == ENCODE_CAST && length > 2 &&
           strcmp(target->cast + length - 2, "[]") == 0;
}

/* Of a numeric or an array of them: -1 and INT32_MIN where the column does not say. */
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
        /* Whole bytes came, whatever the number of bits. */
        int64_t bits = (int64_t) inferred->value.length * 8;
        int32_t most = target->modifier;
        bool exact = target->type == OID_BIT;
        inferred->column.length = most >= 0 && (exact || bits > most) ? most : -1; /* -1: all */
        return status;
    }
    inferred->column.type = SEM_STRING;
    return ODS_OK;
}

/* Structs that JsonConverter writes the same way with and without schema. */
static enum semantic json_meaning(const struct pg_column *target, const struct value *value)
{
    bool object = value->length && value->bytes[0] == '{';
    bool array = value->length && value->bytes[0] == '[';
    if (object && target->encoding == ENCODE_NUMERIC)
        return SEM_VARIABLE_DECIMAL;
    if (object && target->type == OID_POINT)
        return SEM_POINT;
    if (object && target->type == OID_LINE)
        return SEM_LINE;
    if (object && target->type == OID_CIRCLE)
        return SEM_CIRCLE;
    if (object && target->type >= OID_LSEG && target->type <= OID_POLYGON)
        return SEM_GEOMETRY;
    if (object && (strstr(target->cast, "geometry") || strstr(target->cast, "geography")))
        return SEM_GEOMETRY;
    return array && is_array(target) ? SEM_ARRAY : SEM_STRUCT;
}

/* --- arrays --------------------------------------------------------------------------------- */

/* Each element is told by itself, by the type of the column's elements (encode_array.c). */
static void elements_meaning(struct inferred *inferred)
{
    inferred->element =
        (struct column){.name = "", .length = -1, .scale = INT32_MIN, .optional = true};
    inferred->column.element = &inferred->element;
}

enum ods_status infer_value(struct encoder *encoder, const struct pg_column *target,
                            const struct column **column, const struct value **value,
                            struct inferred *inferred, struct error *error)
{
    inferred->column = **column;
    inferred->value = **value;
    *column = &inferred->column;
    *value = &inferred->value;
    switch (inferred->value.kind) {
    case VALUE_INT:
        inferred->column.type = integer_meaning(encoder, target);
        return ODS_OK;
    case VALUE_TEXT:
        return text_meaning(encoder, target, inferred, error);
    case VALUE_JSON:
        inferred->column.type = json_meaning(target, &inferred->value);
        if (inferred->column.type == SEM_ARRAY)
            elements_meaning(inferred);
        return ODS_OK;
    case VALUE_BOOL:
        inferred->column.type = SEM_BOOLEAN;
        return ODS_OK;
    default: /* a number as its characters: a decimal, but where the column is a double itself */
        if (target->encoding == ENCODE_FLOAT8)
            inferred->column.type = SEM_FLOAT64;
        return ODS_OK;
    }
}
