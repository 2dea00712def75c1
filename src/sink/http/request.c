/* One request. */
#include "sink/http/request.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ods/lines.h>

/* --- the handle --------------------------------------------------------------------------- */

static size_t take_answer(char *bytes, size_t one, size_t length, void *opaque)
{
    struct http_queue *queue = opaque;
    size_t room = HTTP_ANSWER_BYTES - queue->answer_length;
    size_t some = length < room ? length : room;
    memcpy(queue->answer + queue->answer_length, bytes, some);
    queue->answer_length += some;
    queue->answer[queue->answer_length] = '\0';
    return length * one;
}

static CURLcode set_identity(const struct http_settings *settings, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "ods-sink/" ODS_VERSION);
    if (!code && *settings->ca)
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca);
    if (!code && *settings->certificate)
        code = curl_easy_setopt(easy, CURLOPT_SSLCERT, settings->certificate);
    if (!code && *settings->key)
        code = curl_easy_setopt(easy, CURLOPT_SSLKEY, settings->key);
    if (!code && *settings->user) {
        code = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_USERNAME, settings->user);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_PASSWORD, settings->password);
    }
    return code;
}

CURLcode request_prepare(const struct http_sink *http, CURL *easy, char *reason)
{
    const struct http_settings *settings = http->settings;
    CURLcode code = set_identity(settings, easy);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) settings->connect_ms);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) settings->timeout_ms);
    if (!code) /* libcurl must not use signals in a threaded program */
        code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
    if (!code) /* streams of one HTTP/2 connection rather than connections */
        code = curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
    return code;
}

/* --- what is sent ------------------------------------------------------------------------- */

static const char *method_of(const struct http_settings *settings, const struct change *change)
{
    bool deletes = change->op == OP_DELETE && *settings->delete_method;
    return deletes ? settings->delete_method : settings->method;
}

/* The lines of the headers that the change decides, each with a line end. */
static enum ods_status put_headers(struct http_sink *http, struct buffer *out,
                                   const struct template_change *at, struct error *error)
{
    const struct properties *headers = &http->settings->headers;
    for (size_t i = 0; i < headers->count; i++) {
        buffer_printf(out, "%s: ", headers->items[i].name);
        enum ods_status status = template_put(out, &http->headers[i], at, error);
        if (status != ODS_OK)
            return status;
        buffer_puts(out, "\n");
    }
    return out->failed ? error_out_of_memory(error) : ODS_OK;
}

/* URL and headers of a change into `out`, a zero byte between them: what two changes must have in
 * common to go in one request. */
static enum ods_status put_address(struct http_sink *http, struct buffer *out,
                                   const struct template_change *at, struct error *error)
{
    buffer_reset(out);
    enum ods_status status = template_put(out, &http->url, at, error);
    if (status != ODS_OK)
        return status;
    buffer_add(out, "", 1);
    return put_headers(http, out, at, error);
}

static bool same(const struct buffer *a, const struct buffer *b)
{
    return a->length == b->length && (!a->length || memcmp(a->bytes, b->bytes, a->length) == 0);
}

/* Line ends of a body that is a line: of the template, or between the tokens of JSON. */
static void join_lines(struct buffer *body, size_t begin)
{
    for (size_t i = begin; i < body->length; i++)
        if (body->bytes[i] == '\n' || body->bytes[i] == '\r')
            body->bytes[i] = ' ';
}

/* Appends the body of one more change, or sets it aside. */
static enum ods_status add_body(struct http_sink *http, struct http_queue *queue, uint32_t index,
                                bool *added, struct error *error)
{
    const struct http_settings *settings = http->settings;
    struct template_change at = {http->batch, index, http->config.pipeline, &http->scratch};
    size_t start = queue->body.length;
    struct error why;
    error_init(&why);
    if (queue->first != HTTP_NONE)
        buffer_puts(&queue->body, settings->join == HTTP_JOIN_ARRAY ? "," : "\n");
    size_t begin = queue->body.length;
    enum ods_status status =
        http->script ? script_text_put(http->script, &queue->body, http->batch,
                                       &http->batch->changes[index], &why)
                     : template_put(&queue->body, &http->body, &at, &why);
    *added = status == ODS_OK;
    if (status == ODS_OK && settings->join == HTTP_JOIN_LINES)
        join_lines(&queue->body, begin);
    if (status == ODS_OK)
        return ODS_OK;
    queue->body.length = start;
    if (status == ODS_REJECT)
        return batch_set_aside(http->batch, http->batch->changes[index].record, "apply", &why,
                               error);
    *error = why;
    return status;
}

