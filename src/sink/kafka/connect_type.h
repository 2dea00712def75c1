/* Columns as Kafka Connect's JsonConverter declares them, with Debezium's names of their meaning:
 * the other way round than format/connect_schema.h. */
#ifndef CONNECT_TYPE_H
#define CONNECT_TYPE_H

#include <ods/buffer.h>
#include <ods/value.h>

/* What a value of the column is called in a schema: "int32", "string", …; NULL: nothing that could
 * be declared. SEM_UNKNOWN is NULL too. */
const char *connect_base(const struct column *column);

/* May its bytes be any, such as a placeholder's? Those of decimals and bits are read as numbers. */
static inline bool connect_is_bytes(const struct column *column)
{
    return column->type == SEM_BYTES;
}

/* Append a field's schema: {"type":…,"optional":…,"name":…,"field":…}. `base` where the column has
 * no type of its own. `field` NULL: it has no name, as an array's items. */
void connect_put_field(struct buffer *out, const struct column *column, const char *base,
                       const char *field);

#endif
