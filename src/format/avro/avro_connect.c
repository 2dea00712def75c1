/* The schema that Kafka Connect has for an Avro type, as its JsonConverter writes it.
 *
 * Sources: the specification's logical types; the members that the converters of Confluent
 * (AvroData) and Apicurio add: connect.name, connect.parameters, connect.type, connect.default.
 * What they say goes before a logical type. */
#include "format/avro/avro_schema.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/base64.h"

/* A type is written out wherever it is used. */
#define TEXT_BYTES_MAX ((size_t) 16 * 1024 * 1024)

#define CONNECT_DECIMAL "org.apache.kafka.connect.data.Decimal"

static const struct {
    const char *logical;
    enum avro_kind kind;
    const char *name;
} logical_types[] = {
    {"date", AVRO_INT, "org.apache.kafka.connect.data.Date"},
    {"time-millis", AVRO_INT, "org.apache.kafka.connect.data.Time"},
    {"time-micros", AVRO_LONG, "io.debezium.time.MicroTime"},
    {"time-nanos", AVRO_LONG, "io.debezium.time.NanoTime"},
    {"timestamp-millis", AVRO_LONG, "org.apache.kafka.connect.data.Timestamp"},
    {"timestamp-micros", AVRO_LONG, "io.debezium.time.MicroTimestamp"},
    {"timestamp-nanos", AVRO_LONG, "io.debezium.time.NanoTimestamp"},
    {"local-timestamp-millis", AVRO_LONG, "org.apache.kafka.connect.data.Timestamp"},
    {"local-timestamp-micros", AVRO_LONG, "io.debezium.time.MicroTimestamp"},
    {"local-timestamp-nanos", AVRO_LONG, "io.debezium.time.NanoTimestamp"},
    {"uuid", AVRO_STRING, "io.debezium.data.Uuid"},
    {"decimal", AVRO_BYTES, CONNECT_DECIMAL},
    {"decimal", AVRO_FIXED, CONNECT_DECIMAL},
};

static const char *text_member(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text ? text : "";
}

static void put_escaped(struct buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) text[i];
        if (byte == '"' || byte == '\\')
            buffer_printf(out, "\\%c", byte);
        else if (byte < 0x20)
            buffer_printf(out, "\\u%04x", byte);
        else
            buffer_add(out, &byte, 1);
    }
}

static void put_string(struct buffer *out, const char *text, size_t length)
{
    buffer_puts(out, "\"");
    put_escaped(out, text, length);
    buffer_puts(out, "\"");
}

static void put_member(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":", name);
    put_string(out, text, strlen(text));
}

/* The value's type, with its annotations: of a union's one branch beside null, that branch. */
static const struct avro_type *inner(const struct avro_type *type)
{
    return type->kind == AVRO_UNION && type->shown == UNION_ONE && type->other ? type->other
                                                                               : type;
}

static bool is_optional(const struct avro_type *type)
{
    return type->kind == AVRO_NULL || (type->kind == AVRO_UNION && type->null_branch >= 0);
}

/* --- what a value means --- */

static const char *logical_name(const struct avro_type *type)
{
    const char *logical = text_member(type->json, "logicalType");
    if (type->special == SPECIAL_UUID)
        return "io.debezium.data.Uuid";
    if (type->special == SPECIAL_DURATION)
        return "io.debezium.time.Interval";
    for (size_t i = 0; i < sizeof logical_types / sizeof *logical_types; i++)
        if (type->kind == logical_types[i].kind && strcmp(logical, logical_types[i].logical) == 0)
            return logical_types[i].name;
    return "";
}

static const char *meaning(const struct avro_type *type)
{
    const char *name = text_member(type->json, "connect.name");
    if (!*name)
        name = logical_name(type);
    if (!*name && type->kind == AVRO_ENUM)
        name = "io.debezium.data.Enum";
    if (!*name && type->kind == AVRO_RECORD)
        name = type->name;
    return name;
}

