/* Rows of settings (ods/setting.h): finding one, and saying what it expects. */
#ifndef SETTING_H
#define SETTING_H

#include <ods/setting.h>

/* Structs of lists and maps begin with their name. */
static inline const char *setting_object_name(const void *object)
{
    return *(const char *const *) object;
}

/* The embedded object that each entry of a SETTING_NAMED starts as a copy of; NULL for other rows.
 */
const void *setting_template(const struct setting_group *group, const struct setting *row,
                             const void *object);

/* A group's row of that name; NULL: it has none. */
const struct setting *setting_row(const struct setting_group *group, const char *name);

/* The settings of the plug-in of that name; NULL: there is no such plug-in. */
const struct setting_group *setting_plugin(const struct setting *row, const char *name);
/* The same, of the plug-in that a struct of this group has chosen. */
const struct setting_group *setting_plugin_of(const struct setting_group *group,
                                              const struct setting *row, const void *object);

/* "string", "milliseconds 0 – 60000", "one of `a`, `b`": what a setting expects, for messages
 * (markdown false) and the reference (true). */
const char *setting_expects(const struct setting *row, bool markdown, char *buffer, size_t size);

/* Milliseconds of "90s", "15m", "1h" or "0"; -1: it is none. */
int64_t setting_duration(const char *text);
/* The other way, in the largest unit that leaves no rest. */
const char *setting_duration_text(int64_t ms, char *text, size_t size);

#endif
