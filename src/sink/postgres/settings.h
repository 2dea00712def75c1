/* What a target of type "postgres" is told in ods-sink.conf. */
#ifndef POSTGRES_SETTINGS_H
#define POSTGRES_SETTINGS_H

#include <ods/setting.h>

enum toast_compression { TOAST_COMPRESSION_AUTO, TOAST_COMPRESSION_DEFAULT };

struct postgres_settings {
    const char *dsn;    /* any libpq conninfo or URI; holds secrets */
    const char *schema; /* the sink's own schema in the target: "ods_sink" */
    bool synchronous_commit;
    int64_t statement_timeout_ms; /* 0: none */
    int64_t lock_timeout_ms;
    int64_t idle_in_transaction_timeout_ms;
    int64_t max_prepared_statements; /* of a lane */
    enum toast_compression toast_compression; /* of columns that the sink makes */
};

extern const struct setting_group postgres_settings_group;

#endif
