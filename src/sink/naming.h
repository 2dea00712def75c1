/* Names in a target whose tables have names: made from the source's names and the settings. A
 * target says how long they may be, and which it takes. */
#ifndef SINK_NAMING_H
#define SINK_NAMING_H

#include <ods/change.h>
#include <ods/pipeline.h>
#include <ods/status.h>

struct naming {
    size_t most; /* the longest name, in the target's own unit */
    /* The length in bytes of the name when it is cut to so much, and no character is split. */
    size_t (*cut)(const char *name, size_t most);
    enum ods_status (*check)(const char *name, struct error *error);
};

/* All names returned here are on the heap; NULL: memory is out. */

/* A name of the source as the target can have it: folded, and shortened where it is too long. */
char *naming_fit(const struct naming *naming, const char *name, enum name_case fold);
/* The name with the suffix, shortened where both are too long. */
char *naming_with(const struct naming *naming, const char *name, const char *suffix);
/* The name under which a column is kept when its place is taken: "<name>__v<number>". */
char *naming_kept(const struct naming *naming, const char *name, unsigned number);

/* Puts the source's names in place of ${…} in the text. A text without ${…} is used as the settings
 * have it; a text with it depends on the source, and so is folded and shortened. */
enum ods_status naming_expand(const struct naming *naming, const struct table_settings *settings,
                              const struct shape *shape, const char *text, size_t length,
                              char **name, struct error *error);
/* Is the table's name made from the source's, so that no other table of the source may share it? */
bool naming_is_derived(const struct table_settings *settings);
/* *name is NULL for a column that the settings leave out. */
enum ods_status naming_column(const struct naming *naming, const struct table_settings *settings,
                              const char *column, char **name, struct error *error);

#endif
