/* What a target of type "postgres" is told in ods-sink.conf. */
#ifndef POSTGRES_SETTINGS_H
#define POSTGRES_SETTINGS_H

#include <ods/setting.h>
#include "sink/postgres/tables/making.h"
#include "sink/postgres/wire/session.h"

struct postgres_settings {
    struct session_settings session;
    struct making_settings making;
};

extern const struct setting_group postgres_settings_group;

#endif
