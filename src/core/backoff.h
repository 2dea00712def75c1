/* Capped exponential back-off with jitter. */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    int64_t initial_ms, max_ms;
    int64_t current_ms;
    uint64_t random; /* state of its own generator */
    unsigned attempts;
};

void backoff_init(struct backoff *backoff, int64_t initial_ms, int64_t max_ms);
void backoff_reset(struct backoff *backoff);
int64_t backoff_next_ms(struct backoff *backoff); /* between half and all of the current step */
/* Sleep for the next step. False, without sleeping, if the time until_us (monotonic) has passed. */
bool backoff_sleep(struct backoff *backoff, int64_t until_us);

#endif
