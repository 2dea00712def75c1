/* Which type holds the values of two types: the safe widenings. */
#ifndef WIDEN_H
#define WIDEN_H

#include <stdbool.h>
#include <stddef.h>

enum widening {
    WIDEN_FITS,  /* every value of the wanted type fits into the column as it is */
    WIDEN_WIDER, /* *wider takes every value of the wanted type and of the column, unchanged */
    WIDEN_OTHER, /* there is no such type */
};

/* Both types are among those that the sink makes columns of, as format_type() writes them. */
enum widening widen(const char *have, const char *wanted, char *wider, size_t wider_bytes);

/* Does PostgreSQL give a column the wider type without writing its rows again? */
bool widen_keeps_rows(const char *have, const char *wider);

/* The type to which the column's values are cast first, so that they become the wider type
 * unchanged. NULL: one cast is enough. */
const char *widen_by_way_of(const char *have, const char *wider);

#endif
