/* The guard of what waits in Kafka: a thread that looks now and then whether retention is about to
 * take records that are not applied, or has taken them. A target that is away for days looks like
 * any other until then. It opens a client for each look, and none while nothing waits. */
#ifndef GUARD_H
#define GUARD_H

#include <jansson.h>
#include <stddef.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct guard;
struct lane;

/* *guard is NULL where kafka.retention_check_ms is 0. Settings and lanes outlive it. */
enum ods_status guard_start(struct guard **guard, const struct settings *settings,
                            struct lane *const *lanes, size_t count, struct error *error);
void guard_stop(struct guard *guard); /* NULL is fine */

/* Any thread; NULL: nothing. */
void guard_metrics(struct guard *guard, struct buffer *out);
json_t *guard_describe(struct guard *guard); /* a list */

#endif
