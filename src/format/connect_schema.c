/* Connect schemas to columns. Cold: a schema is parsed when it is first seen. */
#include "format/connect_schema.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#define DEPTH_MAX 64

struct logical_type {
    const char *name;
    enum semantic type;
};

static const struct logical_type logical_types[] = {
    {"org.apache.kafka.connect.data.Decimal", SEM_DECIMAL},
    {"org.apache.kafka.connect.data.Date", SEM_DATE},
    {"org.apache.kafka.connect.data.Time", SEM_TIME_MS},
    {"org.apache.kafka.connect.data.Timestamp", SEM_TIMESTAMP_MS},
    {"io.debezium.time.Date", SEM_DATE},
    {"io.debezium.time.Time", SEM_TIME_MS},
    {"io.debezium.time.MicroTime", SEM_TIME_US},
    {"io.debezium.time.NanoTime", SEM_TIME_NS},
    {"io.debezium.time.Timestamp", SEM_TIMESTAMP_MS},
    {"io.debezium.time.MicroTimestamp", SEM_TIMESTAMP_US},
    {"io.debezium.time.NanoTimestamp", SEM_TIMESTAMP_NS},
    {"io.debezium.time.ZonedTimestamp", SEM_ZONED_TIMESTAMP},
    {"io.debezium.time.ZonedTime", SEM_ZONED_TIME},
    {"io.debezium.time.IsoDate", SEM_ISO_DATE},
    {"io.debezium.time.IsoTime", SEM_ISO_TIME},
    {"io.debezium.time.IsoTimestamp", SEM_ISO_TIMESTAMP},
    {"io.debezium.time.MicroDuration", SEM_DURATION_US},
    {"io.debezium.time.NanoDuration", SEM_DURATION_NS},
    {"io.debezium.time.Interval", SEM_INTERVAL},
    {"io.debezium.time.Year", SEM_YEAR},
    {"io.debezium.data.Bits", SEM_BITS},
    {"io.debezium.data.Json", SEM_JSON},
    {"io.debezium.data.Xml", SEM_XML},
    {"io.debezium.data.Uuid", SEM_UUID},
    {"io.debezium.data.Enum", SEM_ENUM},
    {"io.debezium.data.EnumSet", SEM_ENUM_SET},
    {"io.debezium.data.Ltree", SEM_LTREE},
    {"io.debezium.data.Tsvector", SEM_TSVECTOR},
    {"io.debezium.data.VariableScaleDecimal", SEM_VARIABLE_DECIMAL},
    {"io.debezium.data.FloatVector", SEM_VECTOR},
    {"io.debezium.data.DoubleVector", SEM_VECTOR},
    {"io.debezium.data.SparseDoubleVector", SEM_SPARSE_VECTOR},
    {"io.debezium.data.SparseVector", SEM_SPARSE_VECTOR},
    {"io.debezium.data.geometry.Point", SEM_POINT},
    {"io.debezium.data.geometry.Geometry", SEM_GEOMETRY},
    {"io.debezium.data.geometry.Geography", SEM_GEOGRAPHY},
    {"io.debezium.data.geometry.Circle", SEM_CIRCLE},
    {"io.debezium.data.geometry.Line", SEM_LINE},
};

/* More may follow these names: the precision, or the source's column. */
static const struct logical_type structured_types[] = {
    {"io.debezium.time.StructuredDate", SEM_STRUCTURED_DATE},
    {"io.debezium.time.StructuredTimestamp", SEM_STRUCTURED_TIMESTAMP},
    {"io.debezium.time.StructuredZonedTimestamp", SEM_STRUCTURED_ZONED_TIMESTAMP},
    {"io.debezium.time.StructuredTime", SEM_STRUCTURED_TIME},
    {"io.debezium.time.StructuredZonedTime", SEM_STRUCTURED_ZONED_TIME},
    {"io.debezium.time.StructuredDuration", SEM_STRUCTURED_DURATION},
};

struct base_type {
    const char *name;
    enum semantic type;
    enum wire wire;
};

static const struct base_type base_types[] = {
    {"boolean", SEM_BOOLEAN, WIRE_BOOLEAN}, {"int8", SEM_INT8, WIRE_INTEGER},
    {"int16", SEM_INT16, WIRE_INTEGER},     {"int32", SEM_INT32, WIRE_INTEGER},
    {"int64", SEM_INT64, WIRE_INTEGER},     {"float", SEM_FLOAT32, WIRE_FLOAT},
    {"float32", SEM_FLOAT32, WIRE_FLOAT},   {"double", SEM_FLOAT64, WIRE_FLOAT},
    {"float64", SEM_FLOAT64, WIRE_FLOAT},   {"string", SEM_STRING, WIRE_STRING},
    {"bytes", SEM_BYTES, WIRE_BYTES},       {"array", SEM_ARRAY, WIRE_NESTED},
    {"map", SEM_MAP, WIRE_NESTED},          {"struct", SEM_STRUCT, WIRE_NESTED},
};

