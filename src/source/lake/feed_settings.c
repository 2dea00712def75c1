/* Settings of the sources `delta` and `iceberg`. */
#include "source/lake/feed_settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include "config/settings.h"
#include "sink/lake/settings.h"

#define AT(member) offsetof(struct feed_settings, member)
#define MIB        (INT64_C(1) << 20)

#define START                                                                                      \
    {"start", SETTING_STRING, AT(start), "snapshot", .min = 1, .max = 20,                          \
     .doc = "Where a table begins that the pipeline's target knows no position of: `snapshot`, "   \
            "its rows as they are, and then what changes; `latest`, what changes from now on; or " \
            "a version's number, with the changes of this version and of those after it."}
#define PREFETCH                                                                                   \
    {"prefetch_bytes", SETTING_BYTES, AT(prefetch_bytes), "8388608", .min = 65536,                 \
     .max = 1024 * MIB, .doc = "How much a lane reads ahead of its batches, about."}

static const struct setting delta_rows[] = {
    {"location", SETTING_STRING, AT(location), "", .max = 3000,
     .inherits = "the location of `target`",
     .doc = "Where the tables are: a folder by its whole path, or `s3://bucket/prefix`. A topic "
            "`shop.orders` is the table in `<location>/shop/orders`."},
    {"target", SETTING_STRING, AT(target), "", .inherits = "none", .max = 200,
     .doc = "Name of a target of type `delta` in `ods-sink.conf`, whose `s3` and `library` are "
            "used, and whose `location` where none is given. Without it the storage is the "
            "environment's: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on."},
    START,
    {"poll_ms", SETTING_MS, AT(poll_ms), "300", .min = 10, .max = 3600000,
     .doc = "How long between two looks for a new version, each of which is one request to the "
            "storage and table."},
    PREFETCH,
};

static const struct setting iceberg_rows[] = {
    {"location", SETTING_STRING, AT(location), "", .max = 3000, .inherits = "none",
     .doc = "The folder, by its whole path, that has the tables' catalog, `catalog.sqlite`. A "
            "topic `shop.orders` is the table `orders` in the namespace `shop`."},
    {"target", SETTING_STRING, AT(target), "", .inherits = "none", .max = 200,
     .doc = "In place of `location`: name of a target of type `iceberg` in `ods-sink.conf`, whose "
            "`catalog`, `s3` and `library` are used."},
    START,
    {"poll_ms", SETTING_MS, AT(poll_ms), "300", .min = 10, .max = 3600000,
     .doc = "How long between two looks for a new snapshot, each of which is one request to the "
            "catalog and table."},
    PREFETCH,
};

int64_t feed_start_version(const struct feed_settings *settings)
{
    char *end;
    long long version = strtoll(settings->start, &end, 10);
    return *settings->start >= '0' && *settings->start <= '9' && !*end && version < 900000000
               ? version
               : -1;
}

static enum ods_status check_start(const struct feed_settings *settings, struct error *error)
{
    if (strcmp(settings->start, "snapshot") != 0 && strcmp(settings->start, "latest") != 0 &&
        feed_start_version(settings) < 0)
        return error_set(error, ODS_FATAL,
                         "'start' is snapshot, latest or a version's number, and not \"%s\"",
                         settings->start);
    return ODS_OK;
}

static enum ods_status check_delta(const void *own, struct error *error)
{
    const struct feed_settings *settings = own;
    const char *place = settings->location;
    bool bucket = strncmp(place, "s3://", 5) == 0 && place[5] && place[5] != '/';
    if (!*place && !*settings->target)
        return error_set(error, ODS_FATAL,
                         "neither 'location' nor 'target' is there: where are the tables?");
    if (*place && *place != '/' && !bucket)
        return error_set(error, ODS_FATAL,
                         "'location' is a folder by its whole path (/var/lib/lake) or "
                         "s3://bucket/prefix, and not \"%.80s\"",
                         place);
    return check_start(settings, error);
}

