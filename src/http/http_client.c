/* The HTTP client, by libcurl. */
#include "http/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

#define MAX_BYTES ((size_t) 16 * 1024 * 1024)

struct http_client {
    CURL *curl;
    size_t max_bytes;
    struct buffer *body; /* of the answer that is being read */
    bool too_large;
    char reason[CURL_ERROR_SIZE];
};

void http_answer_init(struct http_answer *answer)
{
    answer->code = 0;
    buffer_init(&answer->body);
}

void http_answer_done(struct http_answer *answer)
{
    buffer_done(&answer->body);
}

/* --- the client ----------------------------------------------------------------------------- */

static CURLcode started;

static void start_curl(void)
{
    started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_body(char *bytes, size_t one, size_t length, void *opaque)
{
    struct http_client *client = opaque;
    client->too_large = length > client->max_bytes - client->body->length;
    if (client->too_large)
        return 0;
    buffer_add(client->body, bytes, length);
    return client->body->failed ? 0 : length;
}

/* Called by libcurl about once a second. */
static int look_for_stop(void *opaque, curl_off_t total, curl_off_t now, curl_off_t upload_total,
                         curl_off_t uploaded)
{
    const atomic_bool *stop = opaque;
    return atomic_load(stop);
}

static CURLcode set_limits(struct http_client *client, const struct http_client_options *options)
{
    CURL *curl = client->curl;
    unsigned connect = options->connect_ms ? options->connect_ms : 5000;
    unsigned silence = options->silence_s ? options->silence_s : 5;
    unsigned total = options->total_ms ? options->total_ms : 60000;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) connect);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long) silence);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) total);
    if (!code && options->stop)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_stop);
    if (!code && options->stop)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, options->stop);
    if (!code && options->stop)
        code = curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (!code) /* libcurl must not use signals in a program with threads */
        code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    return code;
}

static CURLcode set_identity(struct http_client *client, const struct http_client_options *options)
{
    CURL *curl = client->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_USERAGENT, "ods-sink/" ODS_VERSION);
    if (!code && options->ca_file)
        code = curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    if (code == CURLE_OK && options->any_host)
        code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    if (!code && options->certificate)
        code = curl_easy_setopt(curl, CURLOPT_SSLCERT, options->certificate);
    if (!code && options->key)
        code = curl_easy_setopt(curl, CURLOPT_SSLKEY, options->key);
    if (!code && options->user) {
        code = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
        if (!code)
            code = curl_easy_setopt(curl, CURLOPT_USERNAME, options->user);
        if (!code && options->password)
            code = curl_easy_setopt(curl, CURLOPT_PASSWORD, options->password);
    }
    if (!code && options->token) {
        code = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
        if (!code)
            code = curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, options->token);
    }
    if (!code && options->direct)
        code = curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    return code;
}

static CURLcode set_reading(struct http_client *client)
{
    CURL *curl = client->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason);
    return code;
}

struct http_client *http_client_new(const struct http_client_options *options, struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    struct http_client *client = calloc(1, sizeof *client);
    if (!client) {
        error_out_of_memory(error);
        return NULL;
    }
    client->max_bytes = options->max_bytes ? options->max_bytes : MAX_BYTES;
    client->curl = started ? NULL : curl_easy_init();
    CURLcode code = client->curl ? CURLE_OK : CURLE_FAILED_INIT;
    if (!code)
        code = set_limits(client, options);
    if (!code)
        code = set_identity(client, options);
    if (!code)
        code = set_reading(client);
    if (!code)
        return client;
    error_set(error, ODS_RETRY, "libcurl does not start: %s", curl_easy_strerror(code));
    http_client_free(client);
    return NULL;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client);
}

/* --- questions ------------------------------------------------------------------------------ */

static enum ods_status no_connection(struct http_client *client, struct error *error)
{
    long number = 0;
    curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &number);
    return error_set(error, ODS_RETRY, "%s", number ? strerror((int) number) : client->reason);
}

static enum ods_status explain(struct http_client *client, CURLcode code, struct error *error)
{
    const char *reason = *client->reason ? client->reason : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OK:
        return ODS_OK;
    case CURLE_WRITE_ERROR:
        if (client->too_large)
            return error_set(error, ODS_FATAL, "the answer is larger than %zu bytes",
                             client->max_bytes);
        return error_out_of_memory(error);
    case CURLE_OUT_OF_MEMORY:
        return error_out_of_memory(error);
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(error, ODS_RETRY, "the name of the host is not known");
    case CURLE_COULDNT_CONNECT:
        return no_connection(client, error);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(error, ODS_RETRY, "no answer in time");
    case CURLE_GOT_NOTHING:
        return error_set(error, ODS_RETRY, "the connection was closed without an answer");
    case CURLE_PARTIAL_FILE:
        return error_set(error, ODS_RETRY, "the connection was closed in the middle of the answer");
    case CURLE_UNSUPPORTED_PROTOCOL: /* libcurl's word for HTTP/0.9, that is, for any bytes */
    case CURLE_WEIRD_SERVER_REPLY:
        if (strncmp(reason, "Protocol ", 9) != 0)
            return error_set(error, ODS_FATAL, "the server there does not speak HTTP");
        return error_set(error, ODS_FATAL, "%s", reason);
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: /* user and password in the URL */
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(error, ODS_FATAL, "%s", reason);
    default:
        return error_set(error, ODS_RETRY, "%s", reason);
    }
}

static enum ods_status perform(struct http_client *client, const char *url,
                               struct http_answer *answer, struct error *error)
{
    answer->code = 0;
    buffer_reset(&answer->body);
    client->body = &answer->body;
    client->too_large = false;
    *client->reason = '\0';
    CURLcode code = curl_easy_setopt(client->curl, CURLOPT_URL, url);
    if (!code)
        code = curl_easy_perform(client->curl);
    if (!code)
        code = curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->code);
    client->body = NULL;
    return explain(client, code, error);
}

enum ods_status http_client_get(struct http_client *client, const char *url,
                                struct http_answer *answer, struct error *error)
{
    CURLcode code = curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    if (!code)
        code = curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    return code ? explain(client, code, error) : perform(client, url, answer, error);
}

static CURLcode set_body(CURL *curl, struct curl_slist *headers, const void *bytes, size_t length)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, bytes);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) length);
    return code;
}

enum ods_status http_client_send(struct http_client *client, const char *method, const char *url,
                                 const char *type, const void *bytes, size_t length,
                                 struct http_answer *answer, struct error *error)
{
    char line[256];
    snprintf(line, sizeof line, "Content-Type: %s", type);
    CURL *curl = client->curl;
    struct curl_slist *headers = bytes ? curl_slist_append(NULL, line) : NULL;
    CURLcode code = headers || !bytes ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (!code)
        code = bytes ? set_body(curl, headers, bytes, length)
                     : curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    enum ods_status status =
        code ? explain(client, code, error) : perform(client, url, answer, error);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(headers);
    return status;
}

enum ods_status http_client_post(struct http_client *client, const char *url, const char *type,
                                 const void *bytes, size_t length, struct http_answer *answer,
                                 struct error *error)
{
    return http_client_send(client, "POST", url, type, bytes, length, answer, error);
}
