/* What a lane counts. Written by the lane's two threads, read by the HTTP thread: plain atomics, no
 * lock. Counters only grow; the names that Prometheus sees stand in metrics.c. */
#ifndef METRICS_H
#define METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include <ods/batch.h>
#include <ods/sink.h>
#include <ods/buffer.h>

#define HISTOGRAM_MAX 16
#define SNAPSHOT_OVER_US INT64_C(600000000) /* without a row of it */

struct histogram {
    atomic_uint_fast64_t buckets[HISTOGRAM_MAX + 1]; /* not cumulative; the last one is +Inf */
    atomic_uint_fast64_t sum;                        /* in the bounds' own unit */
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

struct metrics {
    atomic_uint_fast64_t batches, records, bytes, changes;
    atomic_uint_fast64_t applied[APPLY_COUNT_KINDS];
    atomic_uint_fast64_t rejects_decode, rejects_apply;
    atomic_uint_fast64_t passed[PASS_COUNT];
    atomic_uint_fast64_t retries, put_off, fenced, abandoned, rebalances, offset_gaps;
    atomic_uint_fast64_t statements; /* prepared in the target's session now */
    atomic_int_fast64_t source_us;  /* source's time of the newest change applied, or INT64_MIN */
    atomic_int_fast64_t applied_us; /* wall clock of the last commit, or 0 */
    atomic_uint_fast64_t snapshot_rows; /* read, not streamed, since a snapshot began */
    atomic_int_fast64_t snapshot_us;    /* wall clock of the last commit that had such; 0: none */
    atomic_uint_fast64_t decode_us;       /* in which records were taken and decoded */
    atomic_uint_fast64_t connections;     /* that the lane has made to its target */
    atomic_uint_fast64_t in_flight_bytes; /* of batches that the writer has */
    struct histogram batch_records, apply_seconds, latency_seconds, append_latency_seconds;
};

void metrics_init(struct metrics *metrics);
/* What the target has committed, of a whole batch or a part of one. */
void metrics_rows(struct metrics *metrics, const struct apply_result *result);
/* A batch that the target has committed. */
void metrics_applied(struct metrics *metrics, const struct batch *batch, int64_t took_us);

struct lane;
/* The whole page in Prometheus' text format. */
void metrics_write(struct buffer *out, struct lane *const *lanes, size_t count);
/* More, behind it: the head of a metric, then its values; labels are names and texts in turns, NULL
 * at the end. */
void metrics_head(struct buffer *out, const char *name, const char *type, const char *help);
void metrics_put(struct buffer *out, const char *name, const char *const *labels, double value);
/* More gauges of partitions, behind it: "partition_<name>", and one value. */
void metrics_partition_head(struct buffer *out, const char *name, const char *help);
void metrics_partition(struct buffer *out, const char *name, const char *pipeline,
                       const char *topic, int32_t partition, int64_t value);

#endif
