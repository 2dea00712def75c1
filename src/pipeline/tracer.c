/* See tracer.h. The collector takes spans by HTTP POST; 429 and 5xx, or no answer, are an outage,
 * during which one request is tried again and the queue fills. */
#include "pipeline/tracer.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/log.h"
#include "core/rare.h"
#include "core/time.h"
#include "core/utf8.h"
#include "core/wait.h"
#include "http/http_client.h"
#include "pipeline/metrics.h"
#include "pipeline/otlp.h"

#define CHUNK         128 /* records of a request */
#define GATHER_MS     500 /* that the first of them waits for others */
#define MOST_TRIES    10  /* of a request */
#define RETRY_MS      500
#define RETRY_MOST_MS 10000
#define LAST_MS       2000 /* in which the rest is sent at the end */

struct tracer {
    const struct tracing_settings *settings;
    char url[2100], instance[300];
    struct http_client *client;
    pthread_t thread;
    uint64_t random; /* the thread's, as is what follows */
    struct otlp_record chunk[CHUNK];
    size_t taken;
    struct rare trouble;
    bool away;

    pthread_mutex_t mutex; /* guards the queue, and is held for as long as a copy takes */
    pthread_cond_t changed;
    struct otlp_record *queue; /* a ring */
    size_t head, count, capacity;
    bool stopping, ended;

    atomic_bool give_up;
    atomic_uint_fast64_t sent, dropped; /* spans */
};

size_t tracer_limit(const struct tracer *tracer)
{
    return tracer->capacity;
}

/* --- lanes ---------------------------------------------------------------------------------- */

static void describe(struct otlp_record *out, const struct traced *traced,
                     const struct tracer_batch *batch)
{
    const struct record *record = &batch->batch->records[traced->record];
    *out = (struct otlp_record){
        .parent = traced->parent,
        .pipeline = batch->pipeline,
        .lane = batch->lane,
        .partition = record->partition,
        .offset = record->offset,
        .appended_us = record->timestamp_ms > 0 ? record->timestamp_ms * 1000 : 0,
        .taken_us = traced->taken_us,
        .decoded_us = traced->decoded_us,
        .begun_us = batch->begun_us,
        .commit_us = batch->commit_us,
        .done_us = batch->done_us,
        .stage = traced->reject ? traced->reject->stage : NULL,
    };
    utf8_copy(out->topic, sizeof out->topic, record->topic, strlen(record->topic));
    if (traced->reject)
        memcpy(out->code, traced->reject->error.code, sizeof out->code);
}

void tracer_take(struct tracer *tracer, struct traces *traces, const struct tracer_batch *batch)
{
    uint64_t dropped = traces->dropped;
    if (!traces->count && !dropped)
        return;
    traces_judge(traces, batch->batch);
    for (size_t i = 0; i < traces->count; i++) {
        struct otlp_record record;
        describe(&record, &traces->items[i], batch);
        pthread_mutex_lock(&tracer->mutex);
        bool fits = tracer->count < tracer->capacity;
        if (fits)
            tracer->queue[(tracer->head + tracer->count++) % tracer->capacity] = record;
        if (fits && (tracer->count == 1 || tracer->count == CHUNK))
            pthread_cond_signal(&tracer->changed);
        pthread_mutex_unlock(&tracer->mutex);
        dropped += !fits;
    }
    const struct otlp_record sample = {.commit_us = batch->commit_us};
    atomic_fetch_add(&tracer->dropped, dropped * otlp_spans(&sample));
    traces_reset(traces);
}

/* --- sending -------------------------------------------------------------------------------- */

/* xorshift64*: ids need not be hard to guess, but no two alike. */
static uint64_t next_id(struct tracer *tracer)
{
    tracer->random ^= tracer->random >> 12;
    tracer->random ^= tracer->random << 25;
    tracer->random ^= tracer->random >> 27;
    uint64_t id = tracer->random * UINT64_C(2685821657736338717);
    return id ? id : 1;
}

static bool waits_for_more(const struct tracer *tracer)
{
    return !tracer->stopping && tracer->count < CHUNK;
}

/* False: it is over. */
static bool take_chunk(struct tracer *tracer)
{
    pthread_mutex_lock(&tracer->mutex);
    while (!tracer->count && !tracer->stopping)
        pthread_cond_wait(&tracer->changed, &tracer->mutex);
    struct timespec until = time_deadline(GATHER_MS);
    while (waits_for_more(tracer) &&
           pthread_cond_timedwait(&tracer->changed, &tracer->mutex, &until) != ETIMEDOUT)
        ;
    tracer->taken = tracer->count < CHUNK ? tracer->count : CHUNK;
    for (size_t i = 0; i < tracer->taken; i++)
        tracer->chunk[i] = tracer->queue[(tracer->head + i) % tracer->capacity];
    tracer->head = (tracer->head + tracer->taken) % tracer->capacity;
    tracer->count -= tracer->taken;
    pthread_mutex_unlock(&tracer->mutex);
    for (size_t i = 0; i < tracer->taken; i++)
        for (size_t k = 0; k < sizeof tracer->chunk->spans / sizeof *tracer->chunk->spans; k++)
            tracer->chunk[i].spans[k] = next_id(tracer);
    return tracer->taken > 0;
}

