/* The helper of formats whose records may lack their types: follows a pipeline's schema topic
 * (source.schema_topic).
 *
 * A thread and a reader of its own, in no group: every process reads the whole topic, which has a
 * record a DDL statement, from its beginning and goes on as it grows. */
#ifndef SCHEMA_FOLLOWER_H
#define SCHEMA_FOLLOWER_H

#include <ods/format.h>

#include "core/source_schema.h"

extern const struct format_helper_ops schema_follower_ops;

/* What has been learned so far; it lives as long as the helper. NULL: there is no helper. */
struct source_schema *schema_follower_store(struct format_helper *helper);

#endif
