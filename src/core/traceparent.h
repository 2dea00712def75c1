/* The trace that a record belongs to: its header `traceparent`, as W3C's Trace Context has it
 * (version-trace-parent-flags in lower-case hexadecimal digits). */
#ifndef TRACEPARENT_H
#define TRACEPARENT_H

#include <stdbool.h>

#include <ods/batch.h>

struct traceparent {
    char trace[33]; /* "": there is none */
    char span[17];  /* who wrote the record */
    bool sampled;
};

typedef size_t traceparent_headers(const struct record *record, struct header *headers, size_t max);

/* False, with both texts "", for anything that is no valid traceparent. */
bool traceparent_parse(struct traceparent *parent, const char *bytes, size_t length);
/* The same of a record, whatever the case of the header's name; `headers` is its batch's or its
 * source's, and may be NULL. */
bool traceparent_of(struct traceparent *parent, traceparent_headers *headers,
                    const struct record *record);

#endif
