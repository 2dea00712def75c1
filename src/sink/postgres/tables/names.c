/* Names in the target. See names.h. */
#include "sink/postgres/tables/names.h"

#include <string.h>

#include "sink/naming.h"

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

static enum ods_status check(const char *name, struct error *error)
{
    if (strlen(name) <= NAME_MAX_BYTES && *name)
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "the name \"%.80s\" has %zu bytes, PostgreSQL takes 1 to %d: give another "
                     "with schema:, target: or columns.rename in tables.yaml",
                     name, strlen(name), NAME_MAX_BYTES);
}

static const struct naming naming = {NAME_MAX_BYTES, cut, check};

char *name_fit(const char *name, enum name_case fold)
{
    return naming_fit(&naming, name, fold);
}

char *name_with(const char *name, const char *suffix)
{
    return naming_with(&naming, name, suffix);
}

char *name_kept(const char *name, unsigned number)
{
    return naming_kept(&naming, name, number);
}

enum ods_status name_table(const struct table_settings *settings, const struct shape *shape,
                           char **schema, char **table, struct error *error)
{
    const char *target = settings->target[0] ? settings->target : "${table}";
    const char *dot = strchr(target, '.');
    const char *own = dot ? dot + 1 : target;
    enum ods_status status = dot ? naming_expand(&naming, settings, shape, target,
                                                 (size_t) (dot - target), schema, error)
                                 : naming_expand(&naming, settings, shape, settings->schema,
                                                 strlen(settings->schema), schema, error);
    return status == ODS_OK
               ? naming_expand(&naming, settings, shape, own, strlen(own), table, error)
               : status;
}

bool name_is_derived(const struct table_settings *settings)
{
    return naming_is_derived(settings);
}

enum ods_status name_column(const struct table_settings *settings, const char *column, char **name,
                            struct error *error)
{
    return naming_column(&naming, settings, column, name, error);
}
