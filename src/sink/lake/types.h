/* The types of columns of lake tables: Arrow's, as Delta Lake has them. */
#ifndef LAKE_TYPES_H
#define LAKE_TYPES_H

#include <ods/pipeline.h>

#include "sink/source_column.h"

#define LAKE_DECIMAL_DIGITS 38
#define LAKE_FORMAT_BYTES   16
#define LAKE_NAME_BYTES     24

enum lake_type {
    LAKE_OTHER, /* one that values of a source are not written into */
    LAKE_BOOLEAN,
    LAKE_INT8,
    LAKE_INT16,
    LAKE_INT32,
    LAKE_INT64,
    LAKE_FLOAT,
    LAKE_DOUBLE,
    LAKE_DECIMAL,
    LAKE_STRING,
    LAKE_BINARY,
    LAKE_DATE,        /* days since 1970 */
    LAKE_TIMESTAMP,   /* microseconds, of no zone */
    LAKE_TIMESTAMPTZ, /* microseconds since 1970 UTC */
};

struct lake_typed {
    enum lake_type type;
    int precision, scale; /* of decimals */
};

/* From, and to, the format of Arrow's C Data Interface. */
struct lake_typed lake_type_read(const char *format);
void lake_type_format(const struct lake_typed *typed, char format[LAKE_FORMAT_BYTES]);
/* "decimal(10,2)", for people. */
void lake_type_name(const struct lake_typed *typed, char name[LAKE_NAME_BYTES]);
/* Bytes of a value; 0: a boolean is a bit, and texts and binaries have a length each. */
size_t lake_type_width(enum lake_type type);
bool lake_type_same(const struct lake_typed *a, const struct lake_typed *b);

/* The type of a column that ods-sink makes. `sample`: of a column without a schema; NULL: none. */
struct lake_typed lake_type_made(const struct source_column *source, const struct value *sample);

enum lake_widening {
    LAKE_HOLDS, /* the column holds all that the wanted type holds */
    LAKE_WIDER, /* it does as `wider` */
    LAKE_OTHERWISE,
};

/* Whether Iceberg lets a column become the wider type. */
bool lake_type_promotes(const struct lake_typed *have, const struct lake_typed *wider);
enum lake_widening lake_type_widen(const struct lake_typed *have, const struct lake_typed *wanted,
                                   struct lake_typed *wider);

#endif
