/* The rows of a record type, read straight from their bytes: a step for each field, compiled when a
 * schema is first seen. No look-up, no copy but of what is nested; bytes and texts stay where they
 * are. */
#ifndef AVRO_ROW_H
#define AVRO_ROW_H

#include <ods/batch.h>

#include "format/avro/avro_schema.h"
#include "format/layout.h"

struct avro_step {
    uint8_t kind;   /* enum avro_kind of the value; AVRO_UNION: the branch's own decides */
    uint8_t branch; /* 0: no union; else the index of null in one of two branches, plus 1 */
    uint8_t meta;   /* enum meta of a flattened row's field */
    uint32_t column;
    const struct avro_type *type; /* of the value, without the union around it */
    const char *name;
};

struct avro_row {
    struct avro_step *steps;
    uint32_t count;
};

/* What rows are read with. */
struct avro_reader {
    struct avro_scan scan;
    struct arena *arena;
    const struct unavailable *unavailable;
    struct buffer *json; /* reused for what is nested */
    const char *column;  /* the one at fault, once something is; NULL: none */
    bool out_of_memory;
};

/* The steps of `type`, a record, whose fields are the slots of `layout` in their order. False:
 * out of memory. */
bool avro_row_compile(struct avro_row *row, struct blocks *blocks, const struct avro_type *type,
                      const struct layout *layout);

/* Read the row at the cursor into values[column_count]; meta[META_COUNT] may be NULL where the
 * layout has no metadata, and is to be zeroed. False: scan.problem and column say why, or memory is
 * out. */
bool avro_row_read(const struct avro_row *row, struct avro_reader *reader, struct value *values,
                   struct value *meta);
/* Move past it. */
bool avro_row_skip(const struct avro_row *row, struct avro_scan *scan);

#endif
