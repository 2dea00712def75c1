/* What a value means where its record does not tell all of it. The rules are those of the MySQL
 * target, whose columns are told apart like these. */
#include <string.h>

#include "sink/lake/encode.h"
#include "sink/mysql/values/encoder.h"

static enum mysql_type twin_of(enum lake_type type)
{
    switch (type) {
    case LAKE_FLOAT:
    case LAKE_DOUBLE:
        return MYSQL_IS_DOUBLE;
    case LAKE_DECIMAL:
        return MYSQL_IS_DECIMAL;
    case LAKE_STRING:
        return MYSQL_IS_TEXT;
    case LAKE_BINARY:
        return MYSQL_IS_BLOB;
    case LAKE_DATE:
        return MYSQL_IS_DATE;
    case LAKE_TIMESTAMP:
        return MYSQL_IS_DATETIME;
    case LAKE_TIMESTAMPTZ:
        return MYSQL_IS_TIMESTAMP;
    default:
        return MYSQL_IS_BIGINT;
    }
}

enum ods_status lake_find_meaning(struct lake_encoder *encoder, const struct source_column *source,
                                  struct lake_sense *room)
{
    const struct lake_typed *type = &encoder->array->type;
    const struct mysql_encoding encoding = {.source = encoder->encoding->source,
                                            .table = encoder->encoding->table,
                                            .key = encoder->key,
                                            .result = encoder->encoding->result};
    const struct mysql_column column = {
        .name = (char *) (uintptr_t) encoder->name,
        .type = twin_of(type->type),
        .precision = type->type == LAKE_DECIMAL ? (uint32_t) type->precision : 6,
        .scale = (uint32_t) type->scale};
    struct mysql_sense sense = {.value = *encoder->value};
    struct mysql_encoder twin = {.encoding = &encoding,
                                 .target = &column,
                                 .source = &source->column,
                                 .value = encoder->value,
                                 .arena = encoder->encoding->arena,
                                 .error = encoder->error};
    enum ods_status status = mysql_find_meaning(&twin, source, &sense);
    if (encoder->error)
        encoder->error->code[0] = '\0'; /* it would be one of MySQL's */
    room->source = sense.source;
    room->value = sense.value;
    if (room->source.column.element == &sense.source.element)
        room->source.column.element = &room->source.element;
    /* A double of the source is the nearest one; of a number without a type each digit counts. */
    if (source->column.type == SEM_UNKNOWN && room->source.column.type == SEM_FLOAT64)
        room->source.column.type = SEM_UNKNOWN;
    encoder->source = &room->source.column;
    encoder->value = &room->value;
    return status;
}
