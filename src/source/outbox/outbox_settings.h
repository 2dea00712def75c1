/* Settings of the source `outbox`. */
#ifndef OUTBOX_SETTINGS_H
#define OUTBOX_SETTINGS_H

#include <ods/source.h>

struct outbox_settings {
    const char *target; /* "": the only one of type postgres */
    int64_t poll_ms, idle_ms;
    int64_t prefetch_bytes;
};

extern const struct setting_group outbox_settings_group;

struct target_settings;
/* NULL: there is none of that name, or several to choose from. */
const struct target_settings *outbox_target(const struct source_config *config);
enum ods_status outbox_check_settings(const struct source_config *config, struct error *error);

#endif
