/* Avro schemas, as a registry keeps them, in the form that Kafka Connect gives its own schemas in
 * JSON, so that the format's reader of those has the only rules.
 *
 * Source: Confluent's AvroData (connect.name, connect.type, connect.parameters, logicalType). */
#include "cli/plan.h"

#include <string.h>

#include "cli/json.h"

#define DEPTH_MAX 32

struct translation {
    json_t *named; /* records and enums by their names, as they were read */
    const char *problem;
};

static json_t *translate(struct translation *to, const json_t *avro, const char *namespace,
                         int depth);

static json_t *fail(struct translation *to, const char *problem)
{
    if (!to->problem)
        to->problem = problem;
    return NULL;
}

static json_t *typed(const char *type)
{
    return json_pack("{s:s, s:b}", "type", type, "optional", 0);
}

static json_t *primitive(const char *name)
{
    static const char *const types[][2] = {
        {"boolean", "boolean"}, {"int", "int32"},   {"long", "int64"},    {"float", "float"},
        {"double", "double"},   {"bytes", "bytes"}, {"string", "string"}, {"fixed", "bytes"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i][0], name) == 0)
            return typed(types[i][1]);
    return NULL;
}

/* "Value" in the namespace, or a full name. */
static json_t *find_named(const struct translation *to, const char *name, const char *namespace)
{
    char full[512];
    snprintf(full, sizeof full, "%s.%s", namespace, name);
    const json_t *found = json_object_get(to->named, strchr(name, '.') ? name : full);
    if (!found)
        found = json_object_get(to->named, name);
    return found ? json_deep_copy(found) : NULL;
}

/* A logical type without Connect's name for it. */
static void name_logical(json_t *out, const json_t *avro)
{
    static const char *const names[][2] = {
        {"date", "org.apache.kafka.connect.data.Date"},
        {"time-millis", "org.apache.kafka.connect.data.Time"},
        {"time-micros", "io.debezium.time.MicroTime"},
        {"timestamp-millis", "org.apache.kafka.connect.data.Timestamp"},
        {"timestamp-micros", "io.debezium.time.MicroTimestamp"},
        {"uuid", "io.debezium.data.Uuid"},
        {"decimal", "org.apache.kafka.connect.data.Decimal"},
    };
    const char *logical = text_in(avro, "logicalType");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], logical) == 0)
            json_object_set_new(out, "name", json_string(names[i][1]));
    if (strcmp(logical, "decimal") == 0) {
        char scale[24], precision[24];
        snprintf(scale, sizeof scale, "%lld",
                 (long long) json_integer_value(json_object_get(avro, "scale")));
        snprintf(precision, sizeof precision, "%lld",
                 (long long) json_integer_value(json_object_get(avro, "precision")));
        json_object_set_new(
            out, "parameters",
            json_pack("{s:s, s:s}", "scale", scale, "connect.decimal.precision", precision));
    }
}

/* What Connect's converter wrote beside the type. */
static json_t *annotate(json_t *out, const json_t *avro)
{
    const char *type = text_in(avro, "connect.type"), *name = text_in(avro, "connect.name");
    json_t *parameters = json_object_get(avro, "connect.parameters");
    json_t *version = json_object_get(avro, "connect.version");
    if (!out)
        return NULL;
    name_logical(out, avro);
    if (*type)
        json_object_set_new(out, "type", json_string(type));
    if (*name)
        json_object_set_new(out, "name", json_string(name));
    if (version)
        json_object_set(out, "version", version);
    if (json_is_object(parameters)) {
        json_t *all = json_object_get(out, "parameters");
        if (!all)
            json_object_set_new(out, "parameters", all = json_object());
        json_object_update(all, parameters);
    }
    return out;
}

static json_t *record(struct translation *to, const json_t *avro, const char *namespace, int depth)
{
    const char *name = text_in(avro, "name"), *own = text_in(avro, "namespace");
    const json_t *fields = json_object_get(avro, "fields"), *field;
    char full[512];
    size_t i;
    if (!*own)
        own = namespace;
    snprintf(full, sizeof full, "%s%s%s", strchr(name, '.') ? "" : own,
             *own && !strchr(name, '.') ? "." : "", name);
    json_t *list = json_array();
    json_t *out = json_pack("{s:s, s:b, s:s, s:o}", "type", "struct", "optional", 0, "name", full,
                            "fields", list);
    if (!json_is_array(fields))
        to->problem = "a record without fields";
    json_array_foreach(fields, i, field)
    {
        json_t *one = translate(to, json_object_get(field, "type"), own, depth);
        if (!one)
            break;
        if (json_object_get(field, "default") && !json_is_null(json_object_get(field, "default")))
            json_object_set(one, "default", json_object_get(field, "default"));
        json_object_set(one, "field", json_object_get(field, "name"));
        json_array_append_new(list, one);
    }
    json_object_set(to->named, full, out);
    annotate(out, avro);
    if (to->problem) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* ["null", X] is an optional X. */
static json_t *either(struct translation *to, const json_t *avro, const char *namespace, int depth)
{
    const json_t *other = NULL, *one;
    size_t i, others = 0;
    bool optional = false;
    json_array_foreach(avro, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), "null") == 0) {
            optional = true;
        } else {
            other = one;
            others++;
        }
    }
    if (others != 1)
        return fail(to, "a union of several types, which a column can't be");
    json_t *out = translate(to, other, namespace, depth);
    if (out && optional)
        json_object_set_new(out, "optional", json_true());
    return out;
}

static json_t *complex_type(struct translation *to, const json_t *avro, const char *namespace,
                            int depth)
{
    const json_t *inner = json_object_get(avro, "type");
    const char *type = json_string_value(inner);
    if (!type)
        return inner ? translate(to, inner, namespace, depth) : fail(to, "a type without a name");
    if (strcmp(type, "record") == 0)
        return record(to, avro, namespace, depth);
    if (strcmp(type, "enum") == 0)
        return annotate(typed("string"), avro);
    if (strcmp(type, "array") == 0 || strcmp(type, "map") == 0) {
        bool map = *type == 'm';
        json_t *values =
            translate(to, json_object_get(avro, map ? "values" : "items"), namespace, depth);
        if (!values)
            return NULL;
        json_t *out = json_pack("{s:s, s:b, s:o}", "type", type, "optional", 0,
                                map ? "values" : "items", values);
        if (map)
            json_object_set_new(out, "keys", typed("string"));
        return annotate(out, avro);
    }
    return annotate(translate(to, inner, namespace, depth), avro);
}

static json_t *translate(struct translation *to, const json_t *avro, const char *namespace,
                         int depth)
{
    if (depth > DEPTH_MAX)
        return fail(to, "types within types, deeper than 32");
    if (json_is_array(avro))
        return either(to, avro, namespace, depth + 1);
    if (json_is_object(avro))
        return complex_type(to, avro, namespace, depth + 1);
    if (!json_is_string(avro))
        return fail(to, "a field without a type");
    json_t *out = primitive(json_string_value(avro));
    if (!out)
        out = find_named(to, json_string_value(avro), namespace);
    return out ? out : fail(to, "a type that is neither one of Avro's nor one of the file's");
}

json_t *connect_from_avro(const json_t *avro, const char **problem)
{
    struct translation to = {.named = json_object()};
    json_t *out = translate(&to, avro, "", 0);
    *problem = to.problem;
    json_decref(to.named);
    return out;
}
