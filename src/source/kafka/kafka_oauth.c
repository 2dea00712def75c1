/* The callback runs in librdkafka's background thread, which may wait; it asks again 10 s after a
 * failure, and when four fifths of a token's life are over. */
#include "source/kafka/kafka_oauth.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include <ods/buffer.h>
#include "core/log.h"
#include "core/time.h"
#include "http/http_client.h"

#define PREFIX           "sasl.oauthbearer."
#define DEFAULT_LIFE_S   300
#define ANSWER_MS        10000
#define ANSWER_MAX_BYTES (256 * 1024)

static const char *find(const struct kafka_settings *kafka, const char *name)
{
    const char *value = properties_find(&kafka->properties, name);
    return value ? value : "";
}

static bool is_oidc(const struct kafka_settings *kafka)
{
    return strcmp(find(kafka, PREFIX "method"), "oidc") == 0;
}

bool kafka_oauth_takes(const struct kafka_settings *kafka, const char *property)
{
    static const char *const names[] = {PREFIX "method",        PREFIX "client.id",
                                        PREFIX "client.secret", PREFIX "token.endpoint.url",
                                        PREFIX "scope",         "https.ca.location"};
    bool known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        known |= strcmp(property, names[i]) == 0;
    return known && is_oidc(kafka);
}

/* Everything but what RFC 3986 leaves as it is. */
static void put_escaped(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char) *text;
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || strchr("-._~", byte);
        buffer_printf(out, plain ? "%c" : "%%%02X", byte);
    }
}

/* The answer has a secret in it, or an error that names what is wrong. */
static bool use_answer(rd_kafka_t *rk, const struct kafka_settings *kafka,
                       const struct http_answer *answer, char *why, size_t size)
{
    yyjson_doc *document = yyjson_read(answer->body.bytes, answer->body.length, 0);
    yyjson_val *root = yyjson_doc_get_root(document);
    const char *token = yyjson_get_str(yyjson_obj_get(root, "access_token"));
    const char *reason = yyjson_get_str(yyjson_obj_get(root, "error"));
    yyjson_val *lasts = yyjson_obj_get(root, "expires_in");
    int64_t seconds = yyjson_is_int(lasts) ? yyjson_get_sint(lasts) : DEFAULT_LIFE_S;
    bool good = answer->code == 200 && token && seconds > 0 && seconds < INT32_MAX;
    if (!good)
        snprintf(why, size, "HTTP %ld%s%.200s, and no access_token that lasts", answer->code,
                 reason ? ", " : "", reason ? reason : "");
    else
        good = rd_kafka_oauthbearer_set_token(rk, token, time_wall_us() / 1000 + seconds * 1000,
                                              find(kafka, PREFIX "client.id"), NULL, 0, why,
                                              size) == RD_KAFKA_RESP_ERR_NO_ERROR;
    yyjson_doc_free(document);
    return good;
}

static bool ask(rd_kafka_t *rk, const struct kafka_settings *kafka, char *why, size_t size)
{
    const char *ca = find(kafka, "https.ca.location"), *scope = find(kafka, PREFIX "scope");
    const struct http_client_options options = {.ca_file = *ca ? ca : NULL,
                                                .user = find(kafka, PREFIX "client.id"),
                                                .password = find(kafka, PREFIX "client.secret"),
                                                .total_ms = ANSWER_MS,
                                                .max_bytes = ANSWER_MAX_BYTES};
    struct error error = {0};
    struct http_answer answer;
    struct buffer body;
    bool good = false;
    buffer_init(&body);
    http_answer_init(&answer);
    buffer_puts(&body, "grant_type=client_credentials");
    if (*scope) {
        buffer_puts(&body, "&scope=");
        put_escaped(&body, scope);
    }
    struct http_client *client = http_client_new(&options, &error);
    if (!client || body.failed ||
        http_client_post(client, find(kafka, PREFIX "token.endpoint.url"),
                         "application/x-www-form-urlencoded", body.bytes, body.length, &answer,
                         &error) != ODS_OK)
        snprintf(why, size, "%.400s", body.failed ? "out of memory" : error.text);
    else
        good = use_answer(rk, kafka, &answer, why, size);
    http_client_free(client);
    http_answer_done(&answer);
    buffer_done(&body);
    return good;
}

/* What a failure says goes to librdkafka, whose error callback says it on. */
static void refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
    void *kafka = NULL;
    char why[512] = "", said[2048];
    if (sscanf(config ? config : "", "%p", &kafka) != 1 || ask(rk, kafka, why, sizeof why))
        return;
    snprintf(said, sizeof said, "no token from sasl.oauthbearer.token.endpoint.url %.1000s: %s",
             find(kafka, PREFIX "token.endpoint.url"), why);
    rd_kafka_oauthbearer_set_token_failure(rk, said);
}

enum ods_status kafka_oauth_conf(const struct kafka_settings *kafka, rd_kafka_conf_t *conf,
                                 struct error *error)
{
    static const char *const needed[] = {PREFIX "client.id", PREFIX "client.secret",
                                         PREFIX "token.endpoint.url"};
    char where[32], text[256];
    if (!is_oidc(kafka))
        return ODS_OK;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!*find(kafka, needed[i]))
            return error_set(error, ODS_FATAL,
                             "kafka.properties: \"sasl.oauthbearer.method\" is oidc: set \"%s\" "
                             "too",
                             needed[i]);
    /* The client's opaque pointer is its maker's. This text comes back with the callback, and the
     * secret stands in no property of librdkafka's. */
    snprintf(where, sizeof where, "%p", (void *) kafka);
    if (rd_kafka_conf_set(conf, PREFIX "config", where, text, sizeof text) != RD_KAFKA_CONF_OK)
        return error_set(error, ODS_FATAL, "kafka.properties: %s", text);
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh);
    rd_kafka_conf_enable_sasl_queue(conf, 1);
    return ODS_OK;
}

void kafka_oauth_begin(rd_kafka_t *rk)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_sasl(rk);
    if (!queue)
        return;
    rd_kafka_queue_destroy(queue);
    rd_kafka_error_t *failed = rd_kafka_sasl_background_callbacks_enable(rk);
    if (failed) {
        log_debug("librdkafka asks for no tokens: %s", rd_kafka_error_string(failed));
        rd_kafka_error_destroy(failed);
    }
}
