/* What a pipeline's settings make of a schema topic (core/source_schema.h). */
#ifndef SCHEMA_TOPIC_H
#define SCHEMA_TOPIC_H

#include "config/settings.h"
#include "core/source_schema.h"

static inline bool schema_topic_is_set(const struct pipeline_settings *pipeline)
{
    return pipeline && pipeline->source.schema_topic && *pipeline->source.schema_topic;
}

/* An empty store; NULL when memory is out. */
struct source_schema *schema_topic_store(const struct source_settings *source);

#endif
