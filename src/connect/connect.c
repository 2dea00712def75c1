/* Kafka Connect's REST interface. Its answers and codes: "REST API" in Apache Kafka's
 * documentation of Connect. */
#include "connect/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "http/http_client.h"

#define REBALANCE_US INT64_C(60000000)
#define PAUSE_US     200000
#define DAEMON_MS    5000

struct connect {
    struct http_client *client;
    struct http_answer answer;
    char *urls; /* each terminated, the last by an empty one */
    const char *url; /* the one that is asked */
    int64_t rebalance_us; /* how long a rebalance of the workers is waited for */
};

/* Separated by commas, without blanks, and without the slashes at their ends. */
static char *split_urls(const char *text)
{
    size_t length = strlen(text);
    char *urls = calloc(1, length + 2), *to = urls;
    while (urls && *text) {
        text += strspn(text, " ");
        size_t one = strcspn(text, ","), kept = one;
        while (kept && (text[kept - 1] == '/' || text[kept - 1] == ' '))
            kept--;
        memcpy(to, text, kept);
        to += kept + 1;
        text += one + (text[one] == ',');
    }
    return urls;
}

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

enum ods_status connect_open(struct connect **out, const struct connect_settings *settings,
                             const atomic_bool *stop, struct error *error)
{
    const unsigned total_ms = stop ? DAEMON_MS : (unsigned) settings->timeout_ms;
    *out = NULL;
    if (!*settings->url)
        return error_set(error, ODS_FATAL,
                         "the address of Kafka Connect is not known: set connect = { url = "
                         "\"http://host:8083\"; }; in ods-sink.conf, or give --url");
    const struct http_client_options options = {
        .ca_file = or_null(settings->ca),
        .certificate = or_null(settings->certificate),
        .key = or_null(settings->key),
        .user = or_null(settings->user),
        .password = settings->password,
        .silence_s = total_ms / 1000 + 1,
        .total_ms = total_ms,
        .direct = true,
        .stop = stop,
    };
    struct connect *connect = calloc(1, sizeof *connect);
    if (!connect)
        return error_out_of_memory(error);
    http_answer_init(&connect->answer);
    connect->url = connect->urls = split_urls(settings->url);
    connect->client = http_client_new(&options, error);
    connect->rebalance_us = stop ? 0 : REBALANCE_US;
    if (connect->urls && connect->client) {
        *out = connect;
        return ODS_OK;
    }
    bool no_client = !connect->client;
    connect_close(connect);
    return no_client ? ODS_FATAL : error_out_of_memory(error);
}

void connect_close(struct connect *connect)
{
    if (!connect)
        return;
    http_client_free(connect->client);
    http_answer_done(&connect->answer);
    free(connect->urls);
    free(connect);
}

/* One request; where a worker does not answer, the next one is asked. */
static enum ods_status request(struct connect *connect, const char *method, const char *path,
                               const char *body, struct error *error)
{
    enum ods_status status = ODS_RETRY;
    const char *first = connect->url;
    struct buffer url;
    buffer_init(&url);
    do {
        buffer_reset(&url);
        buffer_printf(&url, "%s%s", connect->url, path);
        status = url.failed ? error_out_of_memory(error)
                            : http_client_send(connect->client, method, buffer_text(&url),
                                               "application/json", body, body ? strlen(body) : 0,
                                               &connect->answer, error);
        if (status == ODS_OK)
            break;
        error_prefix(error, "Kafka Connect at %s: ", connect->url);
        const char *next = connect->url + strlen(connect->url) + 1;
        connect->url = *next ? next : connect->urls;
    } while (connect->url != first);
    buffer_done(&url);
    return status;
}

/* Connect says why in "message"; a proxy before it may say anything. */
static enum ods_status refusal(const struct connect *connect, const json_t *answer,
                               struct error *error)
{
    const char *message = json_text(answer, "message");
    long code = connect->answer.code;
    const char *why = code == 401   ? "set connect.user and connect.password"
                      : code == 403 ? "this user may not"
                                    : "no reason is given";
    error_set(error, ODS_REJECT, "Kafka Connect at %s answers %ld: %s", connect->url, code,
              *message ? message : why);
    snprintf(error->code, sizeof error->code, "%ld", code);
    return ODS_REJECT;
}

static enum ods_status read_answer(struct connect *connect, json_t **answer, struct error *error)
{
    const struct buffer *body = &connect->answer.body;
    long code = connect->answer.code;
    json_t *value = body->length
                        ? json_loadb(body->bytes, body->length, JSON_DECODE_ANY, NULL)
                        : json_null();
    enum ods_status status = ODS_OK;
    if (code < 200 || code > 299)
        status = refusal(connect, value, error);
    else if (!value)
        status =
            error_set(error, ODS_FATAL, "what answers at %s is not Kafka Connect", connect->url);
    if (status == ODS_OK && answer)
        *answer = value;
    else
        json_decref(value);
    return status;
}

enum ods_status connect_ask(struct connect *connect, const char *method, const char *path,
                            const json_t *body, json_t **answer, struct error *error)
{
    int64_t until = time_monotonic_us() + connect->rebalance_us;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    enum ods_status status = ODS_OK;
    if (answer)
        *answer = NULL;
    if (body && !text)
        return error_out_of_memory(error);
    for (;;) {
        status = request(connect, method, path, text, error);
        if (status != ODS_OK || connect->answer.code != 409 || time_monotonic_us() > until)
            break;
        usleep(PAUSE_US);
    }
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
    return status == ODS_OK ? read_answer(connect, answer, error) : status;
}

bool connect_is_missing(const struct error *error)
{
    return strcmp(error->code, "404") == 0;
}

const char *connect_path(struct buffer *path, const char *name, const char *rest)
{
    buffer_reset(path);
    buffer_puts(path, "/connectors/");
    for (; *name; name++) {
        unsigned char c = (unsigned char) *name;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c);
        if (plain)
            buffer_add(path, name, 1);
        else
            buffer_printf(path, "%%%02X", c);
    }
    buffer_puts(path, rest);
    return buffer_text(path);
}

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}
