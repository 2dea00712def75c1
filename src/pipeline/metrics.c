/* Counting. */
#include "pipeline/metrics.h"

#include <math.h>
#include <string.h>

#include "core/time.h"
#include "core/traceparent.h"

const struct histogram_bounds histogram_seconds = {
    .unit = 1e6,
    .count = 14,
    .upto = {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
             5000000, 10000000, 60000000},
};

const struct histogram_bounds histogram_records = {
    .unit = 1,
    .count = 11,
    .upto = {1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000},
};

static size_t bucket_of(const struct histogram_bounds *bounds, int64_t value)
{
    size_t bucket = 0;
    while (bucket < bounds->count && value > bounds->upto[bucket])
        bucket++;
    return bucket;
}

/* A batch has few values, so a logarithm each is no matter. */
static void add_native(struct histogram *histogram, const struct histogram_bounds *bounds,
                       int64_t value)
{
    if (value <= 0) {
        atomic_fetch_add_explicit(&histogram->zero, 1, memory_order_relaxed);
        return;
    }
    double place = ceil(log2((double) value / bounds->unit) * (1 << NATIVE_SCHEMA));
    size_t index = place <= NATIVE_FIRST  ? 0
                   : place >= NATIVE_LAST ? NATIVE_COUNT - 1
                                          : (size_t) ((int) place - NATIVE_FIRST);
    atomic_fetch_add_explicit(&histogram->native[index], 1, memory_order_relaxed);
}

void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds,
                   int64_t value)
{
    size_t bucket = bucket_of(bounds, value);
    add_native(histogram, bounds, value);
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    if (value > 0)
        atomic_fetch_add_explicit(&histogram->sum, (uint64_t) value, memory_order_relaxed);
}

void metrics_init(struct metrics *metrics)
{
    atomic_store(&metrics->source_us, INT64_MIN);
    atomic_store(&metrics->applied_us, 0);
}

static void add(atomic_uint_fast64_t *counter, uint64_t by)
{
    if (by)
        atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* Rows of a snapshot that ended long ago are no part of this one. */
static void note_snapshot(struct metrics *metrics, int64_t now_us, uint64_t reads)
{
    if (now_us - atomic_load(&metrics->snapshot_us) > SNAPSHOT_OVER_US)
        atomic_store(&metrics->snapshot_rows, 0);
    atomic_fetch_add(&metrics->snapshot_rows, reads);
    atomic_store(&metrics->snapshot_us, now_us);
}

/* --- how long it took ----------------------------------------------------------------------- */

#define LOOKS 64 /* of a batch's first records, which of them has a trace */

/* False: the record has no trace. */
static bool exemplify(struct histogram *histogram, const struct batch *batch, uint32_t record,
                      int64_t began_us, int64_t now_us)
{
    struct traceparent parent;
    int64_t took_us = now_us - began_us;
    if (!traceparent_of(&parent, batch->headers, &batch->records[record]))
        return false;
    exemplar_note(&histogram->exemplars[bucket_of(&histogram_seconds, took_us)], parent.trace,
                  took_us, now_us);
    return true;
}

static bool has_time(const struct record *record)
{
    return record->timestamp_ms > 0;
}

/* How long the batch's oldest record took from Kafka, as far as its time is that of the append. The
 * exemplar is of this record or, where it has no trace, of one of the first that have. */
static void note_append(struct metrics *metrics, const struct batch *batch, int64_t now_us)
{
    struct histogram *histogram = &metrics->append_latency_seconds;
    const struct record *records = batch->records;
    uint32_t oldest = UINT32_MAX;
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (has_time(&records[i]) &&
            (oldest == UINT32_MAX || records[i].timestamp_ms < records[oldest].timestamp_ms))
            oldest = i;
    if (oldest == UINT32_MAX)
        return;
    histogram_add(histogram, &histogram_seconds, now_us - records[oldest].timestamp_ms * 1000);
    if (!batch->headers ||
        exemplify(histogram, batch, oldest, records[oldest].timestamp_ms * 1000, now_us))
        return;
    for (uint32_t i = 0; i < batch->record_count && i < LOOKS; i++)
        if (has_time(&records[i]) &&
            exemplify(histogram, batch, i, records[i].timestamp_ms * 1000, now_us))
            return;
}

static bool is_streamed(const struct change *change)
{
    return change->op != OP_READ && change->source_us != INT64_MIN;
}

/* The same for the batch's oldest change from the source. Rows of snapshots are left out, since
 * they are as old as the table. */
static void note_source(struct metrics *metrics, const struct batch *batch, uint32_t oldest,
                        int64_t now_us)
{
    struct histogram *histogram = &metrics->latency_seconds;
    const struct change *changes = batch->changes;
    histogram_add(histogram, &histogram_seconds, now_us - changes[oldest].source_us);
    if (!batch->headers || exemplify(histogram, batch, changes[oldest].record,
                                     changes[oldest].source_us, now_us))
        return;
    for (uint32_t i = 0; i < batch->change_count && i < LOOKS; i++)
        if (is_streamed(&changes[i]) &&
            exemplify(histogram, batch, changes[i].record, changes[i].source_us, now_us))
            return;
}

static void note_latency(struct metrics *metrics, const struct batch *batch)
{
    int64_t now_us = time_wall_us(), newest_us = INT64_MIN, oldest_us = INT64_MAX;
    uint32_t oldest = 0;
    uint64_t reads = 0;
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        reads += change->op == OP_READ;
        if (change->source_us == INT64_MIN)
            continue;
        if (change->source_us > newest_us)
            newest_us = change->source_us;
        if (change->op != OP_READ && change->source_us < oldest_us) {
            oldest_us = change->source_us;
            oldest = i;
        }
    }
    atomic_store(&metrics->applied_us, now_us);
    if (reads)
        note_snapshot(metrics, now_us, reads);
    if (newest_us != INT64_MIN)
        atomic_store(&metrics->source_us, newest_us);
    if (oldest_us != INT64_MAX)
        note_source(metrics, batch, oldest, now_us);
    note_append(metrics, batch, now_us);
}

void metrics_phase(struct metrics *metrics, enum apply_phase phase, int64_t took_us)
{
    if (took_us > 0)
        add(&metrics->phase_us[phase], (uint64_t) took_us);
}

void metrics_rows(struct metrics *metrics, const struct apply_result *result)
{
    struct apply_result counts = *result;
    atomic_store(&metrics->statements, result->statements);
    if (result->connections)
        atomic_store(&metrics->connections, result->connections);
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++)
        add(&metrics->applied[i], *apply_count(&counts, i));
}

void metrics_applied(struct metrics *metrics, const struct batch *batch, int64_t took_us)
{
    uint64_t decode = 0;
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        const struct reject *reject = &batch->rejects[i];
        bool decoding = strcmp(reject->stage, "decode") == 0;
        decode += decoding;
        if (!decoding)
            add(&metrics->refused[reject->error.fault], 1);
    }
    add(&metrics->batches, 1);
    add(&metrics->records, batch->record_count);
    add(&metrics->bytes, batch->payload_bytes);
    add(&metrics->changes, batch->change_count);
    add(&metrics->rejects_decode, decode);
    add(&metrics->rejects_apply, batch->reject_count - decode);
    for (int i = 0; i < PASS_COUNT; i++)
        add(&metrics->passed[i], batch->passed[i]);
    histogram_add(&metrics->batch_records, &histogram_records, batch->record_count);
    histogram_add(&metrics->apply_seconds, &histogram_seconds, took_us);
    note_latency(metrics, batch);
}
