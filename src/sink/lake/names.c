/* Names of tables and columns. A namespace and a table are folders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "sink/lake/plan.h"
#include "sink/naming.h"

#define NAME_BYTES 200 /* of a folder, with room for what is put behind it */

static size_t cut(const char *name, size_t most)
{
    size_t length = strlen(name);
    return length <= most ? length : utf8_cut(name, most);
}

static enum ods_status check_table(const char *name, struct error *error)
{
    bool good = *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                !strpbrk(name, "/\\\n\t") && strlen(name) <= NAME_BYTES;
    return good ? ODS_OK
                : error_set(error, ODS_REJECT,
                            "the name \"%.80s\" is none that a folder of the lake can have (1 to "
                            "%d bytes, without /): give another with schema: or target: in "
                            "tables.yaml",
                            name, NAME_BYTES);
}

static enum ods_status check_column(const char *name, struct error *error)
{
    bool good = *name && !strpbrk(name, " ,;{}()\n\t=") && strlen(name) <= NAME_BYTES &&
                strncmp(name, "_ods_", 5) != 0;
    return good ? ODS_OK
                : error_set(error, ODS_REJECT,
                            "the column name \"%.80s\" is none that every reader of the lake takes "
                            "(no blank , ; { } ( ) = in it, not _ods_ in front): give another with "
                            "columns.rename in tables.yaml",
                            name);
}

static const struct naming of_tables = {NAME_BYTES, cut, check_table};
static const struct naming of_columns = {NAME_BYTES, cut, check_column};

/* The default of `schema` is the one that PostgreSQL has by default; here it stands for the
 * source's own, so that tables of one name stay apart. */
static enum ods_status name_schema(const struct table_settings *settings, const struct shape *shape,
                                   char **schema, struct error *error)
{
    const char *text = strcmp(settings->schema, "public") == 0 ? "${schema}" : settings->schema;
    if (text != settings->schema && !*shape->schema && !*shape->database)
        text = "public";
    return naming_expand(&of_tables, settings, shape, text, strlen(text), schema, error);
}

static enum ods_status name_of(const struct table_settings *settings, const struct shape *shape,
                               const char *target, char **schema, char **table, struct error *error)
{
    const char *dot = strchr(target, '.'), *own = dot ? dot + 1 : target;
    *schema = *table = NULL;
    enum ods_status status = dot ? naming_expand(&of_tables, settings, shape, target,
                                                 (size_t) (dot - target), schema, error)
                                 : name_schema(settings, shape, schema, error);
    if (status == ODS_OK)
        status = naming_expand(&of_tables, settings, shape, own, strlen(own), table, error);
    if (status != ODS_OK) {
        free(*schema);
        free(*table);
        *schema = *table = NULL;
    }
    return status;
}

enum ods_status lake_name_table(const struct table_settings *settings, const struct shape *shape,
                                char **schema, char **table, struct error *error)
{
    const char *target = *settings->target ? settings->target : "${table}";
    return name_of(settings, shape, target, schema, table, error);
}

enum ods_status lake_name_history(const struct table_settings *settings, const struct shape *shape,
                                  char **schema, char **table, struct error *error)
{
    if (*settings->history.name)
        return name_of(settings, shape, settings->history.name, schema, table, error);
    enum ods_status status = lake_name_table(settings, shape, schema, table, error);
    if (status != ODS_OK)
        return status;
    char *name = naming_with(&of_tables, *table, "_cdc");
    free(*table);
    *table = name;
    if (name)
        return ODS_OK;
    free(*schema);
    *schema = NULL;
    return error_out_of_memory(error);
}

enum ods_status lake_name_column(const struct table_settings *settings, const char *column,
                                 char **name, struct error *error)
{
    return naming_column(&of_columns, settings, column, name, error);
}
