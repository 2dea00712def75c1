/* Spans as OTLP has them in JSON (opentelemetry-proto, ExportTraceServiceRequest; ids in
 * hexadecimal digits, times in nanoseconds as texts). */
#ifndef OTLP_H
#define OTLP_H

#include <stdint.h>

#include <ods/buffer.h>
#include "config/settings.h"
#include "core/traceparent.h"

/* What is told of a record. Wall clock, microseconds. */
struct otlp_record {
    struct traceparent parent;
    uint64_t spans[5]; /* ids, none of them 0 */
    const struct pipeline_settings *pipeline;
    size_t lane;
    char topic[256];
    int32_t partition;
    int64_t offset;
    int64_t appended_us; /* 0: not known */
    int64_t taken_us, decoded_us, begun_us, done_us;
    int64_t commit_us; /* 0: not known */
    const char *stage; /* that set it aside, static; NULL: it was applied */
    char code[24];
};

void otlp_begin(struct buffer *out, const char *service_name, const char *instance);
void otlp_put(struct buffer *out, const struct otlp_record *record, bool first);
void otlp_end(struct buffer *out);
/* How many of a record's spans there are. */
unsigned otlp_spans(const struct otlp_record *record);

#endif
