/* Changes as HTTP requests.
 *
 * A batch's changes are dealt into queues by their keys; each queue has one request in flight, so
 * changes of a key follow one another. What was answered is remembered while the batch comes again
 * after an outage. Offsets are acknowledged through the source when all is answered: at least once,
 * with an Idempotency-Key by which a receiver knows what it has.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/lines.h>

#include "core/hash.h"
#include "sink/http/authorize.h"
#include "sink/http/exchange.h"
#include "sink/http/request.h"

extern const struct sink_ops http_sink;

/* --- opening ------------------------------------------------------------------------------ */

static CURLcode started;

static void start_curl(void)
{
    started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void http_close(struct sink *sink)
{
    struct http_sink *http = (struct http_sink *) sink;
    if (!http)
        return;
    for (int64_t i = 0; http->queues && i < http->settings->max_in_flight; i++) {
        struct http_queue *queue = &http->queues[i];
        curl_easy_cleanup(queue->easy);
        curl_slist_free_all(queue->list);
        buffer_done(&queue->url);
        buffer_done(&queue->body);
        buffer_done(&queue->other);
    }
    free(http->queues);
    curl_multi_cleanup(http->multi);
    for (size_t i = 0; http->headers && i < http->settings->headers.count; i++)
        template_done(&http->headers[i]);
    free(http->headers);
    template_done(&http->url);
    template_done(&http->body);
    script_text_close(http->script);
    authorize_done(http);
    buffer_done(&http->scratch);
    buffer_done(&http->next);
    buffer_done(&http->states);
    free(http);
}

static enum ods_status compile_all(struct http_sink *http, struct error *error)
{
    const struct http_settings *settings = http->settings;
    enum template_form form = http_settings_json(settings) ? TEMPLATE_JSON : TEMPLATE_TEXT;
    enum ods_status status = template_compile(&http->url, settings->url, TEMPLATE_URL, error);
    if (status == ODS_OK)
        status = template_compile(&http->body, settings->body, form, error);
    if (status == ODS_OK && (*settings->body_lua || *settings->body_script))
        status =
            script_text_open(&http->script, settings->body_lua, settings->body_script, error);
    for (size_t i = 0; status == ODS_OK && i < settings->headers.count; i++)
        status = template_compile(&http->headers[i], settings->headers.items[i].value,
                                  TEMPLATE_HEADER, error);
    return status;
}

static enum ods_status make_queues(struct http_sink *http, struct error *error)
{
    size_t count = (size_t) http->settings->max_in_flight;
    http->queues = calloc(count, sizeof *http->queues);
    http->multi = started ? NULL : curl_multi_init();
    if (!http->queues || !http->multi)
        return error_out_of_memory(error);
    for (size_t i = 0; i < count; i++) {
        struct http_queue *queue = &http->queues[i];
        queue->head = queue->tail = queue->first = queue->last = HTTP_NONE;
        queue->easy = curl_easy_init();
        CURLcode code =
            queue->easy ? request_prepare(http, queue->easy, queue->reason) : CURLE_OUT_OF_MEMORY;
        if (!code)
            code = curl_easy_setopt(queue->easy, CURLOPT_PRIVATE, queue);
        if (code)
            return error_set(error, ODS_FATAL, "target %s: libcurl: %s", http->config.name,
                             curl_easy_strerror(code));
    }
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long) count + 1);
    return ODS_OK;
}

static enum ods_status http_open(struct sink **sink, const struct sink_config *config,
                                 struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http_sink *http = calloc(1, sizeof *http);
    *sink = NULL;
    pthread_once(&once, start_curl);
    if (!http)
        return error_out_of_memory(error);
    http->config = *config;
    http->settings = config->settings;
    http->sink.ops = &http_sink;
    http->sink.wants_before = *http->settings->body_script ||
                              strstr(http->settings->body_lua, "before") ||
                              strstr(http->settings->body, "before");
    snprintf(http->server, sizeof http->server, "%.*s",
             (int) http_server_length(http->settings->url), http->settings->url);
    http->headers = calloc(http->settings->headers.count + 1, sizeof *http->headers);
    enum ods_status status = http->headers ? compile_all(http, error) : error_out_of_memory(error);
    if (status == ODS_OK)
        status = make_queues(http, error);
    if (status == ODS_OK)
        *sink = &http->sink;
    else
        http_close(&http->sink);
    return status;
}

/* --- applying ----------------------------------------------------------------------------- */

/* Is it the batch that was tried last? Then what was answered is known. */
static enum ods_status recognize(struct http_sink *http, struct batch *batch, struct error *error)
{
    int64_t offset = batch->record_count ? batch->records[0].offset : OFFSET_NONE;
    bool again = http->batch == batch && http->batch_opened_us == batch->opened_us &&
                 http->batch_offset == offset && http->batch_records == batch->record_count &&
                 http->states.length == batch->change_count;
    if (again)
        return ODS_OK;
    http->batch = batch;
    http->batch_opened_us = batch->opened_us;
    http->batch_offset = offset;
    http->batch_records = batch->record_count;
    buffer_reset(&http->states);
    buffer_reset(&http->next);
    char *states = buffer_take(&http->states, batch->change_count);
    if (!states || !buffer_take(&http->next, batch->change_count * sizeof(uint32_t))) {
        http->batch = NULL;
        return error_out_of_memory(error);
    }
    memset(states, HTTP_WAITS, batch->change_count);
    return ODS_OK;
}

