/* The Avro schema of a type as Kafka Connect's JsonConverter describes it: the other way round than
 * avro_connect.c.
 *
 * Sources: the specification's "Schema Declaration"; what the converters of Confluent (AvroData)
 * and Apicurio write beside it: connect.name, connect.version, connect.parameters, connect.type; an
 * optional type is a union with null first, and null its default. */
#include "format/avro/avro_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/json.h>
#include <yyjson.h>

#include "core/base64.h"

#define NAMES_MAX 1000 /* of one schema's records */

#define CONNECT_DECIMAL "org.apache.kafka.connect.data.Decimal"
/* What the converters give a decimal whose schema does not say it. */
#define PRECISION "64"

static const char *const kinds[][2] = {
    {"boolean", "boolean"}, {"int8", "int"},     {"int16", "int"},     {"int32", "int"},
    {"int64", "long"},      {"float", "float"},  {"float32", "float"}, {"double", "double"},
    {"float64", "double"},  {"string", "string"}, {"bytes", "bytes"},
};

/* Only those whose values are just what Avro's are, for all of them. Of times of day some are
 * beyond 24 hours. */
static const char *const logical_types[][2] = {
    {"io.debezium.time.Date", "date"},
    {"io.debezium.time.Timestamp", "local-timestamp-millis"},
    {"io.debezium.time.MicroTimestamp", "local-timestamp-micros"},
    {"io.debezium.time.NanoTimestamp", "local-timestamp-nanos"},
};

struct making {
    struct buffer *out;
    bool logical;
    struct named {
        char *name;
        yyjson_val *schema;
    } *named; /* the records that are defined */
    size_t named_count;
    struct error *error;
    enum ods_status status; /* the first failure */
};

static bool refuse(struct making *making, const char *what, const char *name)
{
    if (making->status == ODS_OK)
        making->status = error_set(making->error, ODS_REJECT,
                                   "no Avro schema can be made: %s%.200s", what, name);
    return false;
}

static bool no_memory(struct making *making)
{
    if (making->status == ODS_OK)
        making->status = error_out_of_memory(making->error);
    return false;
}

static const char *text_of(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text ? text : "";
}

static void put_member(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":", name);
    json_quote(out, text, strlen(text));
}

/* --- names --- */

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

bool avro_name_is_good(const char *name)
{
    if (!is_letter(*name))
        return false;
    while (is_letter(*name) || is_digit(*name))
        name++;
    return !*name;
}

/* What Avro does not know in a name becomes "_", as Debezium does it. */
static char *adjusted(const char *name)
{
    char *out = malloc(2 * strlen(name) + 2), *at = out;
    bool first = true;
    for (; out && *name; name++) {
        if (*name == '.' && !first) {
            *at++ = '.';
            first = true;
            continue;
        }
        if (first && is_digit(*name))
            *at++ = '_';
        *at++ = is_letter(*name) || is_digit(*name) ? *name : '_';
        first = false;
    }
    if (out && first)
        *at++ = '_';
    if (out)
        *at = '\0';
    return out;
}

static bool is_same(yyjson_val *a, yyjson_val *b)
{
    yyjson_val *x = yyjson_obj_get(a, "parameters"), *y = yyjson_obj_get(b, "parameters");
    return strcmp(text_of(a, "name"), text_of(b, "name")) == 0 && !x == !y &&
           (!x || yyjson_equals(x, y)) &&
           yyjson_equals(yyjson_obj_get(a, "fields"), yyjson_obj_get(b, "fields"));
}

/* The record's name: *known where one of the same fields has it already. Another one of that name
 * gets a number behind it. NULL: it failed. */
static const char *name_record(struct making *making, yyjson_val *schema, bool *known)
{
    const char *told = text_of(schema, "name");
    char *name = adjusted(*told ? told : "io.debezium.connect.Struct");
    size_t length = name ? strlen(name) : 0, same = 0;
    char *numbered = name ? realloc(name, length + 24) : NULL;
    if (!numbered) {
        free(name);
        no_memory(making);
        return NULL;
    }
    name = numbered;
    *known = false;
    for (size_t i = 0; i < making->named_count; i++) {
        const struct named *other = &making->named[i];
        if (is_same(other->schema, schema)) {
            free(name);
            *known = true;
            return other->name;
        }
        if (strncmp(other->name, name, length) == 0 &&
            strspn(other->name + length, "0123456789") == strlen(other->name + length))
            same++;
    }
    if (same)
        snprintf(name + length, 24, "%zu", same + 1);
    struct named *grown = realloc(making->named, (making->named_count + 1) * sizeof *grown);
    if (grown)
        making->named = grown;
    if (!grown || making->named_count == NAMES_MAX) {
        free(name);
        if (grown)
            refuse(making, "it has too many records within records", "");
        else
            no_memory(making);
        return NULL;
    }
    making->named[making->named_count++] = (struct named){name, schema};
    return name;
}

