/* See schema_topic.h. */
#include "decoder/schema_topic.h"

/* The settings' unit goes before the one that a column's precision means. */
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
