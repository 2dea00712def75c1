/* Limits messages that repeat for as long as an outage lasts: the first one, then one a minute. */
#ifndef RARE_H
#define RARE_H

#include <stdbool.h>
#include <stdint.h>

struct rare { /* zeroed at first */
    int64_t next_us;
    uint64_t held_back;
};

/* Is the message due? *held_back: how many were suppressed since the last one. */
bool rare_due(struct rare *rare, uint64_t *held_back);

#endif
