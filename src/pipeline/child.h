/* A command of this very program, run as a process of its own: what it does has its own memory and
 * connections, and its end is not the daemon's. */
#ifndef CHILD_H
#define CHILD_H

#include <pthread.h>
#include <sys/types.h>

#include <ods/buffer.h>
#include <ods/status.h>

#define CHILD_BYTES 1048576 /* of what it says that are kept */

struct child {
    pthread_mutex_t mutex; /* guards what follows */
    pid_t process;         /* 0: none runs */
    bool stopped;
};

void child_init(struct child *child);
void child_done(struct child *child);

/* Runs `ods-sink ARGUMENTS` and waits for its end: *code is its exit code, from 128 on a signal's.
 * What it writes is in `out`, and the beginning of what it says of errors in `said`. */
enum ods_status child_run(struct child *child, const char *const *arguments, int *code,
                          struct buffer *out, struct buffer *said, struct error *error);
/* Any thread: the command is to end between two of its steps, as by ^C, and none begins any more.
 * `now`: at once. */
void child_stop(struct child *child, bool now);

#endif