struct parse {
    struct blocks *blocks;
    struct error *error;
};

static enum ods_status no_memory(struct parse *parse)
{
    return error_set(parse->error, ODS_RETRY, "out of memory while reading a record's schema");
}

static const char *text_member(yyjson_val *object, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(object, name));
}

static enum semantic logical_type(const char *name, enum semantic otherwise)
{
    for (size_t i = 0; i < sizeof logical_types / sizeof *logical_types; i++)
        if (strcmp(name, logical_types[i].name) == 0)
            return logical_types[i].type;
    for (size_t i = 0; i < sizeof structured_types / sizeof *structured_types; i++) {
        size_t length = strlen(structured_types[i].name);
        const char *rest = name + length;
        if (strncmp(name, structured_types[i].name, length) == 0 &&
            (!*rest || strncmp(rest, "Precision", 9) == 0 ||
             strncmp(rest, "SourceColumn", 12) == 0))
            return structured_types[i].type;
    }
    return otherwise;
}

/* All parameters are strings, also numbers. */
static int32_t number_parameter(yyjson_val *parameters, const char *name, int32_t otherwise)
{
    const char *text = text_member(parameters, name);
    if (!text)
        return otherwise;
    char *end;
    long number = strtol(text, &end, 10);
    return *text && !*end && number >= INT32_MIN && number <= INT32_MAX ? (int32_t) number
                                                                        : otherwise;
}

static bool is_temporal(enum semantic type)
{
    return (type >= SEM_TIME_MS && type <= SEM_TIMESTAMP_NS) || type == SEM_ZONED_TIMESTAMP ||
           type == SEM_ZONED_TIME;
}

/* Length and scale, from the logical type or from the source's column. */
static void read_sizes(struct column *column, yyjson_val *parameters)
{
    int32_t length = number_parameter(parameters, "__debezium.source.column.length", -1);
    int32_t scale = number_parameter(parameters, "__debezium.source.column.scale", INT32_MIN);
    if (column->type == SEM_DECIMAL) {
        column->length = number_parameter(parameters, "connect.decimal.precision", length);
        column->scale = number_parameter(parameters, "scale", 0);
    } else if (column->type == SEM_BITS) {
        column->length = number_parameter(parameters, "length", length);
    } else if (is_temporal(column->type)) {
        /* MySQL states fractional digits as the length, PostgreSQL as the scale. */
        column->scale = scale != INT32_MIN           ? scale
                        : length >= 0 && length <= 9 ? length
                                                     : INT32_MIN;
    } else {
        column->length = length;
        column->scale = scale;
    }
}

static bool copy_parameter(struct parse *parse, yyjson_val *parameters, const char *name,
                           const char **to)
{
    yyjson_val *value = yyjson_obj_get(parameters, name);
    if (!yyjson_is_str(value))
        return true;
    *to = blocks_strndup(parse->blocks, yyjson_get_str(value), yyjson_get_len(value));
    return *to != NULL;
}

static bool copy_default(struct parse *parse, yyjson_val *field, struct column *column)
{
    yyjson_val *value = yyjson_obj_get(field, "default");
    size_t length;
    if (!value || yyjson_is_null(value))
        return true;
    char *text = yyjson_val_write(value, YYJSON_WRITE_ALLOW_INF_AND_NAN, &length);
    column->default_json = text ? blocks_strndup(parse->blocks, text, length) : NULL;
    free(text);
    return column->default_json != NULL;
}

static enum ods_status read_field(struct parse *parse, yyjson_val *field, struct column *column,
                                  enum wire *wire, int depth);

static enum ods_status read_element(struct parse *parse, yyjson_val *field, struct column *column,
                                    int depth)
{
    struct column *element = blocks_alloc(parse->blocks, sizeof *element);
    enum wire ignored;
    if (!element)
        return no_memory(parse);
    element->name = "";
    column->element = element;
    return read_field(parse, field, element, &ignored, depth + 1);
}

static enum ods_status read_name(struct parse *parse, yyjson_val *field, size_t index,
                                 struct column *column)
{
    yyjson_val *name = yyjson_obj_get(field, "field");
    if (!yyjson_is_str(name) || strlen(yyjson_get_str(name)) != yyjson_get_len(name))
        return error_set(parse->error, ODS_REJECT,
                         "field %zu of the record's schema has no usable name", index);
    column->name_length = (uint32_t) yyjson_get_len(name);
    column->name = blocks_strndup(parse->blocks, yyjson_get_str(name), column->name_length);
    return column->name ? ODS_OK : no_memory(parse);
}

