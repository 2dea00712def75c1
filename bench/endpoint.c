/* An HTTP server that answers every request with 204, for measuring the http target.
 *
 *   endpoint PORT
 *
 * On SIGTERM it prints, as JSON: how many requests, the seconds from the first to the last, and the
 * quantiles of the time from the `"source_us":` of a body to its receipt.
 */
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 10000000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *delays_us;
static size_t count;
static int64_t first_us, last_us;

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void take(const char *body, size_t length)
{
    int64_t now = now_us(), then = now;
    const char *at = memmem(body, length, "\"source_us\":", 12);
    if (at)
        then = strtoll(at + 12, NULL, 10);
    pthread_mutex_lock(&mutex);
    if (!count)
        first_us = now;
    last_us = now;
    if (count < MOST)
        delays_us[count++] = now > then ? (uint32_t) (now - then) : 0;
    pthread_mutex_unlock(&mutex);
}

static enum MHD_Result answer(void *opaque, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *length, void **state)
{
    static int seen;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*length) {
        take(data, *length); /* bodies are small: one piece */
        *length = 0;
        return MHD_YES;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, 204, response);
    MHD_destroy_response(response);
    return result;
}

static int compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *) a, other = *(const uint32_t *) b;
    return (one > other) - (one < other);
}

int main(int argc, char **argv)
{
    sigset_t signals;
    int got;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    delays_us = malloc(MOST * sizeof *delays_us);
    struct MHD_Daemon *daemon =
        argc > 1 && delays_us
            ? MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO,
                               (uint16_t) atoi(argv[1]), NULL, NULL, answer, NULL, MHD_OPTION_END)
            : NULL;
    if (!daemon) {
        fprintf(stderr, "endpoint PORT: does not start\n");
        return 1;
    }
    sigwait(&signals, &got);
    MHD_stop_daemon(daemon);
    qsort(delays_us, count, sizeof *delays_us, compare);
    printf("{\"requests\": %zu, \"seconds\": %.3f, \"p50_ms\": %.1f, \"p99_ms\": %.1f}\n", count,
           (double) (last_us - first_us) / 1e6, count ? delays_us[count / 2] / 1e3 : 0,
           count ? delays_us[count * 99 / 100] / 1e3 : 0);
    return 0;
}
