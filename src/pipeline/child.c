/* See child.h. */
#include "pipeline/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_BYTES    2000
#define ARGUMENTS_MAX 16

void child_init(struct child *child)
{
    *child = (struct child){0};
    pthread_mutex_init(&child->mutex, NULL);
}

void child_done(struct child *child)
{
    pthread_mutex_destroy(&child->mutex);
}

void child_stop(struct child *child, bool now)
{
    pthread_mutex_lock(&child->mutex);
    child->stopped = true;
    if (child->process)
        kill(child->process, now ? SIGKILL : SIGTERM);
    pthread_mutex_unlock(&child->mutex);
}

/* The daemon's threads block the signals that its main thread takes; a command has its own way. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    sigdelset(&defaults, SIGKILL);
    sigdelset(&defaults, SIGSTOP);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    if (!code)
        code = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (!code)
        code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return code;
}

/* Nothing of the daemon is open in it but the two pipes that it writes to. */
static int set_files(posix_spawn_file_actions_t *files, int out, int said)
{
    int code = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
    if (!code)
        code = posix_spawn_file_actions_adddup2(files, said, STDERR_FILENO);
    if (!code)
        code = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    return code;
}

/* 0, or errno. */
static int spawn(struct child *child, const char *const *arguments, int out, int said)
{
    char *words[ARGUMENTS_MAX + 2] = {(char *) (uintptr_t) "ods-sink"};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        words[i + 1] = (char *) (uintptr_t) arguments[i];
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int code = set_files(&files, out, said);
    if (!code)
        code = set_signals(&attributes);
    pthread_mutex_lock(&child->mutex);
    if (!code && child->stopped)
        code = ECANCELED;
    if (!code)
        code = posix_spawn(&child->process, "/proc/self/exe", &files, &attributes, words, environ);
    if (code)
        child->process = 0;
    pthread_mutex_unlock(&child->mutex);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

/* Both pipes until their ends; what is more than `most` bytes is read and forgotten. */
static void drain(int fd, struct buffer *text, size_t most, struct pollfd *poller)
{
    char part[4096];
    ssize_t got = read(fd, part, sizeof part);
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
        poller->fd = -1;
    if (got > 0 && text->length < most)
        buffer_add(text, part, (size_t) got);
}

static void listen_to(int out_fd, int said_fd, struct buffer *out, struct buffer *said)
{
    struct pollfd fds[] = {{.fd = out_fd, .events = POLLIN}, {.fd = said_fd, .events = POLLIN}};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].fd >= 0 && fds[0].revents)
            drain(out_fd, out, CHILD_BYTES, &fds[0]);
        if (fds[1].fd >= 0 && fds[1].revents)
            drain(said_fd, said, SAID_BYTES, &fds[1]);
    }
}

/* Its number is another's once it is collected, so that nobody may signal it then. */
static int collect(struct child *child)
{
    siginfo_t info;
    int status = 0;
    while (waitid(P_PID, (id_t) child->process, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&child->mutex);
    while (waitpid(child->process, &status, 0) < 0 && errno == EINTR)
        ;
    child->process = 0;
    pthread_mutex_unlock(&child->mutex);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum ods_status child_run(struct child *child, const char *const *arguments, int *code,
                          struct buffer *out, struct buffer *said, struct error *error)
{
    int outs[2], saids[2];
    if (pipe2(outs, O_CLOEXEC))
        return error_set(error, ODS_RETRY, "no pipe for a process: %s", strerror(errno));
    if (pipe2(saids, O_CLOEXEC)) {
        int reason = errno;
        close(outs[0]);
        close(outs[1]);
        return error_set(error, ODS_RETRY, "no pipe for a process: %s", strerror(reason));
    }
    int failed = spawn(child, arguments, outs[1], saids[1]);
    close(outs[1]);
    close(saids[1]);
    if (!failed) {
        listen_to(outs[0], saids[0], out, said);
        *code = collect(child);
    }
    close(outs[0]);
    close(saids[0]);
    return failed ? error_set(error, ODS_RETRY, "no process can be started: %s", strerror(failed))
                  : ODS_OK;
}
