/* Names in the target. A name that comes from the source is folded as the settings say, and cut to
 * MySQL's 64 characters, of which the last nine then tell the whole name. */
#include "sink/mysql/tables/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include "core/utf8.h"
#include "sink/mysql/tables/plan.h"

#define DIGEST_CHARACTERS 9 /* "_" and eight digits */

/* FNV-1a. It must not change: names of existing tables and columns contain it. */
static uint32_t digest(const char *name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *name; name++)
        hash = (hash ^ (unsigned char) *name) * UINT32_C(16777619);
    return hash;
}

/* Bytes of the first `most` characters. */
static size_t bytes_of(const char *name, size_t most)
{
    const char *at = name;
    for (; *at; at++)
        if (((unsigned char) *at & 0xc0) != 0x80 && !most--)
            break;
    return (size_t) (at - name);
}

static char *shorten(const char *name, const char *suffix)
{
    char *fitting = NULL;
    size_t room = MYSQL_NAME_CHARACTERS - strlen(suffix);
    int written = !name[bytes_of(name, room)]
                      ? asprintf(&fitting, "%s%s", name, suffix)
                      : asprintf(&fitting, "%.*s_%08x%s",
                                 (int) bytes_of(name, room - DIGEST_CHARACTERS), name,
                                 digest(name), suffix);
    return written < 0 ? NULL : fitting;
}

static char *fit(const char *name, enum name_case fold)
{
    char *folded = strdup(name);
    for (char *at = folded; at && fold == NAME_LOWER && *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char) (*at | 0x20);
    char *fitting = folded ? shorten(folded, "") : NULL;
    free(folded);
    return fitting;
}

char *mysql_name_kept(const char *name, unsigned number)
{
    char suffix[16];
    snprintf(suffix, sizeof suffix, "__v%u", number);
    return shorten(name, suffix);
}

/* MySQL has neither empty names nor such as end in a blank. */
static enum ods_status check(const char *name, struct error *error)
{
    size_t length = strlen(name);
    if (length && name[length - 1] != ' ' && !name[bytes_of(name, MYSQL_NAME_CHARACTERS)])
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "the name \"%.80s\" is none that MySQL takes, 1 to %d characters without a "
                     "blank at the end: give another with schema:, target: or columns.rename in "
                     "tables.yaml",
                     name, MYSQL_NAME_CHARACTERS);
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

/* Puts the source's names in place of ${…}. A text without ${…} is used as the settings have it. */
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
            : filled   ? fit(buffer_text(&out), settings->fold)
                       : strdup(buffer_text(&out));
    buffer_done(&out);
    return *name ? check(*name, error) : error_out_of_memory(error);
}

/* `schema` is a database here. Its default, the schema that PostgreSQL has by default, stands for
 * the session's own: an empty name. */
enum ods_status mysql_name_table(const struct table_settings *settings, const struct shape *shape,
                                 char **schema, char **table, struct error *error)
{
    const char *target = settings->target[0] ? settings->target : "${table}";
    const char *dot = strchr(target, '.'), *own = dot ? dot + 1 : target;
    enum ods_status status = ODS_OK;
    *schema = *table = NULL;
    if (dot)
        status = expand(settings, shape, target, (size_t) (dot - target), schema, error);
    else if (strcmp(settings->schema, "public") == 0)
        status = (*schema = strdup("")) ? ODS_OK : error_out_of_memory(error);
    else
        status =
            expand(settings, shape, settings->schema, strlen(settings->schema), schema, error);
    if (status == ODS_OK)
        status = expand(settings, shape, own, strlen(own), table, error);
    if (status != ODS_OK) {
        free(*schema);
        free(*table);
        *schema = *table = NULL;
    }
    return status;
}

void mysql_name_source(const struct shape *shape, char name[MYSQL_SOURCE_BYTES])
{
    snprintf(name, MYSQL_SOURCE_BYTES, "%.200s%s%.200s%s%.200s", shape->database,
             shape->database[0] ? "." : "", shape->schema, shape->schema[0] ? "." : "",
             shape->table);
    name[utf8_cut(name, strlen(name))] = '\0';
}

bool mysql_name_is_derived(const struct table_settings *settings)
{
    return !settings->target[0] || strstr(settings->target, "${table}") ||
           strstr(settings->target, "${topic}");
}

enum ods_status mysql_name_column(const struct table_settings *settings, const char *column,
                                  char **name, struct error *error)
{
    *name = NULL;
    if ((settings->include.count && !strings_contain(&settings->include, column)) ||
        strings_contain(&settings->exclude, column))
        return ODS_OK;
    const char *renamed = properties_find(&settings->renames, column);
    *name = renamed ? strdup(renamed) : fit(column, settings->fold);
    return *name ? check(*name, error) : error_out_of_memory(error);
}
