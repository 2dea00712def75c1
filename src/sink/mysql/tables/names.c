/* Names in the target. A name that comes from the source is folded as the settings say, and cut to
 * MySQL's 64 characters, of which the last nine then tell the whole name. */
#include "sink/mysql/tables/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "sink/mysql/tables/plan.h"
#include "sink/naming.h"

/* Bytes of the first `most` characters. */
static size_t bytes_of(const char *name, size_t most)
{
    const char *at = name;
    for (; *at; at++)
        if (((unsigned char) *at & 0xc0) != 0x80 && !most--)
            break;
    return (size_t) (at - name);
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

static const struct naming naming = {MYSQL_NAME_CHARACTERS, bytes_of, check};

char *mysql_name_kept(const char *name, unsigned number)
{
    return naming_kept(&naming, name, number);
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
        status =
            naming_expand(&naming, settings, shape, target, (size_t) (dot - target), schema, error);
    else if (strcmp(settings->schema, "public") == 0)
        status = (*schema = strdup("")) ? ODS_OK : error_out_of_memory(error);
    else
        status = naming_expand(&naming, settings, shape, settings->schema, strlen(settings->schema),
                               schema, error);
    if (status == ODS_OK)
        status = naming_expand(&naming, settings, shape, own, strlen(own), table, error);
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
    return naming_is_derived(settings);
}

enum ods_status mysql_name_column(const struct table_settings *settings, const char *column,
                                  char **name, struct error *error)
{
    return naming_column(&naming, settings, column, name, error);
}
