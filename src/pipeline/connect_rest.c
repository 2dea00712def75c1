/* See connect_rest.h. */
#include "pipeline/connect_rest.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MS 5000

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

enum ods_status connect_rest_open(struct connect_rest *rest,
                                  const struct connect_settings *settings,
                                  const atomic_bool *stop, struct error *error)
{
    const struct http_client_options options = {.ca_file = or_null(settings->ca),
                                                .certificate = or_null(settings->certificate),
                                                .key = or_null(settings->key),
                                                .user = or_null(settings->user),
                                                .password = settings->password,
                                                .connect_ms = ANSWER_MS,
                                                .total_ms = ANSWER_MS,
                                                .direct = true,
                                                .stop = stop};
    *rest = (struct connect_rest){.client = http_client_new(&options, error),
                                  .urls = settings->url};
    http_answer_init(&rest->answer);
    return rest->client ? ODS_OK : ODS_RETRY;
}

void connect_rest_close(struct connect_rest *rest)
{
    http_answer_done(&rest->answer);
    http_client_free(rest->client);
}

json_t *connect_rest_get(struct connect_rest *rest, const char *path, struct error *error)
{
    char url[1024];
    snprintf(url, sizeof url, "%s%s", rest->url, path);
    enum ods_status status = http_client_get(rest->client, url, &rest->answer, error);
    if (status == ODS_OK && rest->answer.code != 200)
        status = error_set(error, ODS_RETRY, "HTTP code %ld", rest->answer.code);
    json_t *root = status == ODS_OK ? json_loadb(rest->answer.body.bytes,
                                                 rest->answer.body.length, 0, NULL)
                                    : NULL;
    if (status == ODS_OK && !root)
        error_set(error, ODS_FATAL, "what answers is no Kafka Connect");
    if (!root)
        error_prefix(error, "Kafka Connect at %s: ", rest->url);
    return root;
}

/* One of the workers; the rest of the list. */
static const char *take_url(struct connect_rest *rest, const char *urls)
{
    size_t length = strcspn(urls, ","), blank = strspn(urls, " ");
    snprintf(rest->url, sizeof rest->url, "%.*s", blank < length ? (int) (length - blank) : 0,
             urls + blank);
    for (size_t end = strlen(rest->url);
         end && (rest->url[end - 1] == '/' || rest->url[end - 1] == ' ');)
        rest->url[--end] = '\0';
    return urls + length + (urls[length] == ',');
}

json_t *connect_rest_connectors(struct connect_rest *rest, const char *expand, struct error *error)
{
    json_t *root = NULL;
    char path[64];
    snprintf(path, sizeof path, "/connectors?expand=%s", expand);
    for (const char *urls = rest->urls; !root && *urls;) {
        urls = take_url(rest, urls);
        root = connect_rest_get(rest, path, error);
    }
    return root;
}
