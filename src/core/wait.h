/* Conditions that are waited for until a moment, by a clock that nobody sets. */
#ifndef WAIT_H
#define WAIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A condition for time_deadline() (core/time.h). */
void wait_init(pthread_cond_t *condition);

/* Until `stop`, whose setter signals the condition in the mutex, for ms at most; the mutex is not
 * held before and after. */
void wait_for_stop(pthread_mutex_t *mutex, pthread_cond_t *condition, const atomic_bool *stop,
                   int64_t ms);

#endif