static bool put_parameter(struct buffer *out, bool first, const char *name, const char *text)
{
    buffer_puts(out, first ? ",\"parameters\":{" : ",");
    put_string(out, name, strlen(name));
    buffer_puts(out, ":");
    put_string(out, text, strlen(text));
    return false;
}

static const char *number_member(yyjson_val *object, const char *name, const char *otherwise)
{
    const char *number = yyjson_get_raw(yyjson_obj_get(object, name));
    return number ? number : otherwise;
}

/* The symbols as Debezium lists them: with commas between. */
static bool put_allowed(struct buffer *out, bool first, const struct avro_type *type)
{
    buffer_puts(out, first ? ",\"parameters\":{" : ",");
    buffer_puts(out, "\"allowed\":\"");
    for (uint32_t i = 0; i < type->count; i++) {
        buffer_puts(out, i ? "," : "");
        put_escaped(out, type->symbols[i], strlen(type->symbols[i]));
    }
    buffer_puts(out, "\"");
    return false;
}

static void put_parameters(struct buffer *out, const struct avro_type *type, const char *name)
{
    yyjson_val *parameters = yyjson_obj_get(type->json, "connect.parameters"), *key, *value;
    size_t index, max;
    bool first = true;
    if (yyjson_is_obj(parameters)) {
        yyjson_obj_foreach(parameters, index, max, key, value)
        {
            if (yyjson_is_str(value))
                first = put_parameter(out, first, yyjson_get_str(key), yyjson_get_str(value));
        }
    }
    if (strcmp(name, CONNECT_DECIMAL) == 0) {
        if (!yyjson_obj_get(parameters, "scale"))
            first = put_parameter(out, first, "scale", number_member(type->json, "scale", "0"));
        const char *precision = number_member(type->json, "precision", NULL);
        if (precision && !yyjson_obj_get(parameters, "connect.decimal.precision"))
            first = put_parameter(out, first, "connect.decimal.precision", precision);
    }
    if (type->kind == AVRO_ENUM && !yyjson_obj_get(parameters, "allowed"))
        first = put_allowed(out, first, type);
    buffer_puts(out, first ? "" : "}");
}

/* --- defaults --- */

/* Avro writes bytes as a text whose characters are the bytes. */
static void put_bytes_default(struct buffer *out, yyjson_val *value)
{
    const unsigned char *text = (const unsigned char *) yyjson_get_str(value);
    size_t length = yyjson_get_len(value), count = 0;
    char *bytes = malloc(length + 1);
    if (!bytes) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned byte = text[i];
        if (byte >= 0x80 && i + 1 < length)
            byte = (byte & 3) << 6 | (text[++i] & 0x3f);
        bytes[count++] = (char) byte;
    }
    buffer_puts(out, ",\"default\":\"");
    char *encoded = buffer_take(out, BASE64_ENCODED(count));
    if (encoded)
        base64_encode(bytes, count, encoded);
    buffer_puts(out, "\"");
    free(bytes);
}

static void put_default(struct buffer *out, const struct avro_type *type, yyjson_val *field)
{
    yyjson_val *value = yyjson_obj_get(type->json, "connect.default");
    if (!value || yyjson_is_null(value))
        value = yyjson_obj_get(field, "default");
    if (!value || yyjson_is_null(value) || type->special != SPECIAL_NONE)
        return;
    bool bytes = type->kind == AVRO_BYTES || type->kind == AVRO_FIXED;
    if (bytes && yyjson_is_str(value)) {
        put_bytes_default(out, value);
        return;
    }
    bool number = type->kind >= AVRO_INT && type->kind <= AVRO_DOUBLE;
    bool text = type->kind == AVRO_STRING || type->kind == AVRO_ENUM;
    if (!(number && yyjson_is_raw(value)) && !(text && yyjson_is_str(value)) &&
        !(type->kind == AVRO_BOOLEAN && yyjson_is_bool(value)))
        return;
    size_t length;
    char *json = yyjson_val_write(value, YYJSON_WRITE_ALLOW_INF_AND_NAN, &length);
    if (json) {
        buffer_puts(out, ",\"default\":");
        buffer_add(out, json, length);
    } else {
        out->failed = true;
    }
    free(json);
}

