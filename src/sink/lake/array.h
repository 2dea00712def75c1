/* Columns of rows as Arrow arrays, filled value by value, and handed over by the C Data Interface.
 */
#ifndef LAKE_ARRAY_H
#define LAKE_ARRAY_H

#include <ods/buffer.h>
#include <ods/lake.h>
#include <ods/status.h>

#include "sink/lake/types.h"

struct lake_array {
    struct lake_typed type;
    const char *format;     /* of the C Data Interface; outlives the array */
    struct buffer data;     /* values of one width; bits of booleans; bytes of texts and binaries */
    struct buffer offsets;  /* of texts and binaries: where each begins, and where the last ends */
    struct buffer validity; /* a bit each: it is no NULL; empty: none is */
    int64_t length, nulls;
    uint32_t width; /* of a value in bytes; 0: texts, binaries and booleans */
};

void lake_array_init(struct lake_array *array, const struct lake_typed *type, const char *format);
void lake_array_done(struct lake_array *array);
/* Room for so many values, of texts and binaries without their bytes. */
void lake_array_reserve(struct lake_array *array, size_t values);
/* Memory ran out in one of the calls below, or the texts have more bytes than 32 bits count. */
bool lake_array_failed(const struct lake_array *array);

void lake_array_null(struct lake_array *array);
void lake_array_bit(struct lake_array *array, bool bit);
void lake_array_fixed(struct lake_array *array, const void *value); /* of the type's width */
void lake_array_bytes(struct lake_array *array, const void *bytes, size_t length);
/* Takes out what was put after the first `length` values, of which there is one at most. */
void lake_array_cut(struct lake_array *array, int64_t length);

/* The columns as one struct array and its schema, which own the memory then; the arrays are empty.
 * False: memory is out, and nothing has moved. `arrays` NULL: the schema of no rows. */
bool lake_array_export(struct lake_array *arrays, const char *const *names, size_t count,
                       struct ArrowArray *array, struct ArrowSchema *schema);
/* A schema alone. */
bool lake_schema_export(const char *const *formats, const char *const *names, size_t count,
                        struct ArrowSchema *schema);

#endif
