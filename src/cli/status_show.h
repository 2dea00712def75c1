/* What `status` shows of a daemon, once or again and again. */
#ifndef STATUS_SHOW_H
#define STATUS_SHOW_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/terminal.h"

struct status_view {
    const json_t *status; /* the page /status */
    const char *host, *port;
    bool ready;
    const char *why; /* it is not */
    bool tables, partitions; /* each one too */
};

/* On terminal->out. False: memory is out. */
bool status_show(const struct terminal *terminal, const struct status_view *view);

#endif
