/* A pipeline's schema topic (core/source_schema.h) as its decoders see it: types for records that
 * carry none. One thread, but for the store behind it. */
#ifndef SCHEMA_TOPIC_H
#define SCHEMA_TOPIC_H

#include <ods/format.h>

#include "config/settings.h"
#include "core/source_schema.h"

static inline bool schema_topic_is_set(const struct pipeline_settings *pipeline)
{
    return pipeline && pipeline->source.schema_topic && *pipeline->source.schema_topic;
}

/* An empty store; NULL when memory is out. */
struct source_schema *schema_topic_store(const struct source_settings *source);

struct schema_topic {
    const char *name;             /* "": none is set */
    struct source_schema *schema; /* NULL: none is set */
    struct source_schema *own;    /* the same, if it is learned from the records that the
                                     pipeline reads */
    int64_t wanted_us;            /* up to which time it must be read; 0: it has been */
};

/* False when memory is out. */
bool schema_topic_open(struct schema_topic *topic, const struct decoder_config *config);
void schema_topic_close(struct schema_topic *topic); /* a zeroed one is fine */

/* For a record that is no row. If no helper follows the schema topic, as in a replay, its records
 * are learned from here. ODS_REJECT: it can't be read. */
enum ods_status schema_topic_learn(struct schema_topic *topic, const struct record *record,
                                   struct error *error);

/* Give columns without a type the one that `version` has (NULL: the table is not known). ODS_RETRY:
 * a column is not known, and the rest of the topic may have it; decode the record again later. */
enum ods_status schema_topic_types(struct schema_topic *topic, const struct source_version *version,
                                   struct column *columns, uint32_t count,
                                   const struct record *record, struct error *error);

#endif