/* --- types --- */

static bool put_type(struct making *making, yyjson_val *schema, int depth);
static bool put_bare(struct making *making, yyjson_val *schema, int depth);

static void put_version(struct buffer *out, yyjson_val *schema)
{
    const char *version = yyjson_get_raw(yyjson_obj_get(schema, "version"));
    if (version)
        buffer_printf(out, ",\"connect.version\":%.20s", version);
}

static void put_parameters(struct buffer *out, yyjson_val *schema)
{
    yyjson_val *parameters = yyjson_obj_get(schema, "parameters"), *key, *value;
    size_t index, max;
    bool any = false;
    if (!yyjson_is_obj(parameters))
        return;
    yyjson_obj_foreach(parameters, index, max, key, value)
    {
        if (!yyjson_is_str(value))
            continue;
        buffer_puts(out, any ? "," : ",\"connect.parameters\":{");
        json_quote(out, yyjson_get_str(key), yyjson_get_len(key));
        buffer_puts(out, ":");
        json_quote(out, yyjson_get_str(value), yyjson_get_len(value));
        any = true;
    }
    buffer_puts(out, any ? "}" : "");
}

/* Precision and scale, where they are ones that Avro has. */
static void put_decimal(struct buffer *out, yyjson_val *schema)
{
    yyjson_val *parameters = yyjson_obj_get(schema, "parameters");
    const char *scale = text_of(parameters, "scale");
    const char *precision = text_of(parameters, "connect.decimal.precision");
    if (!*precision)
        precision = PRECISION;
    long digits = strtol(precision, NULL, 10), behind = strtol(scale, NULL, 10);
    if (digits > 0 && behind >= 0 && behind <= digits)
        buffer_printf(out, ",\"logicalType\":\"decimal\",\"precision\":%ld,\"scale\":%ld", digits,
                      behind);
}

static void put_logical(const struct making *making, yyjson_val *schema)
{
    const char *name = text_of(schema, "name");
    if (strcmp(name, CONNECT_DECIMAL) == 0)
        put_decimal(making->out, schema);
    for (size_t i = 0; making->logical && i < sizeof logical_types / sizeof *logical_types; i++)
        if (strcmp(name, logical_types[i][0]) == 0)
            put_member(making->out, "logicalType", logical_types[i][1]);
}

/* What Connect says of a type beyond Avro's. */
static void put_annotations(const struct making *making, yyjson_val *schema)
{
    const char *name = text_of(schema, "name"), *type = text_of(schema, "type");
    if (strcmp(type, "int8") == 0 || strcmp(type, "int16") == 0)
        put_member(making->out, "connect.type", type);
    put_logical(making, schema);
    put_version(making->out, schema);
    put_parameters(making->out, schema);
    if (*name)
        put_member(making->out, "connect.name", name);
}

/* A type that is nothing but its name is written as that. */
static void put_scalar(const struct making *making, yyjson_val *schema, const char *kind)
{
    struct buffer *out = making->out;
    size_t start = out->length;
    buffer_printf(out, "{\"type\":\"%s\"", kind);
    size_t bare = out->length;
    put_annotations(making, schema);
    if (out->length > bare) {
        buffer_puts(out, "}");
        return;
    }
    out->length = start;
    buffer_printf(out, "\"%s\"", kind);
}

/* Bytes as a text whose characters are the bytes. */
static void put_bytes_default(struct buffer *out, const char *text, size_t length)
{
    size_t count = 0;
    unsigned char *bytes = malloc(BASE64_DECODED_MAX(length) + 1);
    out->failed |= !bytes;
    if (bytes && base64_decode(text, length, bytes, &count)) {
        buffer_puts(out, ",\"default\":\"");
        for (size_t i = 0; i < count; i++)
            buffer_printf(out, "\\u%04x", (unsigned) bytes[i]);
        buffer_puts(out, "\"");
    }
    free(bytes);
}

/* One that is not of its type would make the schema a wrong one, so it is left out. */
static void put_default(struct buffer *out, yyjson_val *schema)
{
    yyjson_val *value = yyjson_obj_get(schema, "default");
    const char *type = text_of(schema, "type"), *raw = yyjson_get_raw(value);
    const char *text = yyjson_get_str(value);
    bool whole = strncmp(type, "int", 3) == 0;
    bool real = strncmp(type, "float", 5) == 0 || strncmp(type, "double", 6) == 0;
    if (yyjson_is_bool(value) && strcmp(type, "boolean") == 0) {
        buffer_printf(out, ",\"default\":%s", yyjson_get_bool(value) ? "true" : "false");
    } else if (raw && (whole || real) &&
               strspn(raw, whole ? "-0123456789" : "-+.eE0123456789") == yyjson_get_len(value)) {
        buffer_puts(out, ",\"default\":");
        buffer_add(out, raw, yyjson_get_len(value));
    } else if (text && strcmp(type, "string") == 0) {
        buffer_puts(out, ",\"default\":");
        json_quote(out, text, yyjson_get_len(value));
    } else if (text && strcmp(type, "bytes") == 0) {
        put_bytes_default(out, text, yyjson_get_len(value));
    }
}

