/* Names in the target, made from the source's names and the settings. */
#ifndef NAMES_H
#define NAMES_H

#include <ods/change.h>
#include <ods/status.h>
#include "config/settings.h"

#define NAME_MAX_BYTES 63 /* NAMEDATALEN - 1 */

/* All names returned here are on the heap; NULL: memory is out. */

/* A name of the source as the target can have it: folded, and shortened where it is too long. */
char *name_fit(const char *name, enum name_case fold);
/* The name under which a column is kept when its place is taken: "<name>__v<number>". */
char *name_kept(const char *name, unsigned number);

/* The name with the suffix, shortened where both are too long. */
char *name_with(const char *name, const char *suffix);

/* Schema and table. ODS_FATAL: a name in the settings is not valid. */
enum ods_status name_table(const struct table_settings *settings, const struct shape *shape,
                           char **schema, char **table, struct error *error);
/* Is the table's name made from the source's, so that no other table of the source may share it? */
bool name_is_derived(const struct table_settings *settings);

/* *name is NULL for a column that the settings leave out. */
enum ods_status name_column(const struct table_settings *settings, const char *column, char **name,
                            struct error *error);

#endif
