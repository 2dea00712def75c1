/* Names in the target. See names.h. */
#include "sink/postgres/tables/names.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>

#define DIGEST_BYTES 9 /* "_" and eight digits */

/* FNV-1a. It must not change: names of existing tables and columns contain it. */
static uint32_t digest(const char *name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *name; name++)
        hash = (hash ^ (unsigned char) *name) * UINT32_C(16777619);
    return hash;
}

/* The name's length in bytes when it is cut to `room` bytes and no character is split. */
static size_t cut(const char *name, size_t room)
{
    size_t length = strlen(name);
    if (length <= room)
        return length;
    while (room && ((unsigned char) name[room] & 0xc0) == 0x80)
        room--;
    return room;
}

/* The name with the suffix, shortened to the length that PostgreSQL allows. */
static char *shorten(const char *name, const char *suffix)
{
    char *fitting = NULL;
    size_t room = NAME_MAX_BYTES - strlen(suffix);
    int written = strlen(name) <= room
                      ? asprintf(&fitting, "%s%s", name, suffix)
                      : asprintf(&fitting, "%.*s_%08x%s", (int) cut(name, room - DIGEST_BYTES),
                                 name, digest(name), suffix);
    return written < 0 ? NULL : fitting;
}

char *name_fit(const char *name, enum name_case fold)
{
    char *folded = strdup(name);
    for (char *at = folded; at && fold == NAME_LOWER && *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char) (*at | 0x20);
    char *fitting = folded ? shorten(folded, "") : NULL;
    free(folded);
    return fitting;
}

char *name_with(const char *name, const char *suffix)
{
    return shorten(name, suffix);
}

char *name_kept(const char *name, unsigned number)
{
    char suffix[16];
    snprintf(suffix, sizeof suffix, "__v%u", number);
    return shorten(name, suffix);
}

static enum ods_status check(const char *name, struct error *error)
{
    if (strlen(name) <= NAME_MAX_BYTES && *name)
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "the name \"%.80s\" has %zu bytes, PostgreSQL takes 1 to %d: give another "
                     "with schema:, target: or columns.rename in tables.yaml",
                     name, strlen(name), NAME_MAX_BYTES);
}

/* --- ${topic}, ${db}, ${schema}, ${table} --------------------------------------------------- */

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

/* Puts the source's names in place of ${…} in the text. A text without ${…} is used as the settings
 * have it; a text with it depends on the source, and so is folded and shortened. */
static enum ods_status expand(const struct table_settings *settings, const struct shape *shape,
                              const char *text, size_t length, char **name, struct error *error)
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
            : filled   ? name_fit(buffer_text(&out), settings->fold)
                       : strdup(buffer_text(&out));
    buffer_done(&out);
    return *name ? check(*name, error) : error_out_of_memory(error);
}

enum ods_status name_table(const struct table_settings *settings, const struct shape *shape,
                           char **schema, char **table, struct error *error)
{
    const char *target = settings->target[0] ? settings->target : "${table}";
    const char *dot = strchr(target, '.');
    const char *own = dot ? dot + 1 : target;
    enum ods_status status =
        dot ? expand(settings, shape, target, (size_t) (dot - target), schema, error)
            : expand(settings, shape, settings->schema, strlen(settings->schema), schema, error);
    return status == ODS_OK ? expand(settings, shape, own, strlen(own), table, error) : status;
}

bool name_is_derived(const struct table_settings *settings)
{
    return !settings->target[0] || strstr(settings->target, "${table}") ||
           strstr(settings->target, "${topic}");
}

/* --- columns -------------------------------------------------------------------------------- */

enum ods_status name_column(const struct table_settings *settings, const char *column, char **name,
                            struct error *error)
{
    *name = NULL;
    if ((settings->include.count && !strings_contain(&settings->include, column)) ||
        strings_contain(&settings->exclude, column))
        return ODS_OK;
    const char *renamed = properties_find(&settings->renames, column);
    *name = renamed ? strdup(renamed) : name_fit(column, settings->fold);
    return *name ? check(*name, error) : error_out_of_memory(error);
}
