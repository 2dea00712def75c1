/* Settings of the source `delta`. */
#ifndef FEED_SETTINGS_H
#define FEED_SETTINGS_H

#include <ods/source.h>

struct feed_settings {
    const char *location; /* "": the target's */
    const char *target;   /* "": none */
    const char *start;    /* snapshot, latest or a version's number */
    int64_t poll_ms, prefetch_bytes;
};

extern const struct setting_group feed_settings_group;

struct lake_settings;
/* Those of the target that is named; NULL: none is. */
const struct lake_settings *feed_lake(const struct source_config *config);
/* Where the tables are. */
const char *feed_location(const struct source_config *config);
enum ods_status feed_check_settings(const struct source_config *config, struct error *error);
/* `start` as a version; -1: it is none. */
int64_t feed_start_version(const struct feed_settings *settings);

#endif
