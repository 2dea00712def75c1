/* The forms in which metrics are told: Prometheus' text, and OpenMetrics where a scraper prefers
 * it, which has exemplars. */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <stdbool.h>

#include <ods/buffer.h>

#define EXPOSITION_TEXT        "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Does the header Accept (NULL: there is none) prefer OpenMetrics to text? */
bool exposition_is_openmetrics(const char *accept);
/* The text, whose samples are as OpenMetrics has them already, with its heads and its end. */
void exposition_openmetrics(struct buffer *out, const struct buffer *text);

#endif