/* The fields of a struct, which its values are converted by; a struct without fields is not
 * converted. */
static enum ods_status read_members(struct parse *parse, yyjson_val *fields, struct column *column,
                                    int depth)
{
    size_t count = yyjson_arr_size(fields), index, max;
    struct column *members = blocks_alloc(parse->blocks, count * sizeof *members);
    yyjson_val *field;
    enum wire ignored;
    enum ods_status status = ODS_OK;
    if (!members)
        return no_memory(parse);
    yyjson_arr_foreach(fields, index, max, field)
    {
        status = read_name(parse, field, index, &members[index]);
        if (status == ODS_OK)
            status = read_field(parse, field, &members[index], &ignored, depth + 1);
        if (status != ODS_OK)
            return status;
    }
    column->fields = members;
    column->field_count = (uint32_t) count;
    return status;
}

static enum ods_status read_field(struct parse *parse, yyjson_val *field, struct column *column,
                                  enum wire *wire, int depth)
{
    const char *type = text_member(field, "type"), *name = text_member(field, "name");
    const struct base_type *base = NULL;
    for (size_t i = 0; type && i < sizeof base_types / sizeof *base_types; i++)
        if (strcmp(type, base_types[i].name) == 0)
            base = &base_types[i];
    if (!base || depth > DEPTH_MAX)
        return error_set(parse->error, ODS_REJECT,
                         "the record's schema has a field of type '%s' that Kafka Connect does not "
                         "have, or types nested too deep",
                         type ? type : "(none)");
    column->type = base->type;
    *wire = base->wire;
    if (name)
        column->type = logical_type(name, base->type);
    if (column->type == SEM_DECIMAL)
        *wire = WIRE_NUMBER;
    yyjson_val *parameters = yyjson_obj_get(field, "parameters");
    column->length = -1;
    column->scale = INT32_MIN;
    column->optional = yyjson_get_bool(yyjson_obj_get(field, "optional"));
    read_sizes(column, parameters);
    if (!copy_parameter(parse, parameters, "__debezium.source.column.type", &column->source_type) ||
        !copy_parameter(parse, parameters, "allowed", &column->allowed) ||
        !copy_default(parse, field, column))
        return no_memory(parse);
    if (base->type == SEM_ARRAY)
        return read_element(parse, yyjson_obj_get(field, "items"), column, depth);
    if (column->type == SEM_MAP)
        return read_element(parse, yyjson_obj_get(field, "values"), column, depth);
    return column->type == SEM_STRUCT
               ? read_members(parse, yyjson_obj_get(field, "fields"), column, depth)
               : ODS_OK;
}

static enum ods_status read_fields(struct parse *parse, struct connect_schema *schema,
                                   yyjson_val *fields)
{
    size_t count = yyjson_arr_size(fields), index, max;
    if (count > CONNECT_FIELDS_MAX)
        return error_set(parse->error, ODS_REJECT, "the record's schema has %zu fields", count);
    schema->columns = blocks_alloc(parse->blocks, count * sizeof *schema->columns);
    schema->wires = blocks_alloc(parse->blocks, count * sizeof *schema->wires);
    if (!schema->columns || !schema->wires)
        return no_memory(parse);
    yyjson_val *field;
    yyjson_arr_foreach(fields, index, max, field)
    {
        struct column *column = &schema->columns[index];
        enum ods_status status = read_name(parse, field, index, column);
        if (status != ODS_OK)
            return status;
        status = read_field(parse, field, column, &schema->wires[index], 0);
        if (status != ODS_OK) {
            error_prefix(parse->error, "column %.63s: ", column->name);
            return status;
        }
    }
    schema->column_count = (uint32_t) count;
    return ODS_OK;
}

static yyjson_val *find_field(yyjson_val *fields, const char *name)
{
    size_t index, max;
    yyjson_val *field;
    yyjson_arr_foreach(fields, index, max, field)
    {
        if (yyjson_equals_str(yyjson_obj_get(field, "field"), name))
            return field;
    }
    return NULL;
}

