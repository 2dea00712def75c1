/* Limits messages that repeat for as long as an outage lasts: the first one, then one a minute,
 * which says how many there were. */
#ifndef RARE_H
#define RARE_H

#include <stdbool.h>
#include <stdint.h>

struct rare { /* zeroed at first */
    int64_t next_us;
    uint64_t held_back;
};

/* Is the message due? Then this thread has to log it next: to that line the log adds how many were
 * held back since the last one. */
bool rare_due(struct rare *rare);

#endif
