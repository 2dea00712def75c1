/* Capped exponential back-off with jitter, so that lanes that lost the same server do not all come
 * back in the same instant. */
#include "core/backoff.h"

#include <time.h>
#include <unistd.h>

#include "core/time.h"

void backoff_init(struct backoff *backoff, int64_t initial_ms, int64_t max_ms)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *backoff = (struct backoff){
        .initial_ms = initial_ms > 0 ? initial_ms : 1,
        .max_ms = max_ms > initial_ms ? max_ms : initial_ms,
        .random = (uint64_t) now.tv_nsec * 2654435761u ^ (uint64_t) (uintptr_t) backoff,
    };
}

void backoff_reset(struct backoff *backoff)
{
    backoff->current_ms = 0;
    backoff->attempts = 0;
}

int64_t backoff_next_ms(struct backoff *backoff)
{
    backoff->attempts++;
    if (backoff->current_ms == 0)
        backoff->current_ms = backoff->initial_ms;
    else if (backoff->current_ms > backoff->max_ms / 2)
        backoff->current_ms = backoff->max_ms;
    else
        backoff->current_ms *= 2;
    backoff->random = backoff->random * UINT64_C(6364136223846793005) + 1;
    int64_t half = backoff->current_ms / 2;
    return half + (int64_t) ((backoff->random >> 33) % (uint64_t) (backoff->current_ms - half + 1));
}

bool backoff_sleep(struct backoff *backoff, int64_t until_us)
{
    int64_t left_ms = (until_us - time_monotonic_us()) / 1000, step_ms = backoff_next_ms(backoff);
    if (left_ms <= 0)
        return false;
    usleep((useconds_t) ((step_ms < left_ms ? step_ms : left_ms) * 1000));
    return true;
}
