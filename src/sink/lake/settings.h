/* The settings of targets of type "delta" and "iceberg" in ods-sink.conf. */
#ifndef LAKE_SETTINGS_H
#define LAKE_SETTINGS_H

#include <ods/setting.h>

enum lake_compression { LAKE_SNAPPY, LAKE_ZSTD, LAKE_UNCOMPRESSED };

struct lake_settings {
    const char *location;
    const char *library; /* "": looked for */
    int64_t commit_bytes, commit_ms;
    const char *endpoint, *region, *access_key_id, *secret_access_key, *session_token;
    bool path_style;
    int64_t timeout_ms, retries;
    enum lake_compression compression;
    int64_t file_bytes;
    struct properties partition_by, sort_by; /* by table: columns */
    struct properties properties;            /* of tables that are made */
    /* Maintenance. */
    bool maintain;
    int64_t small_files, small_bytes, deleted_percent, compact_bytes, checkpoint_every;
    int64_t expire_ms, vacuum_ms, busy_percent;
    const char *index_folder; /* "": in memory */
    bool change_data;         /* of delta alone */
    /* Of iceberg alone. */
    const char *catalog_uri, *catalog_name;
    /* Of a REST catalog. */
    const char *warehouse, *catalog_prefix, *catalog_token, *catalog_credential;
    const char *oauth2_uri, *oauth2_scope;
    int64_t catalog_timeout_ms;
    int64_t snapshots, keep_ms, format_version;
    int64_t every_ms, lease_ms;
};

extern const struct setting_group delta_settings_group, iceberg_settings_group;

#endif
