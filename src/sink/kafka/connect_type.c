/* See connect_type.h. Sources: the documentation of Debezium's connectors (data types), Kafka
 * Connect's JsonSchema. */
#include "sink/kafka/connect_type.h"

#include <string.h>

#include <ods/json.h>

#define DEBEZIUM "io.debezium."

static const struct connect_type {
    const char *base, *name;
    const char *rest; /* further members of the schema */
} types[SEM_COUNT] = {
    [SEM_BOOLEAN] = {"boolean", NULL, NULL},
    [SEM_INT8] = {"int8", NULL, NULL},
    [SEM_INT16] = {"int16", NULL, NULL},
    [SEM_INT32] = {"int32", NULL, NULL},
    [SEM_INT64] = {"int64", NULL, NULL},
    [SEM_FLOAT32] = {"float", NULL, NULL},
    [SEM_FLOAT64] = {"double", NULL, NULL},
    [SEM_STRING] = {"string", NULL, NULL},
    [SEM_BYTES] = {"bytes", NULL, NULL},
    [SEM_DECIMAL] = {"bytes", "org.apache.kafka.connect.data.Decimal", NULL},
    [SEM_VARIABLE_DECIMAL] = {"struct", DEBEZIUM "data.VariableScaleDecimal",
                              "\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":"
                              "\"scale\"},{\"type\":\"bytes\",\"optional\":false,\"field\":"
                              "\"value\"}]"},
    [SEM_DATE] = {"int32", DEBEZIUM "time.Date", NULL},
    [SEM_TIME_MS] = {"int32", DEBEZIUM "time.Time", NULL},
    [SEM_TIME_US] = {"int64", DEBEZIUM "time.MicroTime", NULL},
    [SEM_TIME_NS] = {"int64", DEBEZIUM "time.NanoTime", NULL},
    [SEM_TIMESTAMP_MS] = {"int64", DEBEZIUM "time.Timestamp", NULL},
    [SEM_TIMESTAMP_US] = {"int64", DEBEZIUM "time.MicroTimestamp", NULL},
    [SEM_TIMESTAMP_NS] = {"int64", DEBEZIUM "time.NanoTimestamp", NULL},
    [SEM_ZONED_TIMESTAMP] = {"string", DEBEZIUM "time.ZonedTimestamp", NULL},
    [SEM_ZONED_TIME] = {"string", DEBEZIUM "time.ZonedTime", NULL},
    [SEM_ISO_DATE] = {"string", DEBEZIUM "time.IsoDate", NULL},
    [SEM_ISO_TIME] = {"string", DEBEZIUM "time.IsoTime", NULL},
    [SEM_ISO_TIMESTAMP] = {"string", DEBEZIUM "time.IsoTimestamp", NULL},
    [SEM_DURATION_US] = {"int64", DEBEZIUM "time.MicroDuration", NULL},
    [SEM_DURATION_NS] = {"int64", DEBEZIUM "time.NanoDuration", NULL},
    [SEM_INTERVAL] = {"string", DEBEZIUM "time.Interval", NULL},
    [SEM_YEAR] = {"int32", DEBEZIUM "time.Year", NULL},
    [SEM_BITS] = {"bytes", DEBEZIUM "data.Bits", NULL},
    [SEM_JSON] = {"string", DEBEZIUM "data.Json", NULL},
    [SEM_XML] = {"string", DEBEZIUM "data.Xml", NULL},
    [SEM_UUID] = {"string", DEBEZIUM "data.Uuid", NULL},
    [SEM_ENUM] = {"string", DEBEZIUM "data.Enum", NULL},
    [SEM_ENUM_SET] = {"string", DEBEZIUM "data.EnumSet", NULL},
    [SEM_LTREE] = {"string", DEBEZIUM "data.Ltree", NULL},
    [SEM_TSVECTOR] = {"string", DEBEZIUM "data.Tsvector", NULL},
    [SEM_POINT] = {"struct", DEBEZIUM "data.geometry.Point",
                   "\"fields\":[{\"type\":\"double\",\"optional\":false,\"field\":\"x\"},{\"type\":"
                   "\"double\",\"optional\":false,\"field\":\"y\"},{\"type\":\"bytes\",\"optional\""
                   ":true,\"field\":\"wkb\"},{\"type\":\"int32\",\"optional\":true,\"field\":"
                   "\"srid\"}]"},
    [SEM_GEOMETRY] = {"struct", DEBEZIUM "data.geometry.Geometry",
                      "\"fields\":[{\"type\":\"bytes\",\"optional\":false,\"field\":\"wkb\"},"
                      "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"},{\"type\":\"map\","
                      "\"keys\":{\"type\":\"string\",\"optional\":false},\"values\":{\"type\":"
                      "\"string\",\"optional\":false},\"optional\":true,"
                      "\"field\":\"extensions\"}]"},
    [SEM_GEOGRAPHY] = {"struct", DEBEZIUM "data.geometry.Geography",
                       "\"fields\":[{\"type\":\"bytes\",\"optional\":false,\"field\":\"wkb\"},"
                       "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}]"},
    [SEM_VECTOR] = {"array", DEBEZIUM "data.DoubleVector",
                    "\"items\":{\"type\":\"double\",\"optional\":false}"},
};

