/* A lane's sink into an HTTP server: what its files share. */
#ifndef HTTP_SINK_H
#define HTTP_SINK_H

#include <stdatomic.h>

#include <curl/curl.h>

#include <ods/buffer.h>
#include <ods/pipeline.h>
#include <ods/sink.h>

#include "sink/http/settings.h"
#include "sink/template.h"
#include "transform/script_text.h"

#define HTTP_NONE         UINT32_MAX
#define HTTP_ANSWER_BYTES 200 /* how much of an answer that is not a success is shown */

/* The changes of some keys, one request after the other. Changes are linked by number through
 * http_sink.next. */
struct http_queue {
    CURL *easy;
    struct curl_slist *list;
    uint32_t head, tail;  /* what waits */
    uint32_t first, last; /* what the current request has; HTTP_NONE: there is none */
    struct buffer url;    /* then, after a zero byte, the headers' lines */
    struct buffer body, other;
    const char *method;
    char answer[HTTP_ANSWER_BYTES + 1];
    size_t answer_length;
    long retry_after_s; /* 0: the server has not said */
    char reason[CURL_ERROR_SIZE];
};

struct http_token {
    int64_t until_us;   /* by client credentials: to be asked for again then; monotonic */
    int64_t changed_us; /* the file's time */
};

/* What the target has done, in the order of http_number_rows; any thread reads. */
enum http_number {
    HTTP_NUMBER_SUCCESS,
    HTTP_NUMBER_REFUSED, /* becomes a letter, or each change is tried alone */
    HTTP_NUMBER_AGAIN,
    HTTP_NUMBER_STOP,
    HTTP_NUMBER_PROBING, /* 1: the circuit is open, one request at a time tries the server */
    HTTP_NUMBERS
};

struct http_sink {
    struct sink sink;
    struct sink_config config;
    const struct http_settings *settings;
    char server[300]; /* scheme and host, for messages */
    struct template url, body;
    struct script_text *script; /* in place of the body's template; NULL: it is used */
    struct template *headers; /* as many as the settings have */
    CURLM *multi;
    struct http_queue *queues; /* max_in_flight */
    size_t in_flight;
    struct buffer scratch;
    struct http_token token;
    struct buffer authorization; /* the header line; empty: none */
    int64_t not_before_us;       /* monotonic; the server asked for it */
    bool probing;                /* the last request failed: one at a time until one succeeds */
    atomic_bool interrupted;
    atomic_uint_fast64_t numbers[HTTP_NUMBERS];

    /* Of the current batch. It may come again after a failure: what was answered is not sent
     * again. */
    struct batch *batch;
    int64_t batch_opened_us, batch_offset;
    uint32_t batch_records;
    struct buffer next;   /* uint32_t a change */
    struct buffer states; /* enum http_state a change, as bytes */
    struct apply_result *result;
};

enum http_state {
    HTTP_WAITS,
    HTTP_ALONE, /* a request with it and others was refused: it is sent by itself */
    HTTP_ANSWERED,
};

static inline char *http_state(struct http_sink *http, uint32_t change)
{
    return http->states.bytes + change;
}

static inline uint32_t *http_next(struct http_sink *http, uint32_t change)
{
    return (uint32_t *) (void *) http->next.bytes + change;
}

#endif
