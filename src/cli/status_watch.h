/* `status --watch`: the same again and again on a terminal, in place. */
#ifndef STATUS_WATCH_H
#define STATUS_WATCH_H

#include <ods/status.h>
#include "cli/status_show.h"

/* Asks the daemon: *status is the page /status, and `view` has the rest of the answer, which lives
 * until the next call. False with the error filled: nobody answers. */
typedef bool status_asker(void *context, struct status_view *view, json_t **status,
                          struct error *error);

/* Until q, ^C or SIGTERM; `wanted` says what is shown too. Answers the exit code. */
int status_watch(const struct terminal *terminal, status_asker *ask, void *context,
                 const struct status_view *wanted);

#endif
