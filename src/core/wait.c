#include "core/wait.h"

#include "core/time.h"

void wait_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void wait_for_stop(pthread_mutex_t *mutex, pthread_cond_t *condition, const atomic_bool *stop,
                   int64_t ms)
{
    struct timespec until = time_deadline(ms);
    pthread_mutex_lock(mutex);
    while (!atomic_load(stop))
        if (pthread_cond_timedwait(condition, mutex, &until))
            break;
    pthread_mutex_unlock(mutex);
}
