#include "pipeline/exposition.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- what a scraper wants ------------------------------------------------------------------- */

/* The weight of one media range, [at, end). */
static double weight_of(const char *at, const char *end)
{
    for (; at < end; at++)
        if (*at == ';') {
            do
                at++;
            while (at < end && (*at == ' ' || *at == '\t'));
            if (end - at > 2 && strncasecmp(at, "q=", 2) == 0)
                return strtod(at + 2, NULL);
            at--;
        }
    return 1;
}

static bool names(const char *at, const char *end, const char *type)
{
    size_t length = strlen(type);
    return (size_t) (end - at) >= length && strncasecmp(at, type, length) == 0 &&
           (at + length == end || strchr("; \t", at[length]));
}

bool exposition_is_openmetrics(const char *accept)
{
    double openmetrics = 0, text = 0;
    for (const char *at = accept; at && *at;) {
        while (*at == ' ' || *at == '\t' || *at == ',')
            at++;
        const char *end = at + strcspn(at, ",");
        double weight = weight_of(at, end);
        if (names(at, end, "application/openmetrics-text"))
            openmetrics = weight > openmetrics ? weight : openmetrics;
        else if (names(at, end, "text/plain"))
            text = weight > text ? weight : text;
        at = end;
    }
    return openmetrics > 0 && openmetrics >= text;
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

void exposition_openmetrics(struct buffer *out, const struct buffer *text)
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
