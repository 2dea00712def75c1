/* The transforms of a connector: those that ods-sink does in its own way, and those that it has no
 * counterpart for. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import.h"

struct transform {
    struct import *import;
    char prefix[256]; /* "transforms.<name>." */
};

static const char *value_of(const struct transform *transform, const char *rest)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", transform->prefix, rest);
    return import_value(transform->import, full);
}

static void __attribute__((format(printf, 4, 5)))
say(const struct transform *transform, const char *rest, enum verdict verdict, const char *format,
    ...)
{
    char full[512], note[512];
    va_list arguments;
    if (!value_of(transform, rest))
        return;
    snprintf(full, sizeof full, "%s%s", transform->prefix, rest);
    va_start(arguments, format);
    vsnprintf(note, sizeof note, format, arguments);
    va_end(arguments);
    import_say(transform->import, full, verdict, "%s", note);
}

/* --- Debezium's flattening ------------------------------------------------------------------- */

/* add.fields makes columns, which the connector then writes: one of them we can fill. */
static void take_added(const struct transform *transform)
{
    struct import *import = transform->import;
    const char *fields = value_of(transform, "add.fields");
    const char *prefix = value_of(transform, "add.fields.prefix");
    struct names list = {0};
    if (!fields)
        return;
    import->failed |= !names_split(&list, fields);
    bool other = false;
    for (size_t i = 0; i < list.count; i++) {
        const char *colon = strchr(list.items[i], ':');
        size_t length = colon ? (size_t) (colon - list.items[i]) : strlen(list.items[i]);
        if (length == 2 && strncmp(list.items[i], "op", 2) == 0) {
            if (asprintf(&import->cdc_operation, "%s%s", prefix ? prefix : "__",
                         colon ? colon + 1 : "op") < 0)
                import->failed = true;
        } else {
            other = true;
        }
    }
    names_done(&list);
    if (import->cdc_operation && !other)
        say(transform, "add.fields", CARRIED, "cdc_operation: %s", import->cdc_operation);
    else
        say(transform, "add.fields", DIFFERS,
            "%s%s; the other columns that it makes are not written, and where the target's table "
            "has them they keep their values (cdc_timestamp is a column for the time at "
            "the source)",
            import->cdc_operation ? "cdc_operation: " : "none of them is cdc_operation",
            import->cdc_operation ? import->cdc_operation : "");
    say(transform, "add.fields.prefix", CARRIED, "with add.fields");
}

static void take_deletes(const struct transform *transform, const char *property)
{
    const char *mode = value_of(transform, property);
    if (!mode)
        return;
    bool hard = transform->import->on_delete && strcmp(transform->import->on_delete, "hard") == 0;
    if (strcasecmp(mode, "rewrite") == 0 && hard) {
        say(transform, property, SAME, "with delete.enabled the row goes");
    } else if (strcasecmp(mode, "rewrite") == 0) {
        transform->import->on_delete = "soft";
        say(transform, property, DIFFERS,
            "on_delete: soft: the row stays and cdc_operation says d, where the connector "
            "sets __deleted");
    } else if (strcasecmp(mode, "drop") == 0) {
        transform->import->on_delete = "ignore";
        say(transform, property, CARRIED, "on_delete: ignore");
    } else {
        say(transform, property, SAME, "a delete is known by its record or by its tombstone");
    }
}

static void take_unwrap(const struct transform *transform)
{
    say(transform, "type", SAME, "Debezium's envelope is read as it is, and a flattened row too");
    take_added(transform);
    take_deletes(transform, "delete.tombstone.handling.mode");
    take_deletes(transform, "delete.handling.mode");
    say(transform, "drop.tombstones", SAME, "a tombstone after its delete is recognized");
    say(transform, "replace.null.with.default", SAME,
        "NULL stays NULL, as far as the record still has it");
    say(transform, "route.by.field", LEFT, "topics keep their names; see target in tables.yaml");
    say(transform, "add.headers", SAME, "headers were no columns");
    say(transform, "add.headers.prefix", SAME, "headers were no columns");
    say(transform, "drop.fields.header.name", LEFT, "see columns.exclude in tables.yaml");
    say(transform, "drop.fields.from.key", LEFT, "see columns.exclude in tables.yaml");
    say(transform, "drop.fields.keep.schema.compatible", LEFT,
        "see columns.exclude in tables.yaml");
}

/* --- Kafka's own ----------------------------------------------------------------------------- */

static void take_router(const struct transform *transform)
{
    struct import *import = transform->import;
    const char *regex = value_of(transform, "regex"),
               *replacement = value_of(transform, "replacement");
    if (!regex || !replacement || import->router_count == 16)
        return;
    import->routers[import->router_count].regex = strdup(regex);
    import->routers[import->router_count].replacement = strdup(replacement);
    import->router_count++;
    say(transform, "type", CARRIED, "with the names of tables");
    say(transform, "regex", CARRIED, "with the names of tables");
    say(transform, "replacement", CARRIED, "with the names of tables");
}

