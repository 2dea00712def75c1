/* See connector_place.h. */
#include "pipeline/connector_place.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "http/http_client.h"

#define ANSWER_MS 5000

struct connect_client {
    struct http_client *client;
    struct http_answer answer;
    char url[512]; /* of one worker */
};

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

/* The answer's JSON, which the caller gives back; NULL with the error filled. */
static json_t *get(struct connect_client *connect, const char *path, struct error *error)
{
    char url[1024];
    snprintf(url, sizeof url, "%s%s", connect->url, path);
    enum ods_status status = http_client_get(connect->client, url, &connect->answer, error);
    if (status == ODS_OK && connect->answer.code != 200)
        status = error_set(error, ODS_RETRY, "HTTP code %ld", connect->answer.code);
    json_t *root = status == ODS_OK ? json_loadb(connect->answer.body.bytes,
                                                 connect->answer.body.length, 0, NULL)
                                    : NULL;
    if (status == ODS_OK && !root)
        error_set(error, ODS_FATAL, "what answers is no Kafka Connect");
    if (!root)
        error_prefix(error, "Kafka Connect at %s: ", connect->url);
    return root;
}

/* The workers of a cluster are separated by commas: the first that answers is asked. */
static json_t *get_connectors(struct connect_client *connect, const char *urls, struct error *error)
{
    json_t *root = NULL;
    while (!root && *urls) {
        size_t length = strcspn(urls, ","), blank = strspn(urls, " ");
        snprintf(connect->url, sizeof connect->url, "%.*s",
                 blank < length ? (int) (length - blank) : 0, urls + blank);
        for (size_t end = strlen(connect->url);
             end && (connect->url[end - 1] == '/' || connect->url[end - 1] == ' ');)
            connect->url[--end] = '\0';
        root = get(connect, "/connectors?expand=info", error);
        urls += length + (urls[length] == ',');
    }
    return root;
}

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

/* A connector's name as a part of a path. */
static void put_name(char *path, size_t size, const char *name)
{
    size_t length = (size_t) snprintf(path, size, "/connectors/");
    for (; *name && length + 16 < size; name++) {
        bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
                            *name) != NULL;
        length += (size_t) snprintf(path + length, size - length, plain ? "%c" : "%%%02X",
                                    plain ? *name : (unsigned char) *name);
    }
    snprintf(path + length, size - length, "/offsets");
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

static enum ods_status ask(struct connect_client *connect, const char *urls,
                           const struct arrival *arrival, struct source_place *place,
                           struct error *error)
{
    json_t *connectors = get_connectors(connect, urls, error), *entry;
    const char *name;
    bool failed = !connectors;
    json_object_foreach(connectors, name, entry)
    {
        char path[512];
        if (failed || !feeds(arrival, json_object_get(json_object_get(entry, "info"), "config")))
            continue;
        put_name(path, sizeof path, name);
        json_t *offsets = get(connect, path, error);
        failed = !offsets;
        take_offsets(offsets, place);
        json_decref(offsets);
    }
    json_decref(connectors);
    return failed ? ODS_RETRY : ODS_OK;
}

enum ods_status connector_place(const struct connect_settings *settings,
                                const struct arrival *arrival, struct source_place *place,
                                struct error *error)
{
    const struct http_client_options options = {.ca_file = or_null(settings->ca),
                                                .certificate = or_null(settings->certificate),
                                                .key = or_null(settings->key),
                                                .user = or_null(settings->user),
                                                .password = settings->password,
                                                .connect_ms = ANSWER_MS,
                                                .total_ms = ANSWER_MS,
                                                .direct = true};
    struct connect_client connect = {.client = http_client_new(&options, error)};
    *place = (struct source_place){0};
    if (!connect.client)
        return ODS_RETRY;
    http_answer_init(&connect.answer);
    enum ods_status status = ask(&connect, settings->url, arrival, place, error);
    http_answer_done(&connect.answer);
    http_client_free(connect.client);
    return status;
}
