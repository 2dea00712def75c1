#include "pipeline/exposition.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- what a scraper wants ------------------------------------------------------------------- */

static const char *const types[] = {
    [EXPOSE_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
    [EXPOSE_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    [EXPOSE_PROTOBUF] = ("application/vnd.google.protobuf; "
                         "proto=io.prometheus.client.MetricFamily; encoding=delimited"),
};

const char *exposition_type(enum exposition form)
{
    return types[form];
}

/* The value of a media range's parameter, [at, end); NULL: it has none of this name. */
static const char *parameter(const char *at, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (; at < end; at++) {
        if (*at != ';')
            continue;
        while (at + 1 < end && (at[1] == ' ' || at[1] == '\t'))
            at++;
        if ((size_t) (end - at) > length + 1 && strncasecmp(at + 1, name, length) == 0 &&
            at[length + 1] == '=')
            return at + length + 2;
    }
    return NULL;
}

static bool is(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return at && (size_t) (end - at) >= length && strncasecmp(at, word, length) == 0 &&
           (at + length == end || strchr(";, \t", at[length]));
}

/* False: none of ours. */
static bool form_of(const char *at, const char *end, enum exposition *form)
{
    *form = EXPOSE_TEXT;
    if (is(at, end, "application/openmetrics-text"))
        *form = EXPOSE_OPENMETRICS;
    else if (is(at, end, "application/vnd.google.protobuf") &&
             is(parameter(at, end, "proto"), end, "io.prometheus.client.MetricFamily") &&
             is(parameter(at, end, "encoding"), end, "delimited"))
        *form = EXPOSE_PROTOBUF;
    else
        return is(at, end, "text/plain");
    return true;
}

enum exposition exposition_of(const char *accept)
{
    double weights[3] = {0};
    for (const char *at = accept; at && *at;) {
        while (*at == ' ' || *at == '\t' || *at == ',')
            at++;
        const char *end = at + strcspn(at, ","), *q = parameter(at, end, "q");
        double weight = q ? strtod(q, NULL) : 1;
        enum exposition form;
        if (form_of(at, end, &form) && weight > weights[form])
            weights[form] = weight;
        at = end;
    }
    enum exposition best = EXPOSE_TEXT;
    for (enum exposition form = EXPOSE_OPENMETRICS; form <= EXPOSE_PROTOBUF; form++)
        if (weights[form] > 0 && weights[form] >= weights[best])
            best = form;
    return best;
}

/* --- OpenMetrics ---------------------------------------------------------------------------- */

static bool begins(const char *at, const char *end, const char *text)
{
    size_t length = strlen(text);
    return (size_t) (end - at) >= length && memcmp(at, text, length) == 0;
}

/* A head, "# HELP name …" or "# TYPE name …": a counter is called without its "_total", and what
 * the version is told by is an info. */
static void put_head(struct buffer *out, const char *line, const char *end)
{
    const char *name = line + 7, *rest = memchr(name, ' ', (size_t) (end - name));
    if (!rest)
        return;
    size_t length = (size_t) (rest - name);
    bool info = length == 13 && memcmp(name, "ods_sink_info", 13) == 0;
    bool counter = length > 6 && memcmp(rest - 6, "_total", 6) == 0;
    buffer_add(out, line, 7);
    buffer_add(out, name, info ? length - 5 : counter ? length - 6 : length);
    if (info && begins(line, end, "# TYPE")) {
        buffer_puts(out, " info\n");
        return;
    }
    for (; rest < end; rest++) { /* a text in quotes' form */
        if (*rest == '"')
            buffer_puts(out, "\\");
        buffer_add(out, rest, 1);
    }
    buffer_puts(out, "\n");
}

static void finish_openmetrics(struct buffer *out, const struct buffer *text)
{
    const char *at = text->bytes, *end = at + text->length, *samples = at;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        const char *next = newline ? newline + 1 : end;
        if (*at == '#') {
            buffer_add(out, samples, (size_t) (at - samples));
            put_head(out, at, newline ? newline : end);
            samples = next;
        }
        at = next;
    }
    buffer_add(out, samples, (size_t) (end - samples));
    buffer_puts(out, "# EOF\n");
}

void exposition_finish(struct buffer *out, const struct buffer *text, enum exposition form)
{
    if (form == EXPOSE_PROTOBUF)
        exposition_protobuf(out, text);
    else
        finish_openmetrics(out, text);
}
