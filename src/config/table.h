/* The groups of settings that are the daemon's own; plug-ins bring theirs (ods/setting.h). */
#ifndef TABLE_H
#define TABLE_H

#include <ods/setting.h>

extern const struct setting_group settings_of_daemon;   /* ods-sink.conf: struct settings */
extern const struct setting_group settings_of_target;   /* struct target_settings */
extern const struct setting_group settings_of_database; /* struct database_settings */
extern const struct setting_group settings_of_broker;   /* struct broker_settings */
extern const struct setting_group settings_of_connect;  /* struct connect_settings */
extern const struct setting_group settings_of_operator; /* struct operator_settings */
extern const struct setting_group settings_of_moves;    /* tables.yaml: struct settings too */
extern const struct setting_group settings_of_pipeline; /* struct pipeline_settings */
extern const struct setting_group settings_of_input;    /* struct input_settings */
extern const struct setting_group settings_of_transform; /* struct transform_settings */
extern const struct setting_group settings_of_table;    /* struct table_settings */
extern const struct setting_group settings_of_quality;  /* struct quality_settings */
extern const struct setting_group settings_of_quality_rule; /* struct quality_rule */
extern const struct setting_group settings_of_history;  /* struct history_settings */
extern const struct setting_group settings_of_derived;  /* struct derived_settings */
extern const struct setting_group settings_of_derived_source; /* struct derived_source */

#endif