/* Takes the head of what waits off; it becomes the request's last change if it was `added`. */
static void take(struct http_sink *http, struct http_queue *queue, bool added)
{
    uint32_t index = queue->head;
    queue->head = *http_next(http, index);
    if (queue->head == HTTP_NONE)
        queue->tail = HTTP_NONE;
    if (!added)
        return;
    *http_next(http, index) = HTTP_NONE;
    if (queue->first == HTTP_NONE)
        queue->first = index;
    else
        *http_next(http, queue->last) = index;
    queue->last = index;
}

/* The head of what waits into the request, if it fits. */
static enum ods_status fit(struct http_sink *http, struct http_queue *queue, bool *fits,
                           struct error *error)
{
    struct batch *batch = http->batch;
    const struct change *change = &batch->changes[queue->head];
    struct template_change at = {batch, queue->head, http->config.pipeline, &http->scratch};
    bool first = queue->first == HTTP_NONE, added = false;
    bool alone = *http_state(http, queue->head) == HTTP_ALONE;
    struct error why;
    error_init(&why);
    *fits = true;
    if (change->rejected) {
        take(http, queue, false);
        return ODS_OK;
    }
    enum ods_status status = put_address(http, first ? &queue->url : &queue->other, &at, &why);
    if (status == ODS_REJECT) {
        take(http, queue, false);
        return batch_set_aside(batch, change->record, "apply", &why, error);
    }
    if (status != ODS_OK) {
        *error = why;
        return status;
    }
    const char *method = method_of(http->settings, change);
    if (!first && (alone || method != queue->method || !same(&queue->url, &queue->other))) {
        *fits = false;
        return ODS_OK;
    }
    queue->method = method;
    status = add_body(http, queue, queue->head, &added, error);
    if (status == ODS_OK)
        take(http, queue, added);
    return status;
}

static void wrap(const struct http_settings *settings, struct buffer *body)
{
    if (settings->max_changes == 1 || settings->join != HTTP_JOIN_ARRAY)
        return;
    size_t length = body->length;
    if (buffer_take(body, 2)) {
        memmove(body->bytes + 1, body->bytes, length);
        body->bytes[0] = '[';
        body->bytes[length + 1] = ']';
    }
}

/* --- headers that all have ---------------------------------------------------------------- */

/* Has the request no body? */
static bool is_bare(const char *method)
{
    return strcmp(method, "DELETE") == 0 || strcmp(method, "GET") == 0;
}

static void add_line(struct http_queue *queue, const char *line, bool *failed)
{
    struct curl_slist *longer = *failed ? NULL : curl_slist_append(queue->list, line);
    *failed |= !longer;
    if (longer)
        queue->list = longer;
}

static void add_signature(struct http_sink *http, struct http_queue *queue, bool *failed)
{
    const struct http_settings *settings = http->settings;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    size_t sent = is_bare(queue->method) ? 0 : queue->body.length;
    if (!HMAC(EVP_sha256(), settings->sign_secret, (int) strlen(settings->sign_secret),
              (const unsigned char *) queue->body.bytes, sent, digest, &length)) {
        *failed = true;
        return;
    }
    buffer_reset(&http->scratch);
    buffer_printf(&http->scratch, "%s: sha256=", settings->sign_header);
    for (unsigned i = 0; i < length; i++)
        buffer_printf(&http->scratch, "%02x", digest[i]);
    add_line(queue, buffer_text(&http->scratch), failed);
    *failed |= http->scratch.failed;
}

/* Which changes a request has: the same first and last may stand around others. */
static void put_members(struct http_sink *http, const struct http_queue *queue, struct buffer *out)
{
    struct template_change at = {http->batch, queue->first, http->config.pipeline, NULL};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    struct buffer members;
    buffer_init(&members);
    for (uint32_t i = queue->first; i != HTTP_NONE; i = *http_next(http, i)) {
        at.index = i;
        template_put_identity(&members, &at);
        buffer_add(&members, "", 1);
    }
    out->failed |= members.failed ||
                   !EVP_Digest(members.bytes, members.length, digest, &length, EVP_sha256(), NULL);
    for (unsigned i = 0; i < length && i < 8; i++)
        buffer_printf(out, "%02x", digest[i]);
    buffer_done(&members);
}

