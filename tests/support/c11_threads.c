/* C11 threads on top of POSIX threads, for programs under ThreadSanitizer.
 *
 * librdkafka starts its threads with thrd_create(), which ThreadSanitizer does not know: it crashes
 * in the first of them. These definitions take the place of the C library's when they are linked
 * into the program, and make librdkafka's locks visible to the sanitizer. Never in a release.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mtx_t holds a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a cnd_t holds a pthread_cond_t");

struct start {
    thrd_start_t run;
    void *context;
};

static void *run_start(void *opaque)
{
    struct start start = *(struct start *) opaque;
    free(opaque);
    return (void *) (intptr_t) start.run(start.context);
}

static int result_of(int code)
{
    return code == 0 ? thrd_success
           : code == EBUSY ? thrd_busy
           : code == ETIMEDOUT ? thrd_timedout
           : code == ENOMEM ? thrd_nomem
                            : thrd_error;
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *context)
{
    struct start *start = malloc(sizeof *start);
    pthread_t made;
    if (!start)
        return thrd_nomem;
    *start = (struct start) {run, context};
    int code = pthread_create(&made, NULL, run_start, start);
    if (code)
        free(start);
    else
        *thread = made;
    return result_of(code);
}

int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int code = pthread_join(thread, &value);
    if (!code && result)
        *result = (int) (intptr_t) value;
    return result_of(code);
}

int thrd_detach(thrd_t thread)
{
    return result_of(pthread_detach(thread));
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int code = pthread_mutex_init((pthread_mutex_t *) mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result_of(code);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *) mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return result_of(pthread_mutex_trylock((pthread_mutex_t *) mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *) mutex));
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *) mutex);
}

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *) condition, NULL));
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *) condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *) condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(
        pthread_cond_wait((pthread_cond_t *) condition, (pthread_mutex_t *) mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *) condition,
                                            (pthread_mutex_t *) mutex, until));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *) condition);
}
