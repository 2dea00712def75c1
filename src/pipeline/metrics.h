/* What a lane counts. Written by the lane's two threads, read by the HTTP thread: plain atomics, no
 * lock. Counters only grow; the names that Prometheus sees stand in metrics_show.c. */
#ifndef METRICS_H
#define METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include <ods/batch.h>
#include <ods/sink.h>
#include <ods/buffer.h>
#include "pipeline/exemplar.h"
#include "pipeline/exposition.h"

#define HISTOGRAM_MAX 16
/* A native histogram's buckets, of schema 3: number i ends at 2^(i/8). What is beyond both ends
 * counts in the outermost. */
#define NATIVE_SCHEMA 3
#define NATIVE_FIRST  (-112) /* 61 microseconds */
#define NATIVE_LAST   136    /* 131,072 */
#define NATIVE_COUNT  (NATIVE_LAST - NATIVE_FIRST + 1)
#define SNAPSHOT_OVER_US INT64_C(600000000) /* without a row of it */

struct histogram {
    atomic_uint_fast64_t buckets[HISTOGRAM_MAX + 1]; /* not cumulative; the last one is +Inf */
    atomic_uint_fast64_t sum;                        /* in the bounds' own unit */
    atomic_uint_fast64_t native[NATIVE_COUNT], zero; /* zero: of values that are not above 0 */
    struct exemplar_cell exemplars[HISTOGRAM_MAX + 1];
};

/* The bounds of a histogram; `unit` of them make what Prometheus is shown as 1. */
struct histogram_bounds {
    double unit;
    size_t count;
    int64_t upto[HISTOGRAM_MAX];
};
extern const struct histogram_bounds histogram_seconds, histogram_records;
void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds,
                   int64_t value);

#define METRICS_FAULTS (FAULT_CONFIGURATION + 1)

/* Why an attempt is made again. */
enum retry_reason { RETRY_OUTAGE, RETRY_LETTERS, RETRY_ORDER, RETRY_REASONS };

struct metrics {
    atomic_uint_fast64_t batches, records, bytes, changes;
    atomic_uint_fast64_t applied[APPLY_COUNT_KINDS];
    atomic_uint_fast64_t rejects_decode, rejects_apply;
    atomic_uint_fast64_t passed[PASS_COUNT];
    atomic_uint_fast64_t refused[METRICS_FAULTS]; /* rejects_apply, by enum fault */
    atomic_uint_fast64_t retries[RETRY_REASONS];
    atomic_uint_fast64_t put_off, fenced, abandoned, rebalances, offset_gaps;
    atomic_uint_fast64_t statements; /* prepared in the target's session now */
    atomic_int_fast64_t source_us;  /* source's time of the newest change applied, or INT64_MIN */
    atomic_int_fast64_t applied_us; /* wall clock of the last commit, or 0 */
    atomic_uint_fast64_t snapshot_rows; /* read, not streamed, since a snapshot began */
    atomic_int_fast64_t snapshot_us;    /* wall clock of the last commit that had such; 0: none */
    atomic_uint_fast64_t decode_us;       /* in which records were taken and decoded */
    atomic_uint_fast64_t connections;     /* that the lane has made to its target */
    atomic_uint_fast64_t in_flight_bytes; /* of batches that the writer has */
    atomic_uint_fast64_t filling_bytes, idle_bytes; /* of the others, looked at once a second */
    atomic_uint_fast64_t phase_us[APPLY_PHASES];
    struct histogram batch_records, apply_seconds, latency_seconds, append_latency_seconds;
};

void metrics_init(struct metrics *metrics);
/* So much more time was spent in a phase of applying. */
void metrics_phase(struct metrics *metrics, enum apply_phase phase, int64_t took_us);
/* What the target has committed, of a whole batch or a part of one. */
void metrics_rows(struct metrics *metrics, const struct apply_result *result);
/* A batch that the target has committed. */
void metrics_applied(struct metrics *metrics, const struct batch *batch, int64_t took_us);

struct lane;
/* The whole page, as text from which exposition_finish() makes the form. */
void metrics_write(struct buffer *out, struct lane *const *lanes, size_t count,
                   enum exposition form);
/* More, behind it: the head of a metric, then its values; labels are names and texts in turns, NULL
 * at the end. */
void metrics_head(struct buffer *out, const char *name, const char *type, const char *help);
void metrics_put(struct buffer *out, const char *name, const char *const *labels, double value);
void metrics_label(struct buffer *out, const char *name, const char *text); /* name="text" */
/* More gauges of partitions, behind it: "partition_<name>", and one value. */
void metrics_partition_head(struct buffer *out, const char *name, const char *help);
void metrics_partition(struct buffer *out, const char *name, const char *pipeline,
                       const char *topic, int32_t partition, int64_t value);

#endif
