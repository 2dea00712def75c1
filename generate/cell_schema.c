/* What a record's schema and PostgreSQL call a column's type. */
#include "cell.h"

static const char *integer_type(int precision)
{
    return precision < 3 ? "int8" : precision < 5 ? "int16" : precision < 10 ? "int32" : "int64";
}

static const char *bare_type(const struct style *style, const struct column *column)
{
    switch (column->kind) {
    case KIND_NUMBER:
    case KIND_DECIMAL:
        return style->numbers == NUMBERS_STRING   ? "string"
               : style->numbers == NUMBERS_DOUBLE ? "double"
               : column->kind == KIND_NUMBER      ? "struct"
                                                  : "bytes";
    case KIND_INTEGER:
    case KIND_SLOT:
    case KIND_CUSTOMER:
    case KIND_ORDER:
    case KIND_PARCEL:
        return integer_type(column->precision);
    case KIND_DATE:
    case KIND_TIMESTAMP:
    case KIND_TIMESTAMP_9:
        return "int64";
    case KIND_DAYS:
    case KIND_MONTHS:
        return style->interval_text ? "string" : "int64";
    case KIND_FLOAT:
        return "float";
    case KIND_DOUBLE:
        return "double";
    case KIND_BLOB:
    case KIND_RAW:
        return "bytes";
    default:
        return "string";
    }
}

static const char *logical_name(const struct style *style, const struct column *column)
{
    bool precise = style->numbers == NUMBERS_PRECISE;
    switch (column->kind) {
    case KIND_NUMBER:
        return precise ? "io.debezium.data.VariableScaleDecimal" : NULL;
    case KIND_DECIMAL:
        return precise ? "org.apache.kafka.connect.data.Decimal" : NULL;
    case KIND_DATE:
        return "io.debezium.time.Timestamp";
    case KIND_TIMESTAMP:
        return "io.debezium.time.MicroTimestamp";
    case KIND_TIMESTAMP_9:
        return "io.debezium.time.NanoTimestamp";
    case KIND_ZONED:
    case KIND_LOCAL:
        return "io.debezium.time.ZonedTimestamp";
    case KIND_DAYS:
    case KIND_MONTHS:
        return style->interval_text ? "io.debezium.time.Interval"
                                    : "io.debezium.time.MicroDuration";
    case KIND_XML:
        return "io.debezium.data.Xml";
    default:
        return NULL;
    }
}

void cell_schema(struct text *out, const struct style *style, const struct column *column,
                 bool key)
{
    const char *name = logical_name(style, column), *type = bare_type(style, column);
    text_format(out, "{\"type\":\"%s\"", type);
    if (column->kind == KIND_NUMBER && style->numbers == NUMBERS_PRECISE)
        text_string(out, ",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"},"
                         "{\"type\":\"bytes\",\"optional\":false,\"field\":\"value\"}]");
    text_format(out, ",\"optional\":%s", column->optional && !key ? "true" : "false");
    if (name)
        text_format(out, ",\"name\":\"%s\",\"version\":1", name);
    if (column->kind == KIND_DECIMAL && name)
        text_format(out, ",\"parameters\":{\"scale\":\"2\",\"connect.decimal.precision\":\"%d\"}",
                    column->precision);
    if (column->kind == KIND_NUMBER && name)
        text_string(out, ",\"doc\":\"Variable scaled decimal\"");
    if (column->initial)
        text_format(out, ",\"default\":\"%s\"", column->initial);
    text_format(out, ",\"field\":\"%s\"}", column->name);
}

const char *cell_type(const struct column *column)
{
    switch (column->kind) {
    case KIND_NUMBER:
        return "numeric";
    case KIND_DECIMAL:
        return "numeric(12,2)";
    case KIND_INTEGER:
    case KIND_SLOT:
    case KIND_CUSTOMER:
    case KIND_ORDER:
    case KIND_PARCEL:
        return column->precision < 5 ? "smallint" : column->precision < 10 ? "integer" : "bigint";
    case KIND_DATE:
        return "timestamp(3)";
    case KIND_TIMESTAMP:
    case KIND_TIMESTAMP_9:
        return "timestamp(6)";
    case KIND_ZONED:
    case KIND_LOCAL:
        return "timestamptz";
    case KIND_DAYS:
    case KIND_MONTHS:
        return "interval";
    case KIND_FLOAT:
        return "real";
    case KIND_DOUBLE:
        return "double precision";
    case KIND_BLOB:
    case KIND_RAW:
        return "bytea";
    case KIND_XML:
        return "xml";
    default:
        return "text";
    }
}
