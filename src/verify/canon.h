/* One form for each value of a target's column, whichever of its spellings it comes in.
 *
 * An element is what stands in a binary array or row: its length (int32, -1 for NULL) and its
 * bytes. What the sink's encoder makes of a source's value and what the target sends of its own
 * are equal when their canonical elements are the same bytes.
 */
#ifndef CANON_H
#define CANON_H

#include <ods/buffer.h>
#include "sink/postgres/tables/catalog.h"

enum canon {
    CANON_BYTES,       /* equal values have equal bytes */
    CANON_NUMERIC,     /* 1.0 is 1.00 */
    CANON_FLOAT,       /* -0 is 0 */
    CANON_SHORT_FLOAT, /* to six digits: MySQL's float, of which it shows no more */
    CANON_BLANKS,      /* char(n): padding says nothing */
    CANON_JSON,        /* by meaning; jsonb with the number of its format before it */
    CANON_JSONB,
    CANON_INTERVAL, /* its length: a month is 30.4375 days, as Debezium counts */
};

/* Length of an element that stands for a value which the sink refuses. */
#define ELEMENT_REFUSED (-2)

static inline int32_t element_length(const char *element)
{
    uint32_t length;
    memcpy(&length, element, sizeof length);
    return (int32_t) __builtin_bswap32(length);
}

static inline size_t element_bytes(const char *element)
{
    int32_t length = element_length(element);
    return 4 + (length > 0 ? (size_t) length : 0);
}

void element_put_length(struct buffer *out, int32_t length);

/* How a column's values become canonical. `short_floats`: the source is MySQL's float. */
enum canon canon_of(const struct pg_column *column, bool short_floats);

/* Make the element at `start`, the last of the buffer, canonical in its place. False: memory is
   out. */
bool canon_element(enum canon canon, struct buffer *out, size_t start);

/* Append JSON by its meaning: members by name, the last of two of one name, numbers by value.
 * ODS: false when it is none, or memory is out (out->failed). */
bool canon_json(struct buffer *out, const char *json, size_t length);

#endif
