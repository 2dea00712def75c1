/* The settings of tables.yaml as a JSON Schema, by which editors complete names and underline what
 * is wrong. It comes from the same rows as parsing does; what only the daemon can check (patterns,
 * names that must agree) is left to `check`. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config/config.h"
#include "config/table.h"

static json_t *schema_of_group(const struct setting_group *group, bool may_require);
static json_t *schema_of_entry(const struct setting_group *group);

/* A text with ${…} may be given instead of any number, boolean or word. */
static json_t *or_substituted(json_t *schema)
{
    return json_pack("{s:[o,{s:s,s:s}]}", "anyOf", schema, "type", "string", "pattern",
                     "\\$\\{");
}

static json_t *schema_of_choices(const struct setting *row)
{
    json_t *names = json_array();
    for (const char *const *choice = row->choices; *choice; choice++)
        if (**choice)
            json_array_append_new(names, json_string(*choice));
    return json_pack("{s:o}", "enum", names);
}

static json_t *schema_of_value(const struct setting *row)
{
    json_t *inner;
    switch (row->type) {
    case SETTING_STRING:
        return json_pack("{s:s}", "type", "string");
    case SETTING_COLUMN:
        return json_pack("{s:[s,s,s]}", "type", "string", "boolean", "null");
    case SETTING_CHOICE:
    case SETTING_ENUM:
        return or_substituted(schema_of_choices(row));
    case SETTING_BOOL:
        return or_substituted(json_pack("{s:s}", "type", "boolean"));
    case SETTING_INT:
    case SETTING_MS:
        return or_substituted(json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum",
                                        (json_int_t) row->min, "maximum", (json_int_t) row->max));
    case SETTING_DURATION: /* 0, or with its unit, "1h" */
    case SETTING_BYTES: /* or with a unit, "16 MiB" */
        return json_pack("{s:[s,s]}", "type", "integer", "string");
    case SETTING_STRINGS:
        inner = row->choices ? schema_of_choices(row) : json_pack("{s:s}", "type", "string");
        return json_pack("{s:[s,s],s:o}", "type", "array", "null", "items", inner);
    case SETTING_VALUES:
        inner = row->choices ? schema_of_choices(row)
                             : json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean");
        return json_pack("{s:[s,s],s:o}", "type", "object", "null", "additionalProperties", inner);
    case SETTING_TERMS: /* any value, or a group of words */
        return json_pack("{s:[s,s]}", "type", "object", "null");
    case SETTING_PROPERTIES:
    case SETTING_RENAMES:
    case SETTING_TYPES:
        return json_pack("{s:[s,s],s:{s:[s,s,s]}}", "type", "object", "null",
                         "additionalProperties", "type", "string", "number", "boolean");
    case SETTING_OBJECT:
        inner = schema_of_group(row->of, false);
        return row->flags & SETTING_SWITCH
                   ? or_substituted(json_pack("{s:[{s:s},o]}", "anyOf", "type", "boolean", inner))
                   : inner;
    case SETTING_OBJECTS:
        inner = schema_of_entry(row->of);
        return json_pack("{s:s,s:o}", "type", "array", "items", inner);
    case SETTING_NAMED:
        inner = schema_of_group(row->of, false);
        return json_pack("{s:[s,s],s:o}", "type", "object", "null", "additionalProperties", inner);
    case SETTING_PLUGIN:
        break;
    }
    return json_true();
}

static json_t *default_of(const struct setting *row)
{
    switch (row->type) {
    case SETTING_BOOL:
        return json_boolean(strcmp(row->fallback, "true") == 0);
    case SETTING_INT:
    case SETTING_MS:
    case SETTING_BYTES:
        return json_integer(strtoll(row->fallback, NULL, 10));
    default:
        return json_string(row->fallback);
    }
}

/* The object below `root` to which the last part of a dotted name belongs; *leaf is that part. */
static json_t *place_of(json_t *root, const char *name, const char **leaf)
{
    json_t *at = json_object_get(root, "properties");
    const char *dot;
    for (; (dot = strchr(name, '.')); name = dot + 1) {
        char piece[64];
        size_t length = (size_t) (dot - name);
        if (length >= sizeof piece)
            return NULL;
        memcpy(piece, name, length);
        piece[length] = '\0';
        json_t *group = json_object_get(at, piece);
        if (!group) {
            group = json_pack("{s:s,s:b,s:{}}", "type", "object", "additionalProperties", 0,
                              "properties");
            if (json_object_set_new(at, piece, group))
                return NULL;
        }
        at = json_object_get(group, "properties");
    }
    *leaf = name;
    return at;
}

