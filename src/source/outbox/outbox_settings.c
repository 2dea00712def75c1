/* Settings of the source `outbox`. */
#include "source/outbox/outbox_settings.h"

#include <string.h>

#include <ods/pipeline.h>
#include "config/settings.h"

#define AT(member) offsetof(struct outbox_settings, member)
#define MIB        (INT64_C(1) << 20)

static const struct setting rows[] = {
    {"target", SETTING_STRING, AT(target), "", .inherits = "the only target of type postgres",
     .max = 200,
     .doc = "Name of a target of type `postgres` in `ods-sink.conf`: whose outbox is read. It need "
            "not be where the pipeline writes to."},
    {"poll_ms", SETTING_MS, AT(poll_ms), "5", .min = 1, .max = 60000,
     .doc = "How long after a look that has found rows the next one comes."},
    {"idle_ms", SETTING_MS, AT(idle_ms), "100", .min = 1, .max = 60000,
     .doc = "How long between two looks when nothing was found for a while: the wait doubles from "
            "`poll_ms` up to this, which is the longest that a row waits for being seen."},
    {"prefetch_bytes", SETTING_BYTES, AT(prefetch_bytes), "4194304", .min = 65536,
     .max = 1024 * MIB,
     .doc = "How much a lane reads ahead of its batches; a larger row comes alone."},
};

static enum ods_status check(const void *own, struct error *error)
{
    const struct outbox_settings *settings = own;
    if (settings->idle_ms >= settings->poll_ms)
        return ODS_OK;
    return error_set(error, ODS_FATAL, "'idle_ms' (%lld) is less than 'poll_ms' (%lld)",
                     (long long) settings->idle_ms, (long long) settings->poll_ms);
}

const struct setting_group outbox_settings_group = {
    .title = "input of type `outbox`",
    .intro = "Rows that transactions have left in the table `outbox` of a PostgreSQL target, in "
             "the order in which they were committed: what derived tables and tables with `outbox: "
             "true` have changed, and what others append. Each of the pipeline's `topics` is the "
             "`name` of such rows, and is read by one lane of one process at a time. A row is "
             "deleted when the pipeline's target has it. See [outbox.md](outbox.md).",
    .size = sizeof(struct outbox_settings),
    SETTING_ROWS(rows),
    .check = check,
};

const struct target_settings *outbox_target(const struct source_config *config)
{
    const struct outbox_settings *own = config->settings;
    return settings_postgres(config->daemon, own->target);
}

/* A pipeline before this one that reads one of its names too; NULL: none. */
static const char *rival(const struct source_config *config, const char **topic)
{
    const struct settings *daemon = config->daemon;
    for (size_t i = 0; i < daemon->pipeline_count; i++) {
        const struct pipeline_settings *other = &daemon->pipelines[i];
        if (other == config->pipeline)
            break;
        if (strcmp(other->input.type, "outbox") != 0 || !other->input.own)
            continue;
        const struct source_config theirs = {
            .settings = other->input.own, .daemon = daemon, .pipeline = other};
        if (outbox_target(&theirs) != outbox_target(config))
            continue;
        for (size_t j = 0; j < config->pipeline->topics.count; j++) {
            *topic = config->pipeline->topics.items[j];
            if (strings_contain(&other->topics, *topic))
                return other->name;
        }
    }
    return NULL;
}

enum ods_status outbox_check_settings(const struct source_config *config, struct error *error)
{
    const struct outbox_settings *own = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    const char *topic = NULL;
    if (!outbox_target(config))
        return error_set(error, ODS_FATAL, "pipeline \"%s\": %s", pipeline->name,
                         *own->target
                             ? "input.target names no target of type postgres in ods-sink.conf"
                             : "input.target is missing: its input is of type outbox, and there is "
                               "no target of type postgres in ods-sink.conf, or several");
    for (size_t i = 0; i < pipeline->topics.count; i++)
        if (*pipeline->topics.items[i] == '^')
            return error_set(error, ODS_FATAL,
                             "pipeline \"%s\": the pattern '%.200s' can't be looked for in an "
                             "outbox: name each of its names in topics",
                             pipeline->name, pipeline->topics.items[i]);
    const char *other = rival(config, &topic);
    if (other)
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\" reads %s from the outbox, and so does \"%s\": a row is "
                         "deleted when one of them has sent it on",
                         pipeline->name, topic, other);
    return ODS_OK;
}
