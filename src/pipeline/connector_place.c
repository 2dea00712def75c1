/* See connector_place.h. */
#include "pipeline/connector_place.h"

#include <stdio.h>
#include <string.h>

#include "connect/connect.h"

static bool feeds(const struct arrival *arrival, const json_t *config)
{
    const char *class = json_string_value(json_object_get(config, "connector.class"));
    const char *prefix = json_string_value(json_object_get(config, "topic.prefix"));
    size_t length = prefix ? strlen(prefix) : 0;
    if (!class || !length || (!strcasestr(class, "mysql") && !strcasestr(class, "mariadb")))
        return false;
    for (size_t i = 0; i < arrival->count; i++) {
        const char *topic = arrival->topics[i].name;
        if (strncmp(topic, prefix, length) == 0 && (topic[length] == '.' || !topic[length]))
            return true;
    }
    return false;
}

static void take_offsets(const json_t *answer, struct source_place *earliest)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(answer, "offsets"), i, entry)
    {
        const json_t *offset = json_object_get(entry, "offset");
        const char *file = json_string_value(json_object_get(offset, "file"));
        const json_t *position = json_object_get(offset, "pos");
        struct source_place place = {.known = true};
        if (!file || !*file || !json_is_integer(position))
            continue;
        snprintf(place.file, sizeof place.file, "%s", file);
        place.position = (uint64_t) json_integer_value(position);
        place.clock_us = json_integer_value(json_object_get(offset, "ts_sec")) * 1000000;
        if (!earliest->known || source_place_compare(&place, earliest) < 0)
            *earliest = place;
    }
}

static enum ods_status ask(struct connect *connect, const struct arrival *arrival,
                           struct source_place *place, struct error *error)
{
    json_t *connectors = NULL, *entry;
    const char *name;
    struct buffer path;
    buffer_init(&path);
    enum ods_status status = connect_ask(connect, "GET", "/connectors?expand=info", NULL,
                                         &connectors, error);
    json_object_foreach(connectors, name, entry)
    {
        json_t *offsets = NULL;
        if (status != ODS_OK ||
            !feeds(arrival, json_object_get(json_object_get(entry, "info"), "config")))
            continue;
        status = connect_ask(connect, "GET", connect_path(&path, name, "/offsets"), NULL, &offsets,
                             error);
        take_offsets(offsets, place);
        json_decref(offsets);
    }
    json_decref(connectors);
    buffer_done(&path);
    return status;
}

enum ods_status connector_place(const struct connect_settings *settings,
                                const struct arrival *arrival, const atomic_bool *stop,
                                struct source_place *place, struct error *error)
{
    struct connect *connect;
    *place = (struct source_place){0};
    enum ods_status status = connect_open(&connect, settings, stop, error);
    if (status == ODS_OK)
        status = ask(connect, arrival, place, error);
    connect_close(connect);
    return status == ODS_OK ? ODS_OK : ODS_RETRY;
}
