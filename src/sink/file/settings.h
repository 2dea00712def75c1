/* The settings of a target of type "file" in ods-sink.conf. */
#ifndef FILE_SETTINGS_H
#define FILE_SETTINGS_H

#include <ods/setting.h>

struct file_settings {
    const char *directory;
    int64_t max_bytes, max_age_ms, flush_bytes, flush_ms;
    /* How long, and how many, identities of queues' records are kept. */
    int64_t keep_ms, most;
};

extern const struct setting_group file_settings_group;

#endif