static enum ods_status check_iceberg(const void *own, struct error *error)
{
    const struct feed_settings *settings = own;
    if (!*settings->location == !*settings->target)
        return error_set(error, ODS_FATAL,
                         "either 'location', a folder with a catalog.sqlite, or 'target', which "
                         "has the catalog, says where the tables are");
    if (*settings->location && *settings->location != '/')
        return error_set(error, ODS_FATAL,
                         "'location' is a folder by its whole path (/var/lib/ice), and not "
                         "\"%.80s\": of tables elsewhere 'target' names the catalog",
                         settings->location);
    return check_start(settings, error);
}

const struct setting_group feed_delta_settings = {
    .title = "input of type `delta`",
    .intro = "The changes of tables of Delta Lake, whoever writes them. Each of the pipeline's "
             "`topics` names a table and is read by one lane; its records are envelopes as "
             "Debezium writes them (`format: debezium`). A table's key is the `key` that "
             "tables.yaml gives it, else the one that it was made with where ods-sink made it. An "
             "offset is the version, and in its last ten digits the row within it, from 5000000000 "
             "on that of a snapshot. See [lake.md](lake.md#a-table-of-the-lake-as-a-source).",
    .size = sizeof(struct feed_settings),
    SETTING_ROWS(delta_rows),
    .check = check_delta,
};

const struct setting_group feed_iceberg_settings = {
    .title = "input of type `iceberg`",
    .intro = "The changes of tables of Iceberg, whoever writes them: as an input of type `delta`. "
             "Versions are the sequence numbers of snapshots, which `ods-sink versions` lists. A "
             "table's key is the `key` that tables.yaml gives it, else the one that ods-sink "
             "stores with its snapshots, else the table's identifier fields. See "
             "[lake.md](lake.md#a-table-of-the-lake-as-a-source).",
    .size = sizeof(struct feed_settings),
    SETTING_ROWS(iceberg_rows),
    .check = check_iceberg,
};

bool feed_is_iceberg(const struct source_config *config)
{
    return strcmp(config->pipeline->input.type, "iceberg") == 0;
}

const char *feed_format(const struct source_config *config)
{
    return feed_is_iceberg(config) ? "Iceberg" : "Delta Lake";
}

static const struct target_settings *target_of(const struct source_config *config)
{
    const struct feed_settings *own = config->settings;
    const struct target_settings *target =
        *own->target ? settings_target(config->daemon, own->target) : NULL;
    return target && strcmp(target->type, config->pipeline->input.type) == 0 ? target : NULL;
}

const struct lake_settings *feed_lake(const struct source_config *config)
{
    const struct target_settings *target = target_of(config);
    return target ? target->own : NULL;
}

const char *feed_location(const struct source_config *config)
{
    const struct feed_settings *own = config->settings;
    if (*own->location)
        return own->location;
    const struct lake_settings *lake = feed_lake(config);
    assert(lake); /* feed_check_settings() */
    return lake->location;
}

/* A topic is the names of folders with dots between; none may be empty. */
static bool is_table(const char *topic)
{
    return *topic != '^' && *topic != '.' && !strchr(topic, '/') && !strstr(topic, "..") &&
           topic[strlen(topic) - 1] != '.';
}

enum ods_status feed_check_settings(const struct source_config *config, struct error *error)
{
    const struct feed_settings *own = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    if (*own->target && !target_of(config))
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": input.target \"%s\" is no target of type %s in "
                         "ods-sink.conf",
                         pipeline->name, own->target, pipeline->input.type);
    for (size_t i = 0; i < pipeline->topics.count; i++) {
        const char *topic = pipeline->topics.items[i];
        if (!is_table(topic))
            return error_set(error, ODS_FATAL,
                             "pipeline \"%s\": the topic '%.200s' is no table's name: name each "
                             "table by its folders below the location, as shop.orders",
                             pipeline->name, topic);
        if (feed_is_iceberg(config) && !strchr(topic, '.'))
            return error_set(error, ODS_FATAL,
                             "pipeline \"%s\": the topic '%.200s' names no table of Iceberg: write "
                             "its namespace and its name, as shop.orders",
                             pipeline->name, topic);
    }
    return ODS_OK;
}