static void take_replace_field(const struct transform *transform)
{
    static const char *const excluding[] = {"exclude", "blacklist"};
    static const char *const including[] = {"include", "whitelist"};
    struct import *import = transform->import;
    say(transform, "type", CARRIED, "columns in tables.yaml");
    for (size_t i = 0; i < 2; i++) {
        const char *list = value_of(transform, excluding[i]);
        if (list) {
            import->failed |= !names_split(&import->exclude, list);
            say(transform, excluding[i], CARRIED, "columns.exclude");
        }
        list = value_of(transform, including[i]);
        if (list) {
            import->failed |= !names_split(&import->include, list);
            say(transform, including[i], CARRIED, "columns.include");
        }
    }
    const char *renames = value_of(transform, "renames");
    struct names pairs = {0};
    import->failed |= renames && !names_split(&pairs, renames);
    for (size_t i = 0; i < pairs.count; i++) {
        char *colon = strchr(pairs.items[i], ':');
        if (!colon)
            continue;
        import->failed |=
            !names_add(&import->renames, pairs.items[i], (size_t) (colon - pairs.items[i])) ||
            !names_add(&import->renames, colon + 1, strlen(colon + 1));
    }
    names_done(&pairs);
    say(transform, "renames", CARRIED, "columns.rename");
    say(transform, "replace.null.with.default", SAME,
        "NULL stays NULL, as far as the record still has it");
}

static void take_key(const struct transform *transform, const char *property)
{
    const char *fields = value_of(transform, property);
    if (!fields)
        return;
    names_done(&transform->import->key);
    transform->import->failed |= !names_split(&transform->import->key, fields);
    say(transform, "type", CARRIED, "key in tables.yaml");
    say(transform, property, CARRIED, "key in tables.yaml");
}

/* --- all ------------------------------------------------------------------------------------- */

static const struct {
    const char *class; /* the end of the type's name */
    enum verdict verdict;
    const char *note;
} others[] = {
    {"TimestampConverter$Value", DIFFERS, "a time goes into its column's type as it is"},
    {"TimestampConverter$Key", DIFFERS, "a time goes into its column's type as it is"},
    {"Cast$Value", DIFFERS,
     "a value goes into its column's type, or its record becomes a dead letter"},
    {"Cast$Key", DIFFERS,
     "a value goes into its column's type, or its record becomes a dead letter"},
    {"InsertField$Value", LEFT,
     "the transform set of tables.yaml writes constants, and topic, partition, offset and time"},
    {"Filter", LEFT, "the transform filter of tables.yaml chooses by operation, table and value"},
    {"MaskField$Value", LEFT,
     "the values arrive unmasked: exclude the columns, or mask at the source"},
    {"Flatten$Value", LEFT, "structs go into json columns"},
    {"HoistField$Value", LEFT, NULL},
    {"ReplaceField$Key", LEFT, "see key in tables.yaml"},
    {"SetSchemaMetadata$Value", SAME, "names of schemas say nothing here"},
    {"SetSchemaMetadata$Key", SAME, "names of schemas say nothing here"},
    {"TimestampRouter", LEFT, "tables do not change with time; see target in tables.yaml"},
    {"ByLogicalTableRouter", LEFT,
     "several topics into one table: an expression in tables, with target"},
    {"InsertHeader", SAME, "headers were no columns"},
    {"DropHeaders", SAME, "headers were no columns"},
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void take_type(const struct transform *transform, const char *type)
{
    if (ends_with(type, ".ExtractNewRecordState")) {
        take_unwrap(transform);
    } else if (ends_with(type, ".RegexRouter")) {
        take_router(transform);
    } else if (ends_with(type, ".ReplaceField$Value")) {
        take_replace_field(transform);
    } else if (ends_with(type, ".ValueToKey")) {
        take_key(transform, "fields");
    } else if (ends_with(type, ".ExtractField$Key")) {
        take_key(transform, "field");
    } else {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (ends_with(type, others[i].class)) {
                say(transform, "type", others[i].verdict, "%s",
                    others[i].note ? others[i].note : "ods-sink has no such transform");
                return;
            }
        say(transform, "type", LEFT, "ods-sink has no such transform");
    }
}

/* Has the report this property? One that it lacks is of a transform without a counterpart, or is
 * not known. */
static bool is_told(const struct import *import, const char *property)
{
    for (size_t i = 0; i < import->line_count; i++)
        if (strcmp(import->lines[i].property, property) == 0)
            return true;
    return false;
}

static void take_rest(const struct transform *transform)
{
    struct import *import = transform->import;
    const char *property;
    json_t *value;
    json_object_foreach(import->config, property, value)
    {
        if (strncmp(property, transform->prefix, strlen(transform->prefix)) == 0 &&
            !is_told(import, property))
            import_say(import, property, LEFT, "belongs to that transform");
    }
}

void import_transforms(struct import *import)
{
    const char *list = import_value(import, "transforms");
    struct names names = {0};
    if (!list)
        return;
    import->failed |= !names_split(&names, list);
    import_say(import, "transforms", CARRIED, "each by itself, below");
    for (size_t i = 0; i < names.count; i++) {
        struct transform transform = {.import = import};
        snprintf(transform.prefix, sizeof transform.prefix, "transforms.%.200s.", names.items[i]);
        const char *type = value_of(&transform, "type");
        if (value_of(&transform, "predicate"))
            say(&transform, "predicate", LEFT,
                "the transform is for some records alone, here it is for all or none: look at it");
        if (type)
            take_type(&transform, type);
        take_rest(&transform);
    }
    names_done(&names);
}
