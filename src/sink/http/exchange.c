/* Requests and answers of a batch: each queue has one request in flight at most. After a failure
 * nothing more is begun; what is in flight is waited for, so that it is not sent twice for nothing.
 */
#include "sink/http/exchange.h"

#include "core/time.h"
#include "sink/http/answer.h"
#include "sink/http/authorize.h"
#include "sink/http/request.h"

#define TURN_MS 500

static enum ods_status interrupted(const struct http_sink *http, struct error *error)
{
    return error_set(error, ODS_RETRY, "target %s: interrupted", http->config.name);
}

static enum ods_status broken(const struct http_sink *http, CURLMcode code, struct error *error)
{
    return error_set(error, ODS_RETRY, "target %s: libcurl: %s", http->config.name,
                     curl_multi_strerror(code));
}

static void say_alive(const struct http_sink *http)
{
    if (http->config.alive)
        http->config.alive(http->config.alive_context);
}

/* Wait for something to happen, for TURN_MS at most. */
static enum ods_status turn(struct http_sink *http, int *running, struct error *error)
{
    CURLMcode code = curl_multi_perform(http->multi, running);
    say_alive(http);
    if (!code && *running)
        code = curl_multi_poll(http->multi, NULL, 0, TURN_MS, NULL);
    if (code)
        return broken(http, code, error);
    return atomic_load(&http->interrupted) ? interrupted(http, error) : ODS_OK;
}

enum ods_status exchange_wait(struct http_sink *http, int64_t until_us, struct error *error)
{
    for (int64_t left_us; (left_us = until_us - time_monotonic_us()) > 0;) {
        int wait_ms = left_us / 1000 < TURN_MS ? (int) (left_us / 1000) + 1 : TURN_MS;
        CURLMcode code = curl_multi_poll(http->multi, NULL, 0, wait_ms, NULL);
        say_alive(http);
        if (code)
            return broken(http, code, error);
        if (atomic_load(&http->interrupted))
            return interrupted(http, error);
    }
    return ODS_OK;
}

enum ods_status exchange_one(struct http_sink *http, CURL *easy, CURLcode *code,
                             struct error *error)
{
    int running = 1, left;
    CURLMcode added = curl_multi_add_handle(http->multi, easy);
    enum ods_status status = added ? broken(http, added, error) : ODS_OK;
    while (status == ODS_OK && running)
        status = turn(http, &running, error);
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left));)
        *code = message->data.result;
    if (!added)
        curl_multi_remove_handle(http->multi, easy);
    return status;
}

/* --- a batch ------------------------------------------------------------------------------ */

/* A failure that stops the batch; the first one is kept. */
struct failure {
    enum ods_status status; /* ODS_OK: none */
    struct error why;
};

static void fail(struct failure *failure, enum ods_status status, const struct error *why)
{
    if (failure->status == ODS_OK || (failure->status == ODS_RETRY && status == ODS_FATAL)) {
        failure->status = status;
        failure->why = *why;
    }
}

static void wait_as_told(struct http_sink *http, const struct http_queue *queue)
{
    int64_t wait_us = (int64_t) queue->retry_after_s * 1000000;
    if (wait_us > http->settings->retry_after_ms * 1000)
        wait_us = http->settings->retry_after_ms * 1000;
    if (wait_us > 0 && time_monotonic_us() + wait_us > http->not_before_us)
        http->not_before_us = time_monotonic_us() + wait_us;
}

/* The only change of the request becomes a letter; of several, each is tried alone. */
static void refuse(struct http_sink *http, struct http_queue *queue, struct failure *failure,
                   struct error *why)
{
    uint32_t index = queue->first;
    struct error error;
    error_init(&error);
    if (queue->first != queue->last) {
        for (uint32_t at = index; at != HTTP_NONE; at = *http_next(http, at))
            *http_state(http, at) = HTTP_ALONE;
        request_put_back(http, queue);
        return;
    }
    queue->first = queue->last = HTTP_NONE;
    why->index = index;
    enum ods_status status =
        batch_set_aside(http->batch, http->batch->changes[index].record, "apply", why, &error);
    if (status != ODS_OK)
        fail(failure, status, &error);
}

