/* What `status` shows of the sources: their logs, and the last comparison with each; and of derived
 * tables. */
#ifndef STATUS_SOURCES_H
#define STATUS_SOURCES_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/terminal.h"

struct columns;

/* A cell: seconds in the unit that fits, -1: "-". */
void status_add_duration(struct columns *table, double seconds);
/* How long ago a moment of /status was, "-" where it is none. */
void status_add_ago(struct columns *table, const json_t *status, const json_t *at);

/* Of a `level` of /status: good, warn or bad. */
enum paint status_paint(const char *level);

/* `status`: the page /status. Nothing where the daemon has nothing of the kind. False: memory is
 * out. */
bool status_print_sources(const struct terminal *terminal, const json_t *status);
bool status_print_connectors(const struct terminal *terminal, const json_t *status);
bool status_print_verify(const struct terminal *terminal, const json_t *status);
bool status_print_derived(const struct terminal *terminal, const json_t *status);

#endif