static bool is_stopping(struct tracer *tracer)
{
    pthread_mutex_lock(&tracer->mutex);
    bool stopping = tracer->stopping;
    pthread_mutex_unlock(&tracer->mutex);
    return stopping;
}

/* True: it is over. */
static bool pause_for(struct tracer *tracer, int64_t wait_ms)
{
    struct timespec until = time_deadline(wait_ms);
    pthread_mutex_lock(&tracer->mutex);
    while (!tracer->stopping &&
           pthread_cond_timedwait(&tracer->changed, &tracer->mutex, &until) != ETIMEDOUT)
        ;
    bool stopping = tracer->stopping;
    pthread_mutex_unlock(&tracer->mutex);
    return stopping;
}

/* Spans of a request that the collector has not kept: {"partialSuccess":{"rejectedSpans":"3"}}. */
static uint64_t rejected_of(struct http_answer *answer)
{
    json_t *root = json_loadb(answer->body.bytes ? answer->body.bytes : "", answer->body.length, 0,
                              NULL);
    const json_t *number = json_object_get(json_object_get(root, "partialSuccess"),
                                           "rejectedSpans");
    long long rejected = json_is_string(number) ? atoll(json_string_value(number))
                                                : json_integer_value(number);
    json_decref(root);
    return rejected > 0 ? (uint64_t) rejected : 0;
}

static bool passes(long code)
{
    return code == 408 || code == 429 || code >= 500;
}

static void note_trouble(struct tracer *tracer, const char *why)
{
    tracer->away = true;
    if (rare_due(&tracer->trouble))
        log_warn("tracing: %s takes no spans: %s; %llu dropped so far", tracer->url, why,
                 (unsigned long long) atomic_load(&tracer->dropped));
}

static void note_success(struct tracer *tracer)
{
    if (tracer->away)
        log_info("tracing: %s takes spans again", tracer->url);
    tracer->away = false;
    tracer->trouble = (struct rare){0};
}

/* ODS_RETRY: an outage. ODS_REJECT: not this request. */
static enum ods_status send_once(struct tracer *tracer, const struct buffer *body, uint64_t spans)
{
    struct http_answer answer;
    struct error error;
    char why[64];
    error_init(&error);
    http_answer_init(&answer);
    enum ods_status status = http_client_post(tracer->client, tracer->url, "application/json",
                                              body->bytes, body->length, &answer, &error);
    if (status == ODS_OK && answer.code >= 200 && answer.code < 300) {
        uint64_t rejected = rejected_of(&answer);
        rejected = rejected < spans ? rejected : spans;
        atomic_fetch_add(&tracer->sent, spans - rejected);
        atomic_fetch_add(&tracer->dropped, rejected);
        note_success(tracer);
    } else if (status == ODS_OK) {
        snprintf(why, sizeof why, "it answers %ld", answer.code);
        note_trouble(tracer, why);
        status = passes(answer.code) ? ODS_RETRY : ODS_REJECT;
    } else {
        note_trouble(tracer, error.text);
        status = ODS_RETRY;
    }
    http_answer_done(&answer);
    return status;
}

static void send_chunk(struct tracer *tracer)
{
    struct backoff backoff;
    struct buffer body;
    uint64_t spans = 0;
    buffer_init(&body);
    otlp_begin(&body, tracer->settings->service_name, tracer->instance);
    for (size_t i = 0; i < tracer->taken; i++) {
        otlp_put(&body, &tracer->chunk[i], i == 0);
        spans += otlp_spans(&tracer->chunk[i]);
    }
    otlp_end(&body);
    backoff_init(&backoff, RETRY_MS, RETRY_MOST_MS);
    enum ods_status status = body.failed ? ODS_REJECT : send_once(tracer, &body, spans);
    while (status == ODS_RETRY && backoff.attempts < MOST_TRIES &&
           !pause_for(tracer, backoff_next_ms(&backoff)))
        status = send_once(tracer, &body, spans);
    if (status != ODS_OK)
        atomic_fetch_add(&tracer->dropped, spans);
    buffer_done(&body);
}

