/* What of a letter is shown. See letter.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/transform.h>

#include "cli/json.h"
#include "cli/letter.h"
#include "cli/redact.h"
#include "core/base64.h"

#define SHORT_VALUE 3 /* such texts stand in too many places to be hidden everywhere */

/* What a pipeline masks is shown to nobody, not even with the private key. `table` is a name of
 * tables.yaml, "table" or "schema.table". */
static bool masks(const struct letter_view *view, const char *table, const char *column)
{
    char schema[256];
    const char *dot = strrchr(table, '.');
    if (view->transformed)
        return false;
    snprintf(schema, sizeof schema, "%.*s", dot ? (int) (dot - table) : 0, table);
    return transform_masks(view->pipeline, schema, dot ? dot + 1 : table, column);
}

static bool table_hides(const struct letter_view *view, const struct table_settings *table,
                        const char *name)
{
    return (!view->opened && is_redacted(table, name)) || masks(view, table->name, name);
}

static bool hides(const struct letter_view *view, const char *name)
{
    const struct pipeline_settings *pipeline = view->pipeline;
    if (view->table)
        return (!view->transformed &&
                transform_masks(pipeline, view->schema, view->table, name)) ||
               (!view->opened &&
                is_redacted(pipeline_table(pipeline, view->schema, view->table), name));
    bool any = table_hides(view, &pipeline->defaults, name);
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = table_hides(view, &pipeline->tables[i], name);
    return any;
}

static bool has_mask(const struct transform_settings *transforms, size_t count)
{
    bool found = false;
    for (size_t i = 0; !found && i < count; i++)
        found = strcmp(transforms[i].type, "mask") == 0;
    return found;
}

static bool has_masks(const struct pipeline_settings *pipeline)
{
    bool found = has_mask(pipeline->transforms, pipeline->transform_count);
    for (size_t i = 0; !found && i < pipeline->table_count; i++)
        found = has_mask(pipeline->tables[i].transforms, pipeline->tables[i].transform_count);
    return found;
}

static bool hides_anything(const struct letter_view *view)
{
    const struct pipeline_settings *pipeline = view->pipeline;
    if (has_masks(pipeline))
        return true;
    if (view->opened)
        return false;
    if (view->table)
        return pipeline_table(pipeline, view->schema, view->table)->redact.count > 0;
    bool any = pipeline->defaults.redact.count > 0;
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = pipeline->tables[i].redact.count > 0;
    return any;
}

void letter_view_init(struct letter_view *view, const struct pipeline_settings *pipeline,
                      const char *schema, const char *table, bool opened)
{
    *view = (struct letter_view){.pipeline = pipeline,
                                 .schema = schema,
                                 .table = table,
                                 .opened = opened,
                                 .values = json_array()};
    view->hides = pipeline && hides_anything(view);
}

void letter_view_done(struct letter_view *view)
{
    json_decref(view->values);
}

static void remember(struct letter_view *view, const json_t *value)
{
    if (json_string_length(value) > SHORT_VALUE)
        json_array_append(view->values, (json_t *) value);
}

static bool was_hidden(const struct letter_view *view, const json_t *value)
{
    bool found = false;
    for (size_t i = 0; !found && i < json_array_size(view->values); i++)
        found = json_equal(json_array_get(view->values, i), value);
    return found;
}

static void hide_members(struct letter_view *view, json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    void *next;
    json_object_foreach_safe(value, next, name, member)
    {
        if (hides(view, name) && !json_is_null(member)) {
            remember(view, member);
            json_object_set_new(value, name, json_string(REDACTED));
        } else {
            hide_members(view, member);
        }
    }
    json_array_foreach(value, i, member) hide_members(view, member);
}

/* A key as an array, a copy of the column under another name. */
static void hide_values(struct letter_view *view, json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    void *next;
    json_object_foreach_safe(value, next, name, member)
    {
        if (json_is_string(member) && was_hidden(view, member))
            json_object_set_new(value, name, json_string(REDACTED));
        else
            hide_values(view, member);
    }
    json_array_foreach(value, i, member)
    {
        if (json_is_string(member) && was_hidden(view, member))
            json_array_set_new(value, i, json_string(REDACTED));
        else
            hide_values(view, member);
    }
}

void letter_hide(struct letter_view *view, json_t *value)
{
    if (!view->hides)
        return;
    hide_members(view, value);
    hide_values(view, value);
}

bool letter_hides_header(const struct letter_view *view, const char *name)
{
    return view->hides && strncmp(name, "ods.", 4) != 0 && strncmp(name, "__connect.", 10) != 0;
}

/* As text where it is UTF-8, else in base64. */
static json_t *whole(const char *bytes, size_t length, bool *encoded)
{
    json_t *text = json_stringn(bytes, length);
    if (text)
        return text;
    char *room = malloc(BASE64_ENCODED(length) + 1);
    if (!room)
        return json_null();
    *encoded = true;
    base64_encode(bytes, length, room);
    text = json_stringn(room, BASE64_ENCODED(length));
    free(room);
    return text;
}

json_t *letter_bytes(struct letter_view *view, const char *bytes, size_t length, bool *encoded)
{
    *encoded = false;
    if (!bytes)
        return json_null();
    if (!view->hides)
        return whole(bytes, length, encoded);
    /* behind a schema's id, as JSON Schema's serializers write it (core/json_scan.h) */
    size_t id = length > 5 && !*bytes && bytes[5] == '{' ? 5 : 0;
    json_t *value = json_loadb(bytes + id, length - id, 0, NULL);
    if (!value)
        return json_sprintf(
            REDACTED " %zu bytes that are not JSON, of a table with redacted columns", length);
    letter_hide(view, value);
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(value);
    json_t *shown = text ? json_string(text) : json_null();
    free(text);
    return shown;
}
