/* The settings that are in effect as JSON, without secrets. */
#ifndef SETTINGS_JSON_H
#define SETTINGS_JSON_H

#include <jansson.h>

struct config;

/* Each setting's path and its value; see config_each(). NULL: memory is out. */
json_t *settings_json(const struct config *config, const struct config *reloaded);

#endif
