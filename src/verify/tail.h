/* What a record tells of where its source stood. */
#ifndef TAIL_H
#define TAIL_H

#include "verify/database.h"

struct told {
    bool is_change;  /* and no snapshot's: its time is one of the source's log */
    int64_t time_us; /* INT64_MIN: it does not say */
    struct source_place place; /* if known */
};

/* The record's value: an envelope, a flattened row with metadata of this prefix, or Maxwell's. */
void tail_read(const char *value, size_t length, const char *prefix, struct told *told);

#endif
