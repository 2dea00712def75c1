/* The guard of sources: a thread that looks now and then at the log of each pipeline's source, and
 * how much of it waits for the connector. A connector that stands still looks like a quiet source
 * from here, while the source's disk fills or its log loses the connector's place. It opens a
 * session for each look, which only reads. Kafka Connect it asks how its connectors are. */
#ifndef SOURCE_GUARD_H
#define SOURCE_GUARD_H

#include <jansson.h>
#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct source_guard;

/* *guard is NULL where no pipeline has a database to look at, and there is no Connect to ask. The
 * settings outlive it. */
enum ods_status source_guard_start(struct source_guard **guard, const struct settings *settings,
                                   struct error *error);
/* Ends a look; returns at once. All of these accept NULL. */
void source_guard_stop(struct source_guard *guard);
bool source_guard_ended(const struct source_guard *guard);
void source_guard_join(struct source_guard *guard); /* and frees it */

/* Any thread. */
void source_guard_metrics(struct source_guard *guard, struct buffer *out);
json_t *source_guard_describe(struct source_guard *guard); /* a list */
json_t *source_guard_connectors(struct source_guard *guard); /* likewise */

#endif
