/* How the connectors of each cluster of Kafka Connect are: asked now and then, for /status,
 * /metrics and the log. A connector whose task has failed brings nothing, which from here looks
 * like a quiet source. */
#ifndef CONNECTOR_WATCH_H
#define CONNECTOR_WATCH_H

#include <stdatomic.h>

#include <jansson.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct connector_watch;

/* *watch is NULL where there is no cluster to ask. The settings and `stop` outlive it; all of these
 * accept NULL. */
enum ods_status connector_watch_new(struct connector_watch **watch,
                                    const struct settings *settings, const atomic_bool *stop,
                                    struct error *error);
void connector_watch_free(struct connector_watch *watch);

/* Asks the clusters whose time has come; when the next one's does (monotonic; INT64_MAX: never). */
int64_t connector_watch_look(struct connector_watch *watch);
/* Any thread. */
void connector_watch_metrics(struct connector_watch *watch, struct buffer *out);
json_t *connector_watch_describe(struct connector_watch *watch); /* a list */

#endif
