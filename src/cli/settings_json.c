/* See settings_json.h. */
#include "cli/settings_json.h"

#include "cli/json.h"
#include "config/config.h"

static void take_setting(void *context, const char *path, const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    json_object_set_new(context, path, value ? value : cli_json(json));
}

json_t *settings_json(const struct config *config, const struct config *reloaded)
{
    json_t *settings = json_object();
    if (settings && config_each(config, reloaded, take_setting, settings))
        return settings;
    json_decref(settings);
    return NULL;
}
