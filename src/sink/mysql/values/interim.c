/* Interim: integers and texts. */
#include <stdio.h>

#include "sink/mysql/values/encode.h"

enum ods_status mysql_encode(const struct mysql_encoding *encoding,
                             const struct mysql_column *column, const struct column *source,
                             const struct shape *shape, const struct value *value,
                             struct arena *arena, struct mysql_out *out, struct error *error)
{
    (void) encoding;
    (void) source;
    (void) shape;
    char text[40];
    switch (value->kind) {
    case VALUE_NULL:
        *out = (struct mysql_out){.form = MYSQL_NULL};
        return ODS_OK;
    case VALUE_BOOL:
    case VALUE_INT:
        out->length = (uint32_t) snprintf(text, sizeof text, "%lld", (long long) value->integer);
        out->form = MYSQL_NUMBER;
        out->bytes = arena_strndup(arena, text, out->length);
        return out->bytes ? ODS_OK : error_out_of_memory(error);
    case VALUE_NUMBER:
        *out = (struct mysql_out){MYSQL_NUMBER, value->length, value->bytes};
        return ODS_OK;
    case VALUE_TEXT:
    case VALUE_JSON:
        *out = (struct mysql_out){MYSQL_TEXT, value->length, value->bytes};
        return ODS_OK;
    default:
        snprintf(error->column, sizeof error->column, "%.60s", column->name);
        return error_set(error, ODS_REJECT, "column \"%s\": not yet", column->name);
    }
}
