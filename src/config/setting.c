/* What a row of settings says: how to find it, and what values it takes. */
#include "config/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const void *setting_template(const struct setting_group *group, const struct setting *row,
                             const void *object)
{
    SETTINGS_EACH (beside, group) {
        if (row->type == SETTING_NAMED && beside->type == SETTING_OBJECT && beside->of == row->of)
            return (const char *) object + beside->offset;
    }
    return NULL;
}

const struct setting *setting_row(const struct setting_group *group, const char *name)
{
    SETTINGS_EACH (row, group) {
        if (row->type != SETTING_PLUGIN && strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

const struct setting_group *setting_plugin(const struct setting *row, const char *name)
{
    const struct setting_group *group;
    const char *known;
    for (size_t i = 0; (group = row->plugins(i, &known)); i++) {
        if (strcmp(known, name) == 0)
            return group;
    }
    return NULL;
}

const struct setting_group *setting_plugin_of(const struct setting_group *group,
                                              const struct setting *row, const void *object)
{
    const struct setting *chooses = setting_row(group, row->name);
    return setting_plugin(row, *(const char *const *) ((const char *) object + chooses->offset));
}

static const char *choices(const struct setting *row, bool markdown, char *buffer, size_t size)
{
    size_t length = (size_t) snprintf(buffer, size, "one of");
    const char *before = " ", *quote = markdown ? "`" : "";
    for (const char *const *choice = row->choices; *choice; choice++) {
        if (!**choice)
            continue;
        if (length < size)
            length += (size_t) snprintf(buffer + length, size - length, "%s%s%s%s", before, quote,
                                        *choice, quote);
        before = ", ";
    }
    return buffer;
}

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};

int64_t setting_duration(const char *text)
{
    char *end;
    if (!*text || !strchr("0123456789", *text))
        return -1;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (errno || (!*end && number))
        return -1;
    if (!*end)
        return 0;
    end += *end == ' ';
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0)
            return __builtin_mul_overflow(number, units[i].ms, &number) ? -1 : number;
    return -1;
}

const char *setting_duration_text(int64_t ms, char *text, size_t size)
{
    size_t unit = 0;
    while (ms % units[unit].ms)
        unit++;
    snprintf(text, size, "%" PRId64 "%s", ms / units[unit].ms, ms ? units[unit].name : "");
    return text;
}

const char *setting_expects(const struct setting *row, bool markdown, char *buffer, size_t size)
{
    switch (row->type) {
    case SETTING_STRING:
        if (row->min > 1 && !markdown) {
            snprintf(buffer, size, "a string of at least %" PRId64 " bytes", row->min);
            return buffer;
        }
        if (row->min > 0 && !markdown)
            return "a string that is not empty";
        return markdown ? "string" : "a string";
    case SETTING_CHOICE:
    case SETTING_ENUM:
        return choices(row, markdown, buffer, size);
    case SETTING_BOOL:
        return markdown ? "`true` or `false`" : "true or false";
    case SETTING_INT:
    case SETTING_MS:
    case SETTING_BYTES:
        snprintf(buffer, size, "%s%s from %" PRId64 " to %" PRId64, markdown ? "" : "a number",
                 row->type == SETTING_MS      ? markdown ? "milliseconds" : " of milliseconds"
                 : row->type == SETTING_BYTES ? markdown ? "bytes" : " of bytes"
                 : markdown                   ? "number"
                                              : "",
                 row->min, row->max);
        return buffer;
    case SETTING_DURATION: {
        char least[32], most[32];
        snprintf(buffer, size, "%s%s, from %s to %s",
                 markdown ? "duration, as " : "a duration, as ",
                 markdown ? "`90s`, `15m` or `1h`" : "90s, 15m or 1h",
                 setting_duration_text(row->min, least, sizeof least),
                 setting_duration_text(row->max, most, sizeof most));
        return buffer;
    }
    case SETTING_COLUMN:
        return markdown ? "column name or `off`" : "a column name or off";
    case SETTING_STRINGS:
        if (row->choices && markdown) {
            size_t length = (size_t) snprintf(buffer, size, "list of ");
            return choices(row, markdown, buffer + length, size - length), buffer;
        }
        return markdown ? "list of strings" : "a list of strings";
    case SETTING_VALUES:
        return markdown ? "map from column to value" : "a map from column to value";
    case SETTING_TERMS:
        if (!row->choices)
            return markdown ? "map from column to value" : "a map from column to value";
        return markdown ? "map from column to what is done" : "a map from column to what is done";
    case SETTING_PROPERTIES:
        return markdown ? "group of name = value" : "a group of name = value";
    case SETTING_RENAMES:
        return markdown ? "map from name to name" : "a map from name to name";
    case SETTING_TYPES:
        return markdown ? "map from name to type" : "a map from name to type";
    case SETTING_OBJECT:
    case SETTING_NAMED:
        return markdown ? "group, see below" : "a group of settings";
    case SETTING_OBJECTS:
        return markdown ? "list of groups, see below" : "a list of groups";
    case SETTING_PLUGIN:
        break; /* it stands for the plug-in's settings and has no value itself */
    }
    return "";
}
