/* A wall clock that jumps, for one process: preloaded, it adds the number that the file in
 * ODS_FAKE_CLOCK holds (int64, nanoseconds) to what the process reads as the time of day. The
 * monotonic clock is left alone, and waits until a time of day end when that time comes by this
 * clock: C11's cnd_timedwait() is librdkafka's; this program's own waits are monotonic.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ns;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("ODS_FAKE_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_cnd_timedwait = dlsym(RTLD_NEXT, "cnd_timedwait");
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (mapped != MAP_FAILED)
        offset_ns = mapped;
}

static struct timespec moved(struct timespec at, int sign)
{
    int64_t ns = offset_ns ? *offset_ns * sign : 0;
    ns += at.tv_nsec;
    at.tv_sec += ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    if (at.tv_nsec < 0) {
        at.tv_nsec += 1000000000;
        at.tv_sec--;
    }
    return at;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    if (!real_clock_gettime) /* asked before the constructor has run */
        real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real_clock_gettime(clock, at);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *at = moved(*at, 1);
    return code;
}

int timespec_get(struct timespec *at, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, at) == 0 ? base : 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void) zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict at)
{
    struct timespec until = moved(*at, -1);
    return real_cnd_timedwait(cond, mutex, &until);
}