static bool put_field(struct making *making, yyjson_val *field, int depth)
{
    const char *name = text_of(field, "field");
    if (!avro_name_is_good(name))
        return refuse(making,
                      "a field has letters, digits and \"_\" in its name and begins with no digit: "
                      "rename the column (columns.rename): ",
                      name);
    buffer_puts(making->out, "{\"name\":");
    json_quote(making->out, name, strlen(name));
    buffer_puts(making->out, ",\"type\":");
    if (!put_type(making, field, depth))
        return false;
    if (yyjson_get_bool(yyjson_obj_get(field, "optional")))
        buffer_puts(making->out, ",\"default\":null");
    else
        put_default(making->out, field);
    buffer_puts(making->out, "}");
    return true;
}

static bool put_record(struct making *making, yyjson_val *schema, int depth)
{
    struct buffer *out = making->out;
    yyjson_val *field;
    size_t index, max;
    bool known;
    const char *name = name_record(making, schema, &known);
    if (!name)
        return false;
    if (known) {
        json_quote(out, name, strlen(name));
        return true;
    }
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    buffer_puts(out, "{\"type\":\"record\",\"name\":");
    json_quote(out, last, strlen(last));
    if (dot) {
        buffer_puts(out, ",\"namespace\":");
        json_quote(out, name, (size_t) (dot - name));
    }
    buffer_puts(out, ",\"fields\":[");
    yyjson_arr_foreach(yyjson_obj_get(schema, "fields"), index, max, field)
    {
        buffer_puts(out, index ? "," : "");
        if (!put_field(making, field, depth + 1))
            return false;
    }
    buffer_puts(out, "]");
    put_annotations(making, schema);
    buffer_puts(out, "}");
    return true;
}

/* An element may be null whatever is said of it, as those of a database's arrays may; but for the
 * types that have a name, as vectors. */
static bool put_within(struct making *making, yyjson_val *schema, bool map, int depth)
{
    yyjson_val *within = yyjson_obj_get(schema, map ? "values" : "items");
    bool optional = !*text_of(schema, "name");
    buffer_puts(making->out,
                map ? "{\"type\":\"map\",\"values\":" : "{\"type\":\"array\",\"items\":");
    buffer_puts(making->out, optional ? "[\"null\"," : "");
    if (!(optional ? put_bare : put_type)(making, within, depth + 1))
        return false;
    buffer_puts(making->out, optional ? "]" : "");
    put_annotations(making, schema);
    buffer_puts(making->out, "}");
    return true;
}

static bool put_bare(struct making *making, yyjson_val *schema, int depth)
{
    const char *type = text_of(schema, "type");
    if (depth > AVRO_DEPTH_MAX)
        return refuse(making, "its types are nested too deep", "");
    if (strcmp(type, "struct") == 0)
        return put_record(making, schema, depth);
    if (strcmp(type, "array") == 0 || strcmp(type, "map") == 0)
        return put_within(making, schema, *type == 'm', depth);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i][0]) == 0) {
            put_scalar(making, schema, kinds[i][1]);
            return true;
        }
    }
    return refuse(making, "there is no such type: ", type);
}

static bool put_type(struct making *making, yyjson_val *schema, int depth)
{
    bool optional = yyjson_get_bool(yyjson_obj_get(schema, "optional"));
    buffer_puts(making->out, optional ? "[\"null\"," : "");
    if (!put_bare(making, schema, depth))
        return false;
    buffer_puts(making->out, optional ? "]" : "");
    return true;
}

enum ods_status avro_of_connect(struct buffer *out, const char *schema, size_t length,
                                bool logical, struct error *error)
{
    struct making making = {.out = out, .logical = logical, .error = error};
    yyjson_doc *doc = yyjson_read_opts(
        (char *) (uintptr_t) schema, length,
        YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL);
    if (!doc)
        no_memory(&making);
    else
        put_type(&making, yyjson_doc_get_root(doc), 0);
    if (making.status == ODS_OK && out->failed)
        no_memory(&making);
    for (size_t i = 0; i < making.named_count; i++)
        free(making.named[i].name);
    free(making.named);
    yyjson_doc_free(doc);
    return making.status;
}
