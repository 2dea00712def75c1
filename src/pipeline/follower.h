/* Follows a pipeline's schema topic (source.schema_topic) for as long as the daemon runs.
 *
 * A thread and a consumer of its own, in no group: every process reads the whole topic, which has a
 * record a DDL statement, from its beginning and goes on as it grows. */
#ifndef FOLLOWER_H
#define FOLLOWER_H

#include "config/settings.h"
#include "core/source_schema.h"

struct follower;

/* Waits for nothing. The settings must outlive it. */
enum ods_status follower_start(struct follower **follower, const struct settings *settings,
                               const struct pipeline_settings *pipeline, struct error *error);
/* What is known so far; lives until follower_stop(). */
struct source_schema *follower_schema(struct follower *follower); /* NULL without a follower */
void follower_stop(struct follower *follower);                    /* NULL is fine */

#endif
