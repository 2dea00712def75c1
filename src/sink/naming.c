/* Names in a target. See naming.h. */
#include "sink/naming.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>

#define DIGEST_CHARACTERS 9 /* "_" and eight digits */

/* FNV-1a. It must not change: names of existing tables and columns contain it. */
static uint32_t digest(const char *name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *name; name++)
        hash = (hash ^ (unsigned char) *name) * UINT32_C(16777619);
    return hash;
}

char *naming_with(const struct naming *naming, const char *name, const char *suffix)
{
    char *fitting = NULL;
    size_t room = naming->most - strlen(suffix);
    int written =
        !name[naming->cut(name, room)]
            ? asprintf(&fitting, "%s%s", name, suffix)
            : asprintf(&fitting, "%.*s_%08x%s", (int) naming->cut(name, room - DIGEST_CHARACTERS),
                       name, digest(name), suffix);
    return written < 0 ? NULL : fitting;
}

char *naming_fit(const struct naming *naming, const char *name, enum name_case fold)
{
    char *folded = strdup(name);
    for (char *at = folded; at && fold == NAME_LOWER && *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char) (*at | 0x20);
    char *fitting = folded ? naming_with(naming, folded, "") : NULL;
    free(folded);
    return fitting;
}

char *naming_kept(const struct naming *naming, const char *name, unsigned number)
{
    char suffix[16];
    snprintf(suffix, sizeof suffix, "__v%u", number);
    return naming_with(naming, name, suffix);
}

static const char *place_value(const struct shape *shape, const char *place, size_t length)
{
    const char *schema = shape->schema[0] ? shape->schema : shape->database;
    const struct {
        const char *name, *value;
    } places[] = {{"topic", shape->topic},
                  {"db", shape->database[0] ? shape->database : shape->schema},
                  {"schema", schema},
                  {"table", shape->table}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strlen(places[i].name) == length && memcmp(places[i].name, place, length) == 0)
            return places[i].value;
    return NULL;
}

enum ods_status naming_expand(const struct naming *naming, const struct table_settings *settings,
                              const struct shape *shape, const char *text, size_t length,
                              char **name, struct error *error)
{
    struct buffer out;
    bool filled = false;
    buffer_init(&out);
    for (const char *at = text, *end = text + length; at < end;) {
        const char *close = at[0] == '$' && end - at > 2 && at[1] == '{'
                                ? memchr(at, '}', (size_t) (end - at))
                                : NULL;
        const char *value = close ? place_value(shape, at + 2, (size_t) (close - at - 2)) : NULL;
        if (value)
            buffer_puts(&out, value);
        else
            buffer_add(&out, at, 1);
        at = value ? close + 1 : at + 1;
        filled |= value != NULL;
    }
    *name = out.failed ? NULL
            : filled   ? naming_fit(naming, buffer_text(&out), settings->fold)
                       : strdup(buffer_text(&out));
    buffer_done(&out);
    return *name ? naming->check(*name, error) : error_out_of_memory(error);
}

bool naming_is_derived(const struct table_settings *settings)
{
    return !settings->target[0] || strstr(settings->target, "${table}") ||
           strstr(settings->target, "${topic}");
}

enum ods_status naming_column(const struct naming *naming, const struct table_settings *settings,
                              const char *column, char **name, struct error *error)
{
    *name = NULL;
    if ((settings->include.count && !strings_contain(&settings->include, column)) ||
        strings_contain(&settings->exclude, column))
        return ODS_OK;
    const char *renamed = properties_find(&settings->renames, column);
    *name = renamed ? strdup(renamed) : naming_fit(naming, column, settings->fold);
    return *name ? naming->check(*name, error) : error_out_of_memory(error);
}