static void put_rows(json_t *root, const struct setting_group *group, bool may_require)
{
    SETTINGS_EACH (row, group) {
        const char *leaf = row->name;
        if (row->type == SETTING_PLUGIN)
            continue;
        json_t *at = place_of(root, row->name, &leaf), *schema = schema_of_value(row);
        /* A map's entries are named by their keys. */
        if (strcmp(row->name, "name") == 0 && !may_require) {
            json_decref(schema);
            continue;
        }
        if (row->doc)
            json_object_set_new(schema, "description", json_string(row->doc));
        if (row->fallback && *row->fallback)
            json_object_set_new(schema, "default", default_of(row));
        json_object_set_new(at, leaf, schema);
        if (may_require && row->flags & SETTING_REQUIRED && leaf == row->name)
            json_array_append_new(json_object_get(root, "required"), json_string(leaf));
    }
}

static json_t *empty_object(void)
{
    return json_pack("{s:[s,s],s:b,s:{},s:[]}", "type", "object", "null", "additionalProperties",
                     0, "properties", "required");
}

static const struct setting *plugin_row(const struct setting_group *group)
{
    SETTINGS_EACH (row, group)
        if (row->type == SETTING_PLUGIN)
            return row;
    return NULL;
}

/* With the settings of all plug-ins that it may have. */
static json_t *schema_of_group(const struct setting_group *group, bool may_require)
{
    json_t *root = empty_object();
    const struct setting *plugin = plugin_row(group);
    const struct setting_group *own;
    const char *name;
    for (size_t i = 0; plugin && (own = plugin->plugins(i, &name)); i++)
        put_rows(root, own, false);
    put_rows(root, group, may_require);
    return root;
}

/* `{ type: filter, op: [c] }`, or shorter `{ filter: { op: [c] } }` (shorthand.h). */
static json_t *schema_of_plugin(const struct setting_group *group, const char *type,
                                const struct setting_group *own, const char *name, bool shorter)
{
    json_t *root = empty_object(), *properties = json_object_get(root, "properties");
    json_t *required = json_object_get(root, "required");
    put_rows(root, own, !shorter);
    put_rows(root, group, false);
    json_object_set_new(root, "type", json_string("object"));
    if (!shorter) {
        json_object_set_new(properties, type, json_pack("{s:s}", "const", name));
        json_array_append_new(required, json_string(type));
        return root;
    }
    json_t *value = json_pack("[o]", schema_of_group(own, true));
    if (own->count)
        json_array_append_new(value, schema_of_value(&own->rows[0]));
    json_object_del(properties, type);
    json_object_set_new(properties, name, json_pack("{s:o}", "anyOf", value));
    json_array_append_new(required, json_string(name));
    return root;
}

/* An entry of a list: of one plug-in where it has one. */
static json_t *schema_of_entry(const struct setting_group *group)
{
    const struct setting *plugin = plugin_row(group);
    if (!plugin)
        return schema_of_group(group, true);
    json_t *forms = json_array();
    const struct setting_group *own;
    const char *name;
    for (size_t i = 0; (own = plugin->plugins(i, &name)); i++)
        for (int shorter = 0; shorter < 2; shorter++)
            json_array_append_new(forms,
                                  schema_of_plugin(group, plugin->name, own, name, shorter));
    return json_pack("{s:o}", "anyOf", forms);
}

bool config_schema(FILE *out)
{
    json_t *root = schema_of_group(&settings_of_moves, true);
    json_object_set_new(root, "$schema",
                        json_string("http://json-schema.org/draft-07/schema#"));
    json_object_set_new(root, "title", json_string("tables.yaml of ods-sink"));
    bool written = root && json_dumpf(root, out, JSON_INDENT(2) | JSON_SORT_KEYS) == 0 &&
                   fputc('\n', out) != EOF;
    json_decref(root);
    return written;
}
