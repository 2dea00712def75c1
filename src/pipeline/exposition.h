/* The forms in which metrics are told: Prometheus' text; OpenMetrics where a scraper prefers it,
 * which has exemplars; and Prometheus' protobuf messages, which have native histograms beside.
 *
 * They are all made from one text, in which samples of the latter two have exemplars, and of the
 * last a line behind each histogram with its native buckets.
 */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <ods/buffer.h>

enum exposition { EXPOSE_TEXT, EXPOSE_OPENMETRICS, EXPOSE_PROTOBUF };

/* Begins that line; then schema, count of zeros, and INDEX:COUNT of each bucket that has any. */
#define EXPOSITION_NATIVE "#native"

/* What the header Accept (NULL: there is none) prefers. */
enum exposition exposition_of(const char *accept);
const char *exposition_type(enum exposition form); /* for Content-Type */
/* The form, other than text. */
void exposition_finish(struct buffer *out, const struct buffer *text, enum exposition form);

/* exposition_protobuf.c */
void exposition_protobuf(struct buffer *out, const struct buffer *text);

#endif