const char *connect_base(const struct column *column)
{
    if (column->type == SEM_ARRAY)
        return column->element && connect_base(column->element) ? "array" : NULL;
    if (column->type == SEM_MAP)
        return column->element && connect_base(column->element) ? "map" : NULL;
    if (column->type == SEM_STRUCT) {
        for (uint32_t i = 0; i < column->field_count; i++)
            if (!connect_base(&column->fields[i]))
                return NULL;
        return column->field_count ? "struct" : NULL;
    }
    return types[column->type].base;
}

static void put_parameter(struct buffer *out, bool *any, const char *name, const char *value)
{
    buffer_puts(out, *any ? "," : ",\"parameters\":{");
    json_quote(out, name, strlen(name));
    buffer_puts(out, ":");
    json_quote(out, value, strlen(value));
    *any = true;
}

static void put_number(struct buffer *out, bool *any, const char *name, int32_t value)
{
    buffer_puts(out, *any ? "," : ",\"parameters\":{");
    buffer_printf(out, "\"%s\":\"%d\"", name, (int) value);
    *any = true;
}

static void put_parameters(struct buffer *out, const struct column *column)
{
    bool any = false, decimal = column->type == SEM_DECIMAL, bits = column->type == SEM_BITS;
    if (decimal)
        put_number(out, &any, "scale", column->scale == INT32_MIN ? 0 : column->scale);
    if (decimal && column->length >= 0)
        put_number(out, &any, "connect.decimal.precision", column->length);
    if (bits && column->length >= 0)
        put_number(out, &any, "length", column->length);
    if (column->allowed)
        put_parameter(out, &any, "allowed", column->allowed);
    if (column->source_type)
        put_parameter(out, &any, "__debezium.source.column.type", column->source_type);
    if (!decimal && !bits && column->length >= 0)
        put_number(out, &any, "__debezium.source.column.length", column->length);
    if (!decimal && !bits && column->scale != INT32_MIN)
        put_number(out, &any, "__debezium.source.column.scale", column->scale);
    if (any)
        buffer_puts(out, "}");
}

static void put_inside(struct buffer *out, const struct column *column)
{
    const struct connect_type *type = &types[column->type];
    if (type->rest) {
        buffer_puts(out, ",");
        buffer_puts(out, type->rest);
    } else if (column->type == SEM_ARRAY) {
        buffer_puts(out, ",\"items\":");
        connect_put_field(out, column->element, NULL, NULL);
    } else if (column->type == SEM_MAP) {
        buffer_puts(out, ",\"keys\":{\"type\":\"string\",\"optional\":false},\"values\":");
        connect_put_field(out, column->element, NULL, NULL);
    } else if (column->type == SEM_STRUCT) {
        buffer_puts(out, ",\"fields\":[");
        for (uint32_t i = 0; i < column->field_count; i++) {
            buffer_puts(out, i ? "," : "");
            connect_put_field(out, &column->fields[i], NULL, column->fields[i].name);
        }
        buffer_puts(out, "]");
    }
}

void connect_put_field(struct buffer *out, const struct column *column, const char *base,
                       const char *field)
{
    const char *own = connect_base(column), *name = own ? types[column->type].name : NULL;
    buffer_printf(out, "{\"type\":\"%s\",\"optional\":%s", own ? own : base,
                  column->optional ? "true" : "false");
    if (own)
        put_inside(out, column);
    if (name)
        buffer_printf(out, ",\"name\":\"%s\",\"version\":1", name);
    if (own)
        put_parameters(out, column);
    /* Who reads would put it in the place of a NULL. */
    if (own && column->default_json && !column->optional) {
        buffer_puts(out, ",\"default\":");
        buffer_puts(out, column->default_json);
    }
    if (field) {
        buffer_puts(out, ",\"field\":");
        json_quote(out, field, strlen(field));
    }
    buffer_puts(out, "}");
}