/* --- types --- */

static const char *base_name(const struct avro_type *type)
{
    static const char *const names[] = {"string", "boolean", "int32", "int64",  "float",
                                        "double", "bytes",   "string", "bytes", "string",
                                        "struct", "array",   "map",    "struct"};
    const char *said = text_member(type->json, "connect.type");
    if (type->kind == AVRO_INT && (strcmp(said, "int8") == 0 || strcmp(said, "int16") == 0))
        return said;
    if (type->special != SPECIAL_NONE)
        return "string";
    if (type->entries)
        return "map";
    if (type->kind == AVRO_UNION)
        return type->shown == UNION_INTEGER ? "int64"
               : type->shown == UNION_REAL  ? "double"
               : type->shown == UNION_STRUCT ? "struct"
                                             : "string";
    return names[type->kind];
}

static void put_type(struct buffer *out, const struct avro_type *type, const char *field_name,
                     yyjson_val *field);

static void put_fields(struct buffer *out, const struct avro_type *type)
{
    bool first = true;
    buffer_puts(out, ",\"fields\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        const struct avro_type *part =
            type->kind == AVRO_RECORD ? type->fields[i].type : type->branches[i];
        if (type->kind == AVRO_UNION && part->kind == AVRO_NULL)
            continue;
        buffer_puts(out, first ? "" : ",");
        first = false;
        if (type->kind == AVRO_RECORD)
            put_type(out, part, type->fields[i].name, type->fields[i].json);
        else
            put_type(out, part, part->name, NULL);
    }
    buffer_puts(out, "]");
}

static void put_nested(struct buffer *out, const struct avro_type *type)
{
    if (type->kind == AVRO_RECORD || (type->kind == AVRO_UNION && type->shown == UNION_STRUCT)) {
        put_fields(out, type);
    } else if (type->entries) {
        buffer_puts(out, ",\"keys\":");
        put_type(out, type->items->fields[0].type, NULL, NULL);
        buffer_puts(out, ",\"values\":");
        put_type(out, type->items->fields[1].type, NULL, NULL);
    } else if (type->kind == AVRO_MAP) {
        buffer_puts(out, ",\"keys\":{\"type\":\"string\",\"optional\":false},\"values\":");
        put_type(out, type->items, NULL, NULL);
    } else if (type->kind == AVRO_ARRAY) {
        buffer_puts(out, ",\"items\":");
        put_type(out, type->items, NULL, NULL);
    }
}

static void put_type(struct buffer *out, const struct avro_type *type, const char *field_name,
                     yyjson_val *field)
{
    if (out->length > TEXT_BYTES_MAX) {
        out->failed = true;
        return;
    }
    bool optional = is_optional(type);
    type = inner(type);
    const char *name = meaning(type);
    buffer_printf(out, "{\"type\":\"%s\",\"optional\":%s", base_name(type),
                  optional ? "true" : "false");
    if (*name)
        put_member(out, "name", name);
    put_parameters(out, type, name);
    put_default(out, type, field);
    put_nested(out, type);
    if (field_name)
        put_member(out, "field", field_name);
    buffer_puts(out, "}");
}

enum ods_status avro_connect_schema(const struct avro_type *type, struct buffer *out,
                                    struct error *error)
{
    put_type(out, type, NULL, NULL);
    if (!out->failed)
        return ODS_OK;
    if (out->length > TEXT_BYTES_MAX)
        return error_set(error, ODS_REJECT,
                         "the Avro schema has too many types: written out it is larger than %zu "
                         "bytes",
                         TEXT_BYTES_MAX);
    return error_set(error, ODS_RETRY, "out of memory while reading a schema");
}