static void *send_all(void *context)
{
    struct tracer *tracer = context;
    while (take_chunk(tracer)) {
        send_chunk(tracer);
        if (tracer->away && is_stopping(tracer))
            break;
    }
    pthread_mutex_lock(&tracer->mutex);
    tracer->ended = true;
    pthread_cond_broadcast(&tracer->changed);
    pthread_mutex_unlock(&tracer->mutex);
    return NULL;
}

/* --- life ----------------------------------------------------------------------------------- */

static const char *given(const char *text)
{
    return *text ? text : NULL;
}

/* The endpoint as it is, or with OTLP's path where it has none. */
static void name_url(struct tracer *tracer)
{
    const char *endpoint = tracer->settings->endpoint, *host = strstr(endpoint, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    size_t length = path && !path[1] ? strlen(endpoint) - 1 : strlen(endpoint);
    snprintf(tracer->url, sizeof tracer->url, "%.*s%s", (int) length, endpoint,
             path && path[1] ? "" : "/v1/traces");
}

static void tracer_free(struct tracer *tracer)
{
    http_client_free(tracer->client);
    pthread_cond_destroy(&tracer->changed);
    pthread_mutex_destroy(&tracer->mutex);
    free(tracer->queue);
    free(tracer);
}

static struct tracer *tracer_new(const struct tracing_settings *settings)
{
    struct tracer *tracer = calloc(1, sizeof *tracer);
    char host[256] = "";
    if (!tracer)
        return NULL;
    tracer->settings = settings;
    tracer->capacity = (size_t) settings->queue;
    tracer->queue = calloc(tracer->capacity, sizeof *tracer->queue);
    if (getrandom(&tracer->random, sizeof tracer->random, GRND_NONBLOCK) < 0)
        tracer->random = (uint64_t) time_wall_us();
    tracer->random |= 1;
    name_url(tracer);
    gethostname(host, sizeof host - 1);
    snprintf(tracer->instance, sizeof tracer->instance, "%s:%ld", host, (long) getpid());
    pthread_mutex_init(&tracer->mutex, NULL);
    wait_init(&tracer->changed);
    return tracer;
}

enum ods_status tracer_start(struct tracer **out, const struct settings *settings,
                             struct error *error)
{
    const struct tracing_settings *tracing = &settings->tracing;
    *out = NULL;
    if (!*tracing->endpoint)
        return ODS_OK;
    struct tracer *tracer = tracer_new(tracing);
    if (!tracer || !tracer->queue) {
        if (tracer)
            tracer_free(tracer);
        return error_set(error, ODS_FATAL, "out of memory for tracing.queue");
    }
    const struct http_client_options options = {.ca_file = given(tracing->ca),
                                                .certificate = given(tracing->certificate),
                                                .key = given(tracing->key),
                                                .token = given(tracing->token),
                                                .total_ms = (unsigned) tracing->timeout_ms,
                                                .silence_s = 10,
                                                .max_bytes = 1024 * 1024,
                                                .stop = &tracer->give_up};
    tracer->client = http_client_new(&options, error);
    enum ods_status status = tracer->client ? ODS_OK : ODS_FATAL;
    if (status == ODS_OK && pthread_create(&tracer->thread, NULL, send_all, tracer) != 0)
        status = error_set(error, ODS_FATAL, "no thread left for tracing");
    if (status != ODS_OK)
        tracer_free(tracer);
    else
        *out = tracer;
    return status;
}

void tracer_stop(struct tracer *tracer)
{
    if (!tracer)
        return;
    struct timespec until = time_deadline(LAST_MS);
    pthread_mutex_lock(&tracer->mutex);
    tracer->stopping = true;
    pthread_cond_broadcast(&tracer->changed);
    while (!tracer->ended &&
           pthread_cond_timedwait(&tracer->changed, &tracer->mutex, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&tracer->mutex);
    atomic_store(&tracer->give_up, true);
    pthread_join(tracer->thread, NULL);
    tracer_free(tracer);
}

void tracer_metrics(struct tracer *tracer, struct buffer *out)
{
    if (!tracer)
        return;
    metrics_head(out, "spans_total", "counter",
                 "Spans that the collector of tracing.endpoint took, and those that were dropped: "
                 "the queue was full, or it refused them");
    metrics_put(out, "spans_total", (const char *const[]){"outcome", "sent", NULL},
                (double) atomic_load(&tracer->sent));
    metrics_put(out, "spans_total", (const char *const[]){"outcome", "dropped", NULL},
                (double) atomic_load(&tracer->dropped));
    pthread_mutex_lock(&tracer->mutex);
    size_t waiting = tracer->count;
    pthread_mutex_unlock(&tracer->mutex);
    metrics_head(out, "spans_waiting_records", "gauge", "Records whose spans wait to be sent");
    metrics_put(out, "spans_waiting_records", (const char *const[]){NULL}, (double) waiting);
}
