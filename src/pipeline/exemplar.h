/* The trace of one observation of a histogram's bucket, the newest that had one. Written by one
 * thread and read by others without a lock: `version` is odd while it is written. */
#ifndef EXEMPLAR_H
#define EXEMPLAR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct exemplar_cell { /* zeroed at first */
    atomic_uint_fast64_t version;
    atomic_uint_fast64_t trace[2];
    atomic_int_fast64_t value, at_us; /* in the histogram's unit; wall clock */
};

struct exemplar {
    uint64_t trace[2];
    int64_t value, at_us;
};

void exemplar_note(struct exemplar_cell *cell, const char *trace, int64_t value, int64_t at_us);
bool exemplar_read(const struct exemplar_cell *cell, struct exemplar *exemplar); /* false: none */

#endif
