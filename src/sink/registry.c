/* The targets there are. Adding one: its folder, its name in the two lines below. */
#include <string.h>

#include <ods/sink.h>

extern const struct sink_ops postgres_sink, mysql_sink, file_sink, http_sink, kafka_sink,
    delta_sink, iceberg_sink, stdout_sink;

static const struct sink_ops *const sinks[] = {
    &postgres_sink,
    &mysql_sink,
    &file_sink,
    &http_sink,
    &kafka_sink,
    &delta_sink,
    &iceberg_sink,
    &stdout_sink,
    NULL,
};

const struct sink_ops *sink_find(const char *type)
{
    for (size_t i = 0; sinks[i]; i++)
        if (strcmp(sinks[i]->type, type) == 0)
            return sinks[i];
    return NULL;
}

const struct sink_ops *const *sink_list(void)
{
    return sinks;
}

const struct setting_group *sink_groups(size_t number, const char **name)
{
    if (number >= sizeof sinks / sizeof *sinks - 1)
        return NULL;
    *name = sinks[number]->type;
    return sinks[number]->settings;
}

enum guarantee sink_guarantee(const struct sink_ops *sink, const struct sink_config *config)
{
    return sink->guarantees ? sink->guarantees(config) : sink->guarantee;
}

const char *guarantee_text(const struct sink_ops *sink, enum guarantee guarantee,
                           bool deliveries)
{
    switch (deliveries && !sink->identities ? AT_LEAST_ONCE : guarantee) {
    case EXACT_BY_STORED_OFFSET:
        if (deliveries)
            return "exactly once: rows and their records' identities are stored together in the "
                   "target";
        return "exactly once: rows and offsets are stored together in the target";
    case EXACT_BY_SOURCE_TRANSACTION:
        return "exactly once: what is sent and the source's offsets are one transaction";
    case AT_LEAST_ONCE:
        break;
    }
    return "at least once: after a crash the last records may be sent again";
}

enum ods_status sink_stores_no_offsets(struct sink *sink, struct position *positions, size_t count,
                                       struct error *error)
{
    (void) sink;
    (void) error;
    for (size_t i = 0; i < count; i++) {
        positions[i].offset = OFFSET_NONE;
        positions[i].stored_us = 0;
    }
    return ODS_OK;
}

enum ods_status sink_needs_no_connection(struct sink *sink, struct error *error)
{
    (void) sink;
    (void) error;
    return ODS_OK;
}