static bool has_type(yyjson_val *field, const char *type)
{
    return yyjson_equals_str(yyjson_obj_get(field, "type"), type);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Nothing but images, which Debezium names after their table and ".Value": no columns of a row. */
static bool is_event_data(yyjson_val *before, yyjson_val *after, size_t count)
{
    const char *names[] = {text_member(before, "name"), text_member(after, "name")};
    return count == 2 && has_type(before, "struct") && has_type(after, "struct") && names[0] &&
           names[1] && ends_with(names[0], ".Value") && strcmp(names[0], names[1]) == 0;
}

static bool is_other(yyjson_val *field, const char *type)
{
    return field && !has_type(field, type);
}

/* Are all of these members of an envelope? */
static bool are_members(yyjson_val *fields)
{
    static const char *const names[] = {"before", "after", "source", "op", "ts_ms",
                                        "ts_us",  "ts_ns", "transaction", "message"};
    size_t index, max, known = 0;
    yyjson_val *field;
    yyjson_arr_foreach(fields, index, max, field)
    {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            known += yyjson_equals_str(yyjson_obj_get(field, "field"), names[i]);
    }
    return known == yyjson_arr_size(fields);
}

/* A row may have columns that are named like an envelope's members: of other types, or beside what
 * only flattened rows have, or under a row's name and without the images that are named so, or
 * among others and without Debezium's source. */
static bool is_flattened(const char *name, yyjson_val *fields, yyjson_val *before,
                         yyjson_val *after)
{
    const char *image = text_member(has_type(after, "struct") ? after : before, "name");
    const char *source = text_member(find_field(fields, "source"), "name");
    if (!ends_with(name, ".Envelope") && !(source && ends_with(source, ".Source")) &&
        !are_members(fields))
        return true;
    return is_other(before, "struct") || is_other(after, "struct") || find_field(fields, "__op") ||
           find_field(fields, "__deleted") ||
           (ends_with(name, ".Value") && !(image && ends_with(image, ".Value")));
}

/* By name where Debezium has one of its own, else by the fields. `images` gets the fields of the
 * row images of an envelope. */
static enum schema_kind classify(const char *name, yyjson_val *fields, bool rows_only,
                                 yyjson_val **images)
{
    *images = fields;
    if (ends_with(name, ".Heartbeat") && strncmp(name, "io.debezium.", 12) == 0)
        return SCHEMA_HEARTBEAT;
    if (ends_with(name, ".TransactionMetadataValue"))
        return SCHEMA_TRANSACTION;
    if (ends_with(name, ".SchemaChangeValue"))
        return SCHEMA_SCHEMA_CHANGE;
    if (rows_only)
        return SCHEMA_ROW;
    yyjson_val *after = find_field(fields, "after"), *before = find_field(fields, "before");
    if (is_event_data(before, after, yyjson_arr_size(fields))) {
        *images = yyjson_obj_get(after, "fields");
        return SCHEMA_EVENT_DATA;
    }
    if (!has_type(find_field(fields, "op"), "string") ||
        !has_type(find_field(fields, "source"), "struct"))
        return SCHEMA_ROW;
    yyjson_val *image = after ? after : before;
    if (has_type(image, "struct") && !is_flattened(name, fields, before, after)) {
        *images = yyjson_obj_get(image, "fields");
        return SCHEMA_ENVELOPE;
    }
    if (!image && has_type(find_field(fields, "message"), "struct") && !find_field(fields, "__op"))
        return SCHEMA_MESSAGE;
    if (has_type(find_field(fields, "source"), "struct") && has_type(after, "string") &&
        ends_with(name, ".Envelope"))
        return SCHEMA_DOCUMENT;
    return SCHEMA_ROW;
}

enum ods_status connect_schema_parse(struct connect_schema *schema, struct blocks *blocks,
                                     const char *text, size_t length, bool rows_only,
                                     struct error *error)
{
    struct parse parse = {.blocks = blocks, .error = error};
    memset(schema, 0, sizeof *schema);
    schema->name = "";
    yyjson_read_err problem;
    yyjson_doc *doc =
        yyjson_read_opts((char *) (uintptr_t) text, length,
                         YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &problem);
    if (!doc)
        return problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
                   ? no_memory(&parse)
                   : error_set(error, ODS_REJECT, "the record's schema: %s at its byte %zu",
                               problem.msg, problem.pos);
    enum ods_status status;
    yyjson_val *root = yyjson_doc_get_root(doc), *fields = yyjson_obj_get(root, "fields");
    yyjson_val *name = yyjson_obj_get(root, "name");
    if (!has_type(root, "struct") || !yyjson_is_arr(fields)) {
        const char *type = text_member(root, "type");
        status = error_set(error, ODS_REJECT,
                           "the record's schema is of type '%s', expected a struct with fields",
                           type ? type : "(none)");
        goto out;
    }
    if (yyjson_is_str(name)) {
        schema->name = blocks_strndup(blocks, yyjson_get_str(name), yyjson_get_len(name));
        if (!schema->name) {
            status = no_memory(&parse);
            goto out;
        }
    }
    schema->kind = classify(schema->name, fields, rows_only, &fields);
    if (yyjson_is_arr(fields))
        status = read_fields(&parse, schema, fields);
    else
        status =
            error_set(error, ODS_REJECT, "the envelope's schema says nothing of its rows' fields");
out:
    yyjson_doc_free(doc);
    return status;
}
