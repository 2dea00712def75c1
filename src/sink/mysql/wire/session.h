/* The settings of a session. */
#ifndef MYSQL_SESSION_H
#define MYSQL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct mysql_session_settings {
    const char *dsn;
    int64_t lock_timeout_ms;
    int64_t idle_in_transaction_timeout_ms;
};

#endif
