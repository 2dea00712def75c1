/* One signalfd. Threads that are started later inherit the mask, those of the libraries too. */
#include "pipeline/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum ods_status signals_open(int *fd, struct error *error)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    /* A server that closes its connection is an error of a write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    *fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (*fd < 0)
        return error_set(error, ODS_FATAL, "signalfd: %s", strerror(errno));
    return ODS_OK;
}

int signals_take(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == (ssize_t) sizeof info ? (int) info.ssi_signo : 0;
}
