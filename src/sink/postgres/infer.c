/* What a schemaless value means: the target's column tells, and Debezium's own defaults.
 *
 * Without a schema a date is just a number and a decimal just a text. Units follow Debezium's
 * default modes for the connector (documentation of its connectors, "Data types"); the settings
 * source.timestamp_unit, source.time_unit and source.decimals override them.
 */
#include <string.h>

#include "sink/postgres/encode.h"

#define OID_POINT    600
#define OID_INTERVAL 1186
#define OID_BIT      1560
#define OID_VARBIT   1562

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

static bool is_bit_string(const struct pg_column *target)
{
    return target->type == OID_BIT || target->type == OID_VARBIT;
}

static enum ods_status decimal_meaning(struct encoder *encoder, const struct pg_column *target,
                                       struct inferred *inferred, struct error *error)
{
    int32_t precision = -1, scale = INT32_MIN;
    if (target->modifier >= 0) {
        uint32_t packed = (uint32_t) target->modifier - 4;
        precision = (int32_t) (packed >> 16 & 0xffff);
        scale = (int32_t) ((packed & 0x7ff) ^ 1024) - 1024; /* eleven bits, signed */
    }
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
    if (is_bit_string(target)) {
        enum ods_status status = encode_undo(encoder, target, CODING_BASE64, inferred, error);
        inferred->column.type = SEM_BITS;
        inferred->column.length = target->modifier >= 0 && target->type == OID_BIT
                                      ? target->modifier
                                      : (int32_t) inferred->value.length * 8;
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
    if (object && (strstr(target->cast, "geometry") || strstr(target->cast, "geography")))
        return SEM_GEOMETRY;
    size_t cast = strlen(target->cast);
    if (array && target->encoding == ENCODE_CAST && cast > 2 &&
        strcmp(target->cast + cast - 2, "[]") == 0)
        return SEM_ARRAY;
    return SEM_STRUCT;
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
        return ODS_OK;
    case VALUE_BOOL:
        inferred->column.type = SEM_BOOLEAN;
        return ODS_OK;
    default:
        inferred->column.type = SEM_FLOAT64;
        return ODS_OK;
    }
}
