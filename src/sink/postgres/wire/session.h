/* The settings in ods-sink.conf that concern a session: a part of the target's settings. */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct session_settings {
    const char *dsn;    /* any libpq conninfo or URI; holds secrets */
    const char *schema; /* the sink's own schema in the target: "ods_sink" */
    bool synchronous_commit;
    int64_t statement_timeout_ms; /* 0: none */
    int64_t lock_timeout_ms;
    int64_t idle_in_transaction_timeout_ms;
    int64_t max_prepared_statements; /* in each lane's session */
};

#endif
