/* Sends spans of sampled records to an OpenTelemetry collector, by OTLP over HTTP as JSON.
 *
 * Lanes put what they know of a record into a bounded queue and go on: what does not fit is dropped
 * and counted. A thread of its own sends. Nothing of what is in a record is sent, but its place and
 * its trace.
 */
#ifndef TRACER_H
#define TRACER_H

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"
#include "pipeline/traces.h"

struct tracer;

/* *tracer is NULL where no endpoint is configured. The settings outlive it. */
enum ods_status tracer_start(struct tracer **tracer, const struct settings *settings,
                             struct error *error);
/* What is queued is still sent, for two seconds at most. NULL is fine. */
void tracer_stop(struct tracer *tracer);
size_t tracer_limit(const struct tracer *tracer); /* of a batch's traces */

/* A batch that was applied. Wall clock, microseconds; commit_us 0: the target does not tell. */
struct tracer_batch {
    const struct pipeline_settings *pipeline; /* outlives the tracer */
    size_t lane;
    const struct batch *batch;
    int64_t begun_us, commit_us, done_us;
};
void tracer_take(struct tracer *tracer, struct traces *traces, const struct tracer_batch *batch);

void tracer_metrics(struct tracer *tracer, struct buffer *out); /* NULL: nothing */

#endif
