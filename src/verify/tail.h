/* What a record says about its place in the source's log. */
#ifndef TAIL_H
#define TAIL_H

#include "verify/database.h"

struct told {
    bool is_change;  /* it is a change and not from a snapshot: its time is from the log */
    int64_t time_us; /* INT64_MIN: the record has none */
    struct source_place place; /* if known */
};

/* Reads a record's value: an envelope, a flattened row whose metadata have this prefix, or
 * Maxwell's. */
void tail_read(const char *value, size_t length, const char *prefix, struct told *told);

#endif
