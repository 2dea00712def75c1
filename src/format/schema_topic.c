/* See schema_topic.h. */
#include "format/schema_topic.h"

#include <string.h>

#include "core/json_scan.h"
#include "core/time.h"
#include "format/schema_follower.h"

/* A unit in the settings goes before the one that follows from a column's precision. */
static const char *word_of(enum time_unit unit)
{
    switch (unit) {
    case UNIT_MS:
        return "ms";
    case UNIT_US:
        return "us";
    case UNIT_NS:
        return "ns";
    default:
        return NULL;
    }
}

struct source_schema *schema_topic_store(const struct source_settings *source)
{
    return source_schema_new(word_of(source->timestamp_unit), word_of(source->time_unit));
}

bool schema_topic_open(struct schema_topic *topic, const struct decoder_config *config)
{
    bool set = schema_topic_is_set(config->pipeline);
    *topic = (struct schema_topic){.name = set ? config->pipeline->source.schema_topic : "",
                                   .schema = schema_follower_store(config->helper)};
    if (topic->schema || !set)
        return true;
    topic->schema = topic->own = schema_topic_store(&config->pipeline->source);
    return topic->own;
}

void schema_topic_close(struct schema_topic *topic)
{
    source_schema_free(topic->own);
}

enum ods_status schema_topic_learn(struct schema_topic *topic, const struct record *record,
                                   struct error *error)
{
    if (!topic->own || strcmp(record->topic, topic->name) != 0)
        return ODS_OK;
    const struct slice value = json_of_record(record->value, record->value_length);
    return source_schema_learn(topic->own, value.bytes, value.length, NULL, error);
}

/* For a record whose table or column is not known: the schema change may be in the topic and not
 * have been read yet. */
static enum ods_status await(struct schema_topic *topic, const struct record *record,
                             struct error *error)
{
    if (topic->schema == topic->own)
        return ODS_OK;
    if (!topic->wanted_us)
        topic->wanted_us = time_monotonic_us();
    if (source_schema_is_read(topic->schema, topic->wanted_us)) {
        topic->wanted_us = 0;
        return ODS_OK;
    }
    return error_set(error, ODS_RETRY,
                     "topic %s (source.schema_topic) is being read to its end, for the types of "
                     "topic %s",
                     topic->name, record->topic);
}

enum ods_status schema_topic_types(struct schema_topic *topic, const struct source_version *version,
                                   struct column *columns, uint32_t count,
                                   const struct record *record, struct error *error)
{
    bool known = version;
    for (uint32_t i = 0; i < count; i++) {
        const struct source_column_fact *fact =
            source_version_column(version, columns[i].name, columns[i].name_length);
        known &= fact != NULL;
        if (!fact || !fact->type)
            continue;
        columns[i].source_type = fact->type;
        columns[i].allowed = fact->allowed;
        columns[i].optional = fact->optional;
    }
    return known && source_schema_is_read(topic->schema, 0) ? ODS_OK : await(topic, record, error);
}
