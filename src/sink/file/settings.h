/* The settings of a target of type "file" in ods-sink.conf. */
#ifndef FILE_SETTINGS_H
#define FILE_SETTINGS_H

#include <ods/setting.h>

enum file_format { FILE_JSONL, FILE_CSV };
enum file_compression { FILE_PLAIN, FILE_GZIP, FILE_ZSTD };

struct file_settings {
    const char *directory;
    const char *file_name; /* with {{table}} and so on */
    enum file_format format;
    enum file_compression compression;
    int64_t max_bytes, max_age_ms, flush_bytes, flush_ms;
    /* How long, and how many, identities of queues' records are kept. */
    int64_t keep_ms, most;
};

extern const struct setting_group file_settings_group;

#endif
