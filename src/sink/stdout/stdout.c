/* Changes as JSON lines on standard output, for inspection.
 *
 * Lanes write whole lines in turn. A reader that stands still holds the lane up, as an outage does;
 * one that has gone stops it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ods/lines.h>
#include <ods/sink.h>

#define WAIT_MS 200
#define PIECE   4096 /* a pipe that takes anything takes this much at once (PIPE_BUF) */

struct stdout_sink {
    struct sink sink;
    struct sink_config config;
    struct buffer lines;
    atomic_bool interrupted;
};

extern const struct sink_ops stdout_sink;

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static bool torn; /* the last line was not written to its end */

static void stdout_close(struct sink *sink)
{
    if (sink)
        buffer_done(&((struct stdout_sink *) sink)->lines);
    free(sink);
}

static enum ods_status stdout_open(struct sink **sink, const struct sink_config *config,
                                   struct error *error)
{
    struct stdout_sink *out = calloc(1, sizeof *out);
    *sink = out ? &out->sink : NULL;
    if (!out)
        return error_out_of_memory(error);
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error, in commands too */
    out->config = *config;
    out->sink.ops = &stdout_sink;
    buffer_init(&out->lines);
    return ODS_OK;
}

static enum ods_status interrupted(const struct stdout_sink *out, struct error *error)
{
    if (out->config.alive)
        out->config.alive(out->config.alive_context);
    return atomic_load(&out->interrupted)
               ? error_set(error, ODS_RETRY, "target %s: interrupted", out->config.name)
               : ODS_OK;
}

/* Another lane may wait for the reader. */
static enum ods_status take_turn(const struct stdout_sink *out, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (struct timespec until; status == ODS_OK;) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WAIT_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_mutex_timedlock(&turn, &until) == 0)
            return ODS_OK;
        status = interrupted(out, error);
    }
    return status;
}

/* Writes some of the bytes; *written is how many. */
static enum ods_status write_some(struct stdout_sink *out, const char *bytes, size_t length,
                                  size_t *written, struct error *error)
{
    struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
    *written = 0;
    while (poll(&ready, 1, WAIT_MS) <= 0) {
        enum ods_status status = interrupted(out, error);
        if (status != ODS_OK)
            return status;
    }
    ssize_t sent = write(STDOUT_FILENO, bytes, length < PIECE ? length : PIECE);
    if (sent >= 0)
        *written = (size_t) sent;
    if (sent >= 0 || errno == EINTR || errno == EAGAIN)
        return ODS_OK;
    return error_set(error, errno == ENOSPC ? ODS_RETRY : ODS_FATAL,
                     "target %s: standard output: %s", out->config.name, strerror(errno));
}

static enum ods_status write_all(struct stdout_sink *out, struct error *error)
{
    enum ods_status status = ODS_OK;
    size_t at = 0, written;
    status = take_turn(out, error);
    if (status != ODS_OK)
        return status;
    if (torn)
        status = write_some(out, "\n", 1, &written, error);
    torn &= status != ODS_OK;
    while (status == ODS_OK && at < out->lines.length) {
        status = write_some(out, out->lines.bytes + at, out->lines.length - at, &written, error);
        at += written;
    }
    torn |= at && at < out->lines.length && out->lines.bytes[at - 1] != '\n';
    pthread_mutex_unlock(&turn);
    return status;
}

static enum ods_status stdout_apply(struct sink *sink, struct batch *batch,
                                    const struct apply_hooks *hooks, struct apply_result *result,
                                    struct error *error)
{
    struct stdout_sink *out = (struct stdout_sink *) sink;
    uint64_t count = 0;
    buffer_reset(&out->lines);
    enum ods_status status = lines_put_all(&out->lines, batch, out->config.pipeline, &count, error);
    if (status == ODS_OK && hooks && hooks->before_commit && batch_letters_wait(batch))
        status = hooks->before_commit(hooks->context, batch, error);
    if (status == ODS_OK)
        status = write_all(out, error);
    if (status == ODS_OK)
        result->upserted += count;
    return status;
}

static void stdout_interrupt(struct sink *sink)
{
    atomic_store(&((struct stdout_sink *) sink)->interrupted, true);
}

static void stdout_clear_interrupt(struct sink *sink)
{
    atomic_store(&((struct stdout_sink *) sink)->interrupted, false);
}

static const struct setting_group no_settings = {
    .title = "targets of type `stdout`",
    .intro = "Changes as JSON lines on standard output, as the `file` target writes them, for "
             "inspection; the log is on standard error. At least once. There is nothing to set.",
};

const struct sink_ops stdout_sink = {
    .type = "stdout",
    .summary = "changes as JSON lines on standard output",
    .guarantee = AT_LEAST_ONCE,
    .settings = &no_settings,
    .open = stdout_open,
    .connect = sink_needs_no_connection,
    .resume = sink_stores_no_offsets,
    .apply = stdout_apply,
    .interrupt = stdout_interrupt,
    .clear_interrupt = stdout_clear_interrupt,
    .close = stdout_close,
};
