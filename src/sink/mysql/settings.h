/* The settings of a target of type "mysql" in ods-sink.conf. */
#ifndef MYSQL_SINK_SETTINGS_H
#define MYSQL_SINK_SETTINGS_H

#include <ods/setting.h>

extern const struct setting_group mysql_settings_group;

#endif
