/* The Authorization header: a bearer token (RFC 6750) from the settings, from a file, or by client
 * credentials (RFC 6749 section 4.4). */
#include "sink/http/authorize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/time.h"
#include "sink/http/exchange.h"
#include "sink/http/request.h"

#define TOKEN_MAX_BYTES 65536
#define TOKEN_DEFAULT_S 300 /* where the server does not say how long it is good */
#define TOKEN_EARLY_S   30

static enum ods_status put_token(struct http_sink *http, const char *token, size_t length,
                                 const char *from, struct error *error)
{
    while (length && (unsigned char) token[length - 1] <= ' ')
        length--;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) token[i] <= ' ' || (unsigned char) token[i] > 126)
            return error_set(error, ODS_RETRY,
                             "target %s: %s: a token has no white space or control characters",
                             http->config.name, from);
    if (!length)
        return error_set(error, ODS_RETRY, "target %s: %s: it is empty", http->config.name, from);
    buffer_reset(&http->authorization);
    buffer_puts(&http->authorization, "Authorization: Bearer ");
    buffer_add(&http->authorization, token, length);
    return http->authorization.failed ? error_out_of_memory(error) : ODS_OK;
}

void authorize_forget(struct http_sink *http)
{
    if (*http->settings->token_file || *http->settings->token_url) {
        buffer_reset(&http->authorization);
        http->token.changed_us = http->token.until_us = 0;
    }
}

void authorize_done(struct http_sink *http)
{
    buffer_done(&http->authorization);
}

/* --- a file ------------------------------------------------------------------------------- */

static enum ods_status no_file(const struct http_sink *http, struct error *error)
{
    return error_set(error, ODS_RETRY, "target %s: token_file %s: %s", http->config.name,
                     http->settings->token_file, strerror(errno));
}

static enum ods_status read_file(struct http_sink *http, int file, struct error *error)
{
    char *bytes = malloc(TOKEN_MAX_BYTES);
    ssize_t length = bytes ? read(file, bytes, TOKEN_MAX_BYTES) : -1;
    enum ods_status status =
        !bytes       ? error_out_of_memory(error)
        : length < 0 ? no_file(http, error)
                     : put_token(http, bytes, (size_t) length, http->settings->token_file, error);
    if (bytes)
        explicit_bzero(bytes, TOKEN_MAX_BYTES);
    free(bytes);
    return status;
}

static enum ods_status token_of_file(struct http_sink *http, struct error *error)
{
    struct stat now;
    int file = open(http->settings->token_file, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &now)) {
        enum ods_status status = no_file(http, error);
        if (file >= 0)
            close(file);
        return status;
    }
    int64_t changed_us = (int64_t) now.st_mtim.tv_sec * 1000000 + now.st_mtim.tv_nsec / 1000;
    enum ods_status status = ODS_OK;
    if (!http->authorization.length || changed_us != http->token.changed_us)
        status = read_file(http, file, error);
    if (status == ODS_OK)
        http->token.changed_us = changed_us;
    close(file);
    return status;
}

/* --- client credentials ------------------------------------------------------------------- */

static size_t take_answer(char *bytes, size_t one, size_t length, void *opaque)
{
    struct buffer *answer = opaque;
    if (answer->length + length > TOKEN_MAX_BYTES)
        return 0;
    buffer_add(answer, bytes, length);
    return answer->failed ? 0 : length * one;
}

static void put_field(CURL *easy, struct buffer *out, const char *name, const char *value)
{
    char *escaped = *value ? curl_easy_escape(easy, value, 0) : NULL;
    if (!*value)
        return;
    buffer_printf(out, "%s%s=%s", out->length ? "&" : "", name, escaped ? escaped : "");
    out->failed |= !escaped;
    curl_free(escaped);
}

/* Sets the request up; client id and secret go in the body, as every server takes them. */
static CURLcode set_up(struct http_sink *http, CURL *easy, struct buffer *body,
                       struct buffer *answer, char *reason)
{
    const struct http_settings *settings = http->settings;
    put_field(easy, body, "grant_type", "client_credentials");
    put_field(easy, body, "client_id", settings->client_id);
    put_field(easy, body, "client_secret", settings->client_secret);
    put_field(easy, body, "scope", settings->scope);
    CURLcode code = body->failed ? CURLE_OUT_OF_MEMORY : request_prepare(http, easy, reason);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_URL, settings->token_url);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buffer_text(body));
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    return code;
}

/* The answer has a secret in it, or an error that names what is wrong. */
static enum ods_status read_token(struct http_sink *http, long code, struct buffer *answer,
                                  struct error *error)
{
    json_t *root = json_loadb(answer->length ? answer->bytes : "", answer->length, 0, NULL);
    const char *token = json_string_value(json_object_get(root, "access_token"));
    const char *why = json_string_value(json_object_get(root, "error"));
    const json_t *lasts = json_object_get(root, "expires_in");
    enum ods_status status;
    if (code == 200 && token) {
        int64_t seconds = json_is_integer(lasts) ? json_integer_value(lasts) : TOKEN_DEFAULT_S;
        int64_t early = seconds > 2 * TOKEN_EARLY_S ? TOKEN_EARLY_S : seconds / 2;
        status = put_token(http, token, strlen(token), "oauth2.token_url", error);
        http->token.until_us = time_monotonic_us() + (seconds - early) * 1000000;
    } else {
        status = error_set(error, ODS_RETRY,
                           "target %s: oauth2.token_url answers %ld%s%s, and no access_token",
                           http->config.name, code, why ? ", " : "", why ? why : "");
    }
    json_decref(root);
    return status;
}

static enum ods_status ask_for_token(struct http_sink *http, struct error *error)
{
    char reason[CURL_ERROR_SIZE] = "";
    struct buffer body, answer;
    buffer_init(&body);
    buffer_init(&answer);
    CURL *easy = curl_easy_init();
    CURLcode code = easy ? set_up(http, easy, &body, &answer, reason) : CURLE_OUT_OF_MEMORY;
    enum ods_status status = code ? ODS_OK : exchange_one(http, easy, &code, error);
    long answered = 0;
    if (status == ODS_OK && code) {
        status = error_set(error, ODS_RETRY, "target %s: oauth2.token_url: %s", http->config.name,
                           *reason ? reason : curl_easy_strerror(code));
    } else if (status == ODS_OK) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answered);
        status = read_token(http, answered, &answer, error);
    }
    curl_easy_cleanup(easy);
    if (answer.length)
        explicit_bzero(answer.bytes, answer.length);
    if (body.length)
        explicit_bzero(body.bytes, body.length);
    buffer_done(&answer);
    buffer_done(&body);
    return status;
}

enum ods_status authorize(struct http_sink *http, struct error *error)
{
    const struct http_settings *settings = http->settings;
    enum ods_status status = ODS_OK;
    if (*settings->token && !http->authorization.length)
        status = put_token(http, settings->token, strlen(settings->token), "token", error);
    else if (*settings->token_file)
        status = token_of_file(http, error);
    else if (*settings->token_url &&
             (!http->authorization.length || time_monotonic_us() >= http->token.until_us))
        status = ask_for_token(http, error);
    if (status != ODS_OK && error)
        error->fault = FAULT_OUTAGE;
    return status;
}