static void count(struct http_sink *http, enum verdict verdict)
{
    static const enum http_number numbers[] = {[VERDICT_DONE] = HTTP_NUMBER_SUCCESS,
                                               [VERDICT_LETTER] = HTTP_NUMBER_REFUSED,
                                               [VERDICT_AGAIN] = HTTP_NUMBER_AGAIN,
                                               [VERDICT_STOP] = HTTP_NUMBER_STOP};
    atomic_fetch_add_explicit(&http->numbers[numbers[verdict]], 1, memory_order_relaxed);
    if (verdict != VERDICT_STOP)
        atomic_store(&http->numbers[HTTP_NUMBER_PROBING], verdict == VERDICT_AGAIN);
}

static void finish(struct http_sink *http, struct http_queue *queue, CURLcode code,
                   struct failure *failure)
{
    struct error why;
    curl_multi_remove_handle(http->multi, queue->easy);
    http->in_flight--;
    enum verdict verdict = answer_judge(http, queue, code, &why);
    count(http, verdict);
    switch (verdict) {
    case VERDICT_DONE:
        http->probing = false;
        request_answered(http, queue);
        break;
    case VERDICT_LETTER:
        http->probing = false;
        refuse(http, queue, failure, &why);
        break;
    case VERDICT_AGAIN:
        http->probing = true;
        wait_as_told(http, queue);
        if (strcmp(why.code, "401") == 0)
            authorize_forget(http);
        request_put_back(http, queue);
        fail(failure, ODS_RETRY, &why);
        break;
    case VERDICT_STOP:
        request_put_back(http, queue);
        fail(failure, ODS_FATAL, &why);
        break;
    }
}

static void begin(struct http_sink *http, struct http_queue *queue, struct failure *failure)
{
    struct error error;
    error_init(&error);
    enum ods_status status = request_begin(http, queue, &error);
    CURLMcode code = CURLM_OK;
    if (status == ODS_OK && queue->first == HTTP_NONE)
        return;
    if (status == ODS_OK && (code = curl_multi_add_handle(http->multi, queue->easy))) {
        request_put_back(http, queue);
        status = broken(http, code, &error);
    }
    if (status == ODS_OK)
        http->in_flight++;
    else
        fail(failure, status, &error);
}

static void begin_all(struct http_sink *http, struct failure *failure)
{
    size_t count = (size_t) http->settings->max_in_flight;
    for (size_t i = 0; i < count && failure->status == ODS_OK; i++) {
        struct http_queue *queue = &http->queues[i];
        if (http->probing && http->in_flight)
            return;
        while (failure->status == ODS_OK && queue->first == HTTP_NONE && queue->head != HTTP_NONE)
            begin(http, queue, failure);
    }
}

static void finish_all(struct http_sink *http, struct failure *failure)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left));) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *queue = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &queue);
        finish(http, (struct http_queue *) (void *) queue, code, failure);
    }
}

/* Gives up what is in flight; whether the server has taken it is not known. */
static void cancel_all(struct http_sink *http)
{
    size_t count = (size_t) http->settings->max_in_flight;
    for (size_t i = 0; i < count; i++) {
        struct http_queue *queue = &http->queues[i];
        if (queue->first == HTTP_NONE)
            continue;
        curl_multi_remove_handle(http->multi, queue->easy);
        queue->first = queue->last = HTTP_NONE;
    }
    http->in_flight = 0;
}

enum ods_status exchange_all(struct http_sink *http, struct error *error)
{
    struct failure failure = {.status = ODS_OK};
    enum ods_status status = exchange_wait(http, http->not_before_us, error);
    int running;
    if (status == ODS_OK)
        status = authorize(http, error);
    if (status != ODS_OK)
        return status;
    begin_all(http, &failure);
    while (http->in_flight) {
        status = turn(http, &running, error);
        finish_all(http, &failure);
        if (status != ODS_OK) {
            cancel_all(http);
            return status;
        }
        begin_all(http, &failure);
    }
    if (failure.status != ODS_OK)
        *error = failure.why;
    return failure.status;
}