static void add_identity(struct http_sink *http, struct http_queue *queue, bool *failed)
{
    struct template_change at = {http->batch, queue->first, http->config.pipeline, NULL};
    struct buffer *out = &http->scratch;
    buffer_reset(out);
    buffer_puts(out, "Idempotency-Key: ");
    template_put_identity(out, &at);
    if (queue->last != queue->first) {
        at.index = queue->last;
        buffer_puts(out, "-");
        template_put_identity(out, &at);
        buffer_puts(out, "#");
        put_members(http, queue, out);
    }
    for (size_t i = 0; i < out->length; i++) /* of a queue: any bytes */
        if ((unsigned char) out->bytes[i] < ' ' || out->bytes[i] == 127)
            out->bytes[i] = '_';
    add_line(queue, buffer_text(out), failed);
    *failed |= out->failed;
}

static bool has_header(const struct http_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->headers.count; i++)
        if (curl_strequal(settings->headers.items[i].name, name))
            return true;
    return false;
}

static bool set_headers(struct http_sink *http, struct http_queue *queue)
{
    const struct http_settings *settings = http->settings;
    bool failed = false;
    curl_slist_free_all(queue->list);
    queue->list = NULL;
    if (!has_header(settings, "Content-Type")) {
        buffer_reset(&http->scratch);
        buffer_printf(&http->scratch, "Content-Type: %s", settings->content_type);
        add_line(queue, buffer_text(&http->scratch), &failed);
    }
    add_line(queue, "Expect:", &failed); /* no round trip before a body */
    add_identity(http, queue, &failed);
    if (http->authorization.length && !has_header(settings, "Authorization"))
        add_line(queue, buffer_text(&http->authorization), &failed);
    if (*settings->sign_secret)
        add_signature(http, queue, &failed);
    for (char *line = queue->url.bytes + strlen(queue->url.bytes) + 1;
         line < queue->url.bytes + queue->url.length;) {
        char *end = strchr(line, '\n');
        *end = '\0';
        add_line(queue, line, &failed);
        line = end + 1;
    }
    return !failed;
}

static CURLcode set_up(struct http_sink *http, struct http_queue *queue)
{
    CURL *easy = queue->easy;
    bool bare = is_bare(queue->method);
    queue->answer_length = 0;
    queue->answer[0] = '\0';
    queue->retry_after_s = 0;
    *queue->reason = '\0';
    CURLcode code = set_headers(http, queue) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_URL, queue->url.bytes);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, queue->list);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, queue);
    if (!code && bare)
        code = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (!code && !bare)
        code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (!code && !bare)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, queue->body.bytes);
    if (!code && !bare)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) queue->body.length);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, queue->method);
    return code;
}

/* --- a request's life --------------------------------------------------------------------- */

enum ods_status request_begin(struct http_sink *http, struct http_queue *queue, struct error *error)
{
    int64_t room = http->settings->max_changes;
    bool fits = true;
    queue->first = queue->last = HTTP_NONE;
    buffer_reset(&queue->body);
    while (room > 0 && fits && queue->head != HTTP_NONE) {
        uint32_t last = queue->last;
        enum ods_status status = fit(http, queue, &fits, error);
        if (status != ODS_OK) {
            request_put_back(http, queue);
            return status;
        }
        room -= queue->last != last;
        if (queue->last != HTTP_NONE && *http_state(http, queue->last) == HTTP_ALONE)
            break;
    }
    if (queue->first == HTTP_NONE)
        return ODS_OK;
    wrap(http->settings, &queue->body);
    CURLcode code = queue->body.failed ? CURLE_OUT_OF_MEMORY : set_up(http, queue);
    if (!code)
        return ODS_OK;
    request_put_back(http, queue);
    if (code == CURLE_OUT_OF_MEMORY)
        return error_out_of_memory(error);
    return error_set(error, ODS_FATAL, "target %s: libcurl does not take the request: %s",
                     http->config.name, curl_easy_strerror(code));
}

void request_answered(struct http_sink *http, struct http_queue *queue)
{
    struct apply_result *result = http->result;
    for (uint32_t at = queue->first; at != HTTP_NONE; at = *http_next(http, at)) {
        enum change_op op = http->batch->changes[at].op;
        *http_state(http, at) = HTTP_ANSWERED;
        result->upserted += op != OP_DELETE && op != OP_TRUNCATE;
        result->deleted += op == OP_DELETE;
        result->truncated += op == OP_TRUNCATE;
    }
    queue->first = queue->last = HTTP_NONE;
}

void request_put_back(struct http_sink *http, struct http_queue *queue)
{
    if (queue->first == HTTP_NONE)
        return;
    *http_next(http, queue->last) = queue->head;
    if (queue->head == HTTP_NONE)
        queue->tail = queue->last;
    queue->head = queue->first;
    queue->first = queue->last = HTTP_NONE;
}
