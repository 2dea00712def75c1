#include "core/rare.h"

#include "core/log.h"
#include "core/time.h"

#define RARE_US INT64_C(60000000)

bool rare_due(struct rare *rare)
{
    int64_t now_us = time_monotonic_us();
    if (rare->next_us && now_us < rare->next_us) {
        rare->held_back++;
        return false;
    }
    rare->next_us = now_us + RARE_US;
    log_repeats(rare->held_back);
    rare->held_back = 0;
    return true;
}