/* Changes of a table without a key stay in order among themselves, and all do around a truncate. */
static uint64_t hash_key(const struct change *change)
{
    const struct shape *shape = change->shape;
    const struct value *row = change->after ? change->after : change->before;
    uint64_t hash = hash_bytes(shape->table, strlen(shape->table), 1);
    for (uint32_t i = 0; row && i < shape->key_count; i++) {
        const struct value *value = &row[shape->key[i]];
        bool has_bytes = value->kind >= VALUE_NUMBER;
        hash = has_bytes ? hash_bytes(value->bytes, value->length, hash)
                         : hash_bytes(&value->integer, sizeof value->integer, hash);
    }
    return hash;
}

static bool has_truncate(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->change_count; i++)
        if (batch->changes[i].op == OP_TRUNCATE)
            return true;
    return false;
}

static void put_in_queue(struct http_sink *http, struct http_queue *queue, uint32_t index)
{
    *http_next(http, index) = HTTP_NONE;
    if (queue->head == HTTP_NONE)
        queue->head = index;
    else
        *http_next(http, queue->tail) = index;
    queue->tail = index;
}

static enum ods_status refuse_guarded(struct batch *batch, uint32_t index, struct error *error)
{
    struct error why;
    error_init(&why);
    error_set(&why, ODS_REJECT, "what was sent by HTTP can't be compared with a letter");
    return batch_set_aside(batch, batch->changes[index].record, "apply", &why, error);
}

static enum ods_status deal(struct http_sink *http, struct error *error)
{
    struct batch *batch = http->batch;
    size_t count = has_truncate(batch) ? 1 : (size_t) http->settings->max_in_flight;
    for (int64_t i = 0; i < http->settings->max_in_flight; i++) {
        struct http_queue *queue = &http->queues[i];
        queue->head = queue->tail = queue->first = queue->last = HTTP_NONE;
    }
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        enum ods_status status = ODS_OK;
        if (change->rejected || *http_state(http, i) == HTTP_ANSWERED ||
            lines_table(http->config.pipeline, change->shape)->skip)
            continue;
        if (batch->guard_time)
            status = refuse_guarded(batch, i, error);
        else
            put_in_queue(http, &http->queues[hash_key(change) % count], i);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

static enum ods_status http_apply(struct sink *sink, struct batch *batch,
                                  const struct apply_hooks *hooks, struct apply_result *result,
                                  struct error *error)
{
    struct http_sink *http = (struct http_sink *) sink;
    enum ods_status status = recognize(http, batch, error);
    http->result = result;
    if (status == ODS_OK)
        status = deal(http, error);
    if (status == ODS_OK)
        status = exchange_all(http, error);
    if (status == ODS_OK && hooks && hooks->before_commit && batch_letters_wait(batch))
        status = hooks->before_commit(hooks->context, batch, error);
    if (status == ODS_OK)
        http->batch = NULL;
    return status;
}

/* --- the rest ----------------------------------------------------------------------------- */

static enum ods_status http_check(struct sink *sink,
                                  void (*report)(void *context, const char *line), void *context,
                                  struct error *error)
{
    struct http_sink *http = (struct http_sink *) sink;
    char reason[CURL_ERROR_SIZE] = "", line[500];
    enum ods_status status = authorize(http, error);
    if (status != ODS_OK)
        return status;
    CURL *easy = curl_easy_init();
    CURLcode code = easy ? request_prepare(http, easy, reason) : CURLE_OUT_OF_MEMORY;
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_URL, http->server);
    if (!code) /* and TLS, but no request */
        code = curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    if (!code)
        code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    if (code)
        return error_set(error, ODS_RETRY, "target %s: %s: %s", http->config.name, http->server,
                         *reason ? reason : curl_easy_strerror(code));
    snprintf(line, sizeof line, "target %s: %s takes connections; no request was sent",
             http->config.name, http->server);
    report(context, line);
    return ODS_OK;
}

static void http_interrupt(struct sink *sink)
{
    struct http_sink *http = (struct http_sink *) sink;
    atomic_store(&http->interrupted, true);
    curl_multi_wakeup(http->multi);
}

static void http_clear_interrupt(struct sink *sink)
{
    atomic_store(&((struct http_sink *) sink)->interrupted, false);
}

static const struct number http_number_rows[HTTP_NUMBERS + 1] = {
    [HTTP_NUMBER_SUCCESS] = {"http_requests_total", "counter",
                             "Requests of the target of type http, by what came of them: success, "
                             "refused for good, to be sent again, a fault that stops",
                             ",outcome=\"success\""},
    [HTTP_NUMBER_REFUSED] = {NULL, NULL, NULL, ",outcome=\"refused\""},
    [HTTP_NUMBER_AGAIN] = {NULL, NULL, NULL, ",outcome=\"again\""},
    [HTTP_NUMBER_STOP] = {NULL, NULL, NULL, ",outcome=\"stop\""},
    [HTTP_NUMBER_PROBING] = {"http_circuit_open", "gauge",
                             "1 while the last request of the target of type http failed, so that "
                             "one at a time is tried",
                             ""},
};

static void http_tell(const struct sink *sink, double *values)
{
    const struct http_sink *http = (const struct http_sink *) sink;
    for (size_t i = 0; i < HTTP_NUMBERS; i++)
        values[i] = (double) atomic_load_explicit(&http->numbers[i], memory_order_relaxed);
}

const struct sink_ops http_sink = {
    .type = "http",
    .summary = "changes as HTTP requests: webhooks and REST interfaces",
    .codes = "HTTP status",
    .guarantee = AT_LEAST_ONCE,
    .settings = &http_settings_group,
    .open = http_open,
    .connect = sink_needs_no_connection, /* the first request connects */
    .resume = sink_stores_no_offsets,
    .apply = http_apply,
    .check = http_check,
    .numbers = http_number_rows,
    .tell = http_tell,
    .interrupt = http_interrupt,
    .clear_interrupt = http_clear_interrupt,
    .close = http_close,
};
