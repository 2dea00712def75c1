/* One canonical form for each value of a target's column, whatever its spelling.
 *
 * An element is a part of a binary array or row: its length (int32, -1 for NULL) and its bytes. The
 * sink's encoder makes one from the source's value, and the target sends one for its own value. The
 * values are equal when their canonical elements have the same bytes.
 */
#ifndef CANON_H
#define CANON_H

#include <ods/buffer.h>
#include "sink/postgres/tables/catalog.h"

enum canon {
    CANON_BYTES,       /* equal values have equal bytes */
    CANON_NUMERIC,     /* 1.0 is 1.00 */
    CANON_FLOAT,       /* -0 is 0 */
    CANON_SHORT_FLOAT, /* six digits: MySQL shows no more of its float */
    CANON_BLANKS,      /* char(n): trailing blanks don't count */
    CANON_JSON,        /* by meaning; jsonb begins with the number of its format */
    CANON_JSONB,
    CANON_INTERVAL, /* its length: a month is 30.4375 days, as Debezium counts */
};

/* The length of an element for a value that the sink refuses. */
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

/* Makes the element at `start` canonical. It must be the buffer's last one. False: memory is
 * out. */
bool canon_element(enum canon canon, struct buffer *out, size_t start);

/* Appends JSON by its meaning: members sorted by name, only the last of several with one name,
 * numbers by value. False: it is not JSON, or out of memory (out->failed). */
bool canon_json(struct buffer *out, const char *json, size_t length);

#endif
