/* Settings of the sources `delta` and `iceberg`. */
#ifndef FEED_SETTINGS_H
#define FEED_SETTINGS_H

#include <ods/source.h>

struct feed_settings {
    const char *location; /* "": the target's */
    const char *target;   /* "": none */
    const char *start;    /* snapshot, latest or a version's number */
    int64_t poll_ms, prefetch_bytes;
};

extern const struct setting_group feed_delta_settings, feed_iceberg_settings;

struct lake_settings;
/* Those of the target that is named; NULL: none is. */
const struct lake_settings *feed_lake(const struct source_config *config);
/* Where the tables are. */
const char *feed_location(const struct source_config *config);
enum ods_status feed_check_settings(const struct source_config *config, struct error *error);
bool feed_is_iceberg(const struct source_config *config);
/* What its tables are, for people. */
const char *feed_format(const struct source_config *config);
/* `start` as a version; -1: it is none. */
int64_t feed_start_version(const struct feed_settings *settings);

#endif
