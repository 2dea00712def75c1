/* The settings of a target of type "postgres" in ods-sink.conf. */
#ifndef POSTGRES_SETTINGS_H
#define POSTGRES_SETTINGS_H

#include <ods/setting.h>
#include "sink/postgres/tables/making.h"
#include "sink/postgres/wire/session.h"

/* How long, and how many, identities of queues' records are kept to recognize redeliveries. */
struct delivered_settings {
    int64_t keep_ms, most;
};

struct postgres_settings {
    struct session_settings session;
    struct making_settings making;
    struct delivered_settings delivered;
};

extern const struct setting_group postgres_settings_group;

#endif
