/* Which column type holds what two types hold: the safe widenings, as one table of rules. */
#ifndef WIDEN_H
#define WIDEN_H

#include <stddef.h>

enum widening {
    WIDEN_FITS,  /* every value of the wanted type can go into the column as it is */
    WIDEN_WIDER, /* into *wider, into which the column's own values go unchanged too */
    WIDEN_OTHER, /* there is no such type */
};

/* Both as format_type() writes them, of types that the sink makes columns of. */
enum widening widen(const char *have, const char *wanted, char *wider, size_t wider_bytes);

/* The type by way of which the column's own values become the wider type unchanged; NULL: the cast
 * does it. */
const char *widen_by_way_of(const char *have, const char *wider);

#endif
