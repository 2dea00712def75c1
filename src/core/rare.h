/* Messages that repeat for as long as an outage lasts: once at first, then once a minute. */
#ifndef RARE_H
#define RARE_H

#include <stdbool.h>
#include <stdint.h>

struct rare { /* zeroed at first */
    int64_t next_us;
    uint64_t held_back;
};

/* Is it time? *held_back: how often it was not since the last time. */
bool rare_due(struct rare *rare, uint64_t *held_back);

#endif
