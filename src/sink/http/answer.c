/* What an answer means. Statuses: RFC 9110 section 15, RFC 6585 (429), RFC 8470 (425). */
#include "sink/http/answer.h"

#include <stdio.h>
#include <string.h>

#include <ods/lines.h>

static const struct {
    long status;
    enum verdict verdict;
} statuses[] = {
    {401, VERDICT_AGAIN}, /* the credentials are at fault, not the change */
    {407, VERDICT_AGAIN}, {408, VERDICT_AGAIN}, {425, VERDICT_AGAIN}, {429, VERDICT_AGAIN},
};

static enum verdict by_status(const struct http_settings *settings, long status)
{
    static const enum verdict conflicts[] = {[HTTP_CONFLICT_LETTER] = VERDICT_LETTER,
                                             [HTTP_CONFLICT_DONE] = VERDICT_DONE,
                                             [HTTP_CONFLICT_RETRY] = VERDICT_AGAIN};
    if (status == 409)
        return conflicts[settings->conflict];
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return statuses[i].verdict;
    if (status >= 200 && status < 300)
        return VERDICT_DONE;
    if (status >= 400 && status < 500)
        return VERDICT_LETTER;
    return status >= 300 && status < 400 ? VERDICT_STOP : VERDICT_AGAIN;
}

/* Does the text have the request's path in it? A URL may be a secret. */
static bool tells_path(const struct http_sink *http, const struct http_queue *queue)
{
    char path[512];
    const char *from = queue->url.bytes + strlen(http->server);
    snprintf(path, sizeof path, "%.*s", (int) strcspn(from, "?#"), from);
    return strlen(path) > 1 && strstr(queue->answer, path);
}

/* May the answer's text be shown? A server may repeat what it was sent. */
static bool is_open(const struct http_sink *http, const struct http_queue *queue)
{
    if (tells_path(http, queue))
        return false;
    for (uint32_t at = queue->first; at != HTTP_NONE;
         at = ((const uint32_t *) (const void *) http->next.bytes)[at]) {
        const struct shape *shape = http->batch->changes[at].shape;
        if (lines_table(http->config.pipeline, shape)->redact.count)
            return false;
    }
    return true;
}

/* On one line, of printable characters. */
static void say_answer(const struct http_sink *http, const struct http_queue *queue, char *out,
                       size_t room)
{
    size_t length = 0;
    const char *text = queue->answer;
    if (!*text || !is_open(http, queue)) {
        *out = '\0';
        return;
    }
    length = (size_t) snprintf(out, room, ": ");
    for (; *text && length + 1 < room; text++)
        if ((unsigned char) *text > ' ' && *text != 127)
            out[length++] = *text;
        else if (out[length - 1] != ' ')
            out[length++] = ' ';
    out[length] = '\0';
}

static enum verdict no_answer(const struct http_sink *http, const struct http_queue *queue,
                              CURLcode code, struct error *error)
{
    const char *reason = *queue->reason ? queue->reason : curl_easy_strerror(code);
    error_set(error, ODS_RETRY, "target %s: %s %s: %s", http->config.name, queue->method,
              http->server, reason);
    error->fault = FAULT_OUTAGE;
    if (code != CURLE_URL_MALFORMAT && code != CURLE_UNSUPPORTED_PROTOCOL)
        return VERDICT_AGAIN;
    error->fault = FAULT_CONFIGURATION;
    return VERDICT_STOP;
}

enum verdict answer_judge(const struct http_sink *http, struct http_queue *queue, CURLcode code,
                          struct error *error)
{
    long status = 0;
    curl_off_t retry_after = 0;
    char text[HTTP_ANSWER_BYTES + 8], *place = NULL;
    error_init(error);
    if (code)
        return no_answer(http, queue, code, error);
    curl_easy_getinfo(queue->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(queue->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(queue->easy, CURLINFO_REDIRECT_URL, &place);
    enum verdict verdict = by_status(http->settings, status);
    if (verdict == VERDICT_DONE)
        return verdict;
    say_answer(http, queue, text, sizeof text);
    queue->retry_after_s = (long) retry_after;
    if (verdict == VERDICT_STOP) {
        error_set(error, ODS_FATAL,
                  "target %s: %s %s answers %ld, which leads to %.*s: redirects are "
                  "not followed; give the URL that it leads to",
                  http->config.name, queue->method, http->server, status,
                  place ? (int) http_server_length(place) : 9, place ? place : "elsewhere");
        error->fault = FAULT_CONFIGURATION;
    } else {
        error_set(error, verdict == VERDICT_AGAIN ? ODS_RETRY : ODS_REJECT,
                  "target %s: %s %s answers %ld%s", http->config.name, queue->method, http->server,
                  status, text);
        error->fault = verdict == VERDICT_AGAIN ? FAULT_OUTAGE : FAULT_ROW;
    }
    snprintf(error->code, sizeof error->code, "%ld", status);
    return verdict;
}
