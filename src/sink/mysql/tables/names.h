/* Names in the target, made from the source's names and the settings. */
#ifndef MYSQL_NAMES_H
#define MYSQL_NAMES_H

#include <ods/change.h>
#include <ods/pipeline.h>
#include <ods/status.h>

#define MYSQL_NAME_CHARACTERS 64

#define MYSQL_SOURCE_BYTES 640

/* "database.schema.table" of the source, as far as the record names them; cut where it is too
 * long. */
void mysql_name_source(const struct shape *shape, char name[MYSQL_SOURCE_BYTES]);

/* *name is NULL for a column that the settings leave out. */
enum ods_status mysql_name_column(const struct table_settings *settings, const char *column,
                                  char **name, struct error *error);
/* The name under which a column is kept when its place is taken, "<name>__v<number>", on the heap.
 * NULL: memory is out. */
char *mysql_name_kept(const char *name, unsigned number);
/* Is the table's name made from the source's, so that no other table of the source may share it? */
bool mysql_name_is_derived(const struct table_settings *settings);

#endif
