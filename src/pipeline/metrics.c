/* Counting, and the page that Prometheus reads. */
#include "pipeline/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/time.h"
#include "pipeline/lane.h"
#include "pipeline/watch.h"

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

void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds,
                   int64_t value)
{
    size_t bucket = 0;
    while (bucket < bounds->count && value > bounds->upto[bucket])
        bucket++;
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

/* How long the batch's oldest record took from Kafka, as far as its time is that of the append. */
static void note_append(struct metrics *metrics, const struct batch *batch, int64_t now_us)
{
    int64_t oldest_ms = INT64_MAX;
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (batch->records[i].timestamp_ms > 0 && batch->records[i].timestamp_ms < oldest_ms)
            oldest_ms = batch->records[i].timestamp_ms;
    if (oldest_ms != INT64_MAX)
        histogram_add(&metrics->append_latency_seconds, &histogram_seconds,
                      now_us - oldest_ms * 1000);
}

/* How long the batch's oldest change took from the source. Rows of snapshots are left out, since
 * they are as old as the table. */
static void note_latency(struct metrics *metrics, const struct batch *batch)
{
    int64_t now_us = time_wall_us(), newest_us = INT64_MIN, oldest_us = INT64_MAX;
    uint64_t reads = 0;
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        reads += change->op == OP_READ;
        if (change->source_us == INT64_MIN)
            continue;
        if (change->source_us > newest_us)
            newest_us = change->source_us;
        if (change->op != OP_READ && change->source_us < oldest_us)
            oldest_us = change->source_us;
    }
    atomic_store(&metrics->applied_us, now_us);
    if (reads)
        note_snapshot(metrics, now_us, reads);
    if (newest_us != INT64_MIN)
        atomic_store(&metrics->source_us, newest_us);
    if (oldest_us != INT64_MAX)
        histogram_add(&metrics->latency_seconds, &histogram_seconds, now_us - oldest_us);
    note_append(metrics, batch, now_us);
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
    for (uint32_t i = 0; i < batch->reject_count; i++)
        decode += strcmp(batch->rejects[i].stage, "decode") == 0;
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

/* One row a metric: the table is the list of what there is, with apply_counts. */
struct counter_row {
    const char *name, *labels, *help;
    size_t offset;
};

#define ROW(name, labels, help, field)                                                             \
    {                                                                                              \
        name, labels, help, offsetof(struct metrics, field)                                        \
    }
#define SAME NULL /* as the row before: one metric, another label */

static const struct counter_row counter_rows[] = {
    ROW("batches_total", "", "Batches committed by the target", batches),
    ROW("records_total", "", "Records read and committed, whatever became of them", records),
    ROW("record_bytes_total", "", "Bytes of their keys and values", bytes),
    ROW("changes_total", "", "Row changes decoded from them", changes),
    ROW("records_rejected_total", ",stage=\"decode\"", "Records set aside in the dead-letter topic",
        rejects_decode),
    ROW(SAME, ",stage=\"apply\"", NULL, rejects_apply),
    ROW("records_passed_total", ",reason=\"schema_change\"", "Records that are no row changes",
        passed[PASS_SCHEMA_CHANGE]),
    ROW(SAME, ",reason=\"transaction\"", NULL, passed[PASS_TRANSACTION]),
    ROW(SAME, ",reason=\"heartbeat\"", NULL, passed[PASS_HEARTBEAT]),
    ROW(SAME, ",reason=\"message\"", NULL, passed[PASS_MESSAGE]),
    ROW(SAME, ",reason=\"tombstone\"", NULL, passed[PASS_TOMBSTONE]),
    ROW(SAME, ",reason=\"bootstrap\"", NULL, passed[PASS_BOOTSTRAP]),
    ROW(SAME, ",reason=\"skipped\"", NULL, passed[PASS_SKIPPED]),
    ROW(SAME, ",reason=\"filtered\"", NULL, passed[PASS_FILTERED]),
    ROW("retries_total", "",
        "Attempts that met an outage, or a row whose partner (by a unique or foreign key) has yet "
        "to come",
        retries),
    ROW("records_put_off_total", "",
        "Times that a record was put off, since the schema topic could not be read yet or memory "
        "was out",
        put_off),
    ROW("offset_gaps_total", "",
        "Times that a partition went on elsewhere, since Kafka had no record at the next offset or "
        "the topic was made anew",
        offset_gaps),
    ROW("batches_fenced_total", "", "Batches dropped because their offsets had moved", fenced),
    ROW("batches_abandoned_total", "", "Batches given up at a rebalance or shutdown", abandoned),
    ROW("rebalances_total", "", "Partitions assigned or revoked", rebalances),
};

static void write_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP ods_sink_%s %s\n# TYPE ods_sink_%s %s\n", name, help, name, type);
}

/* A label's text, with what Prometheus wants escaped. */
static void write_label(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, "%s=\"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_puts(out, "\\");
        buffer_add(out, *text == '\n' ? " " : text, 1);
    }
    buffer_puts(out, "\"");
}

void metrics_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    write_head(out, name, type, help);
}

void metrics_put(struct buffer *out, const char *name, const char *const *labels, double value)
{
    buffer_printf(out, "ods_sink_%s{", name);
    for (size_t i = 0; labels[i]; i += 2) {
        buffer_puts(out, i ? "," : "");
        write_label(out, labels[i], labels[i + 1]);
    }
    /* Whole numbers whole, however large. */
    if (value == (double) (int64_t) value)
        buffer_printf(out, "} %" PRId64 "\n", (int64_t) value);
    else
        buffer_printf(out, "} %.3f\n", value);
}

static void write_labels(struct buffer *out, const struct lane_status *status)
{
    write_label(out, "pipeline", status->pipeline);
    buffer_printf(out, ",lane=\"%zu\"", status->index);
}

/* One counter of all lanes, which lies at this offset in struct metrics. */
static void write_counter(struct buffer *out, const char *name, const char *labels, size_t offset,
                          struct lane *const *lanes, size_t count,
                          const struct lane_status *statuses)
{
    for (size_t i = 0; i < count; i++) {
        const char *base = (const char *) lane_metrics(lanes[i]);
        const atomic_uint_fast64_t *value = (const void *) (base + offset);
        buffer_printf(out, "ods_sink_%s{", name);
        write_labels(out, &statuses[i]);
        buffer_printf(out, "%s} %" PRIu64 "\n", labels,
                      (uint64_t) atomic_load_explicit(value, memory_order_relaxed));
    }
}

static void write_counters(struct buffer *out, struct lane *const *lanes, size_t count,
                           const struct lane_status *statuses)
{
    const char *name = "";
    for (size_t row = 0; row < sizeof counter_rows / sizeof *counter_rows; row++) {
        const struct counter_row *counter = &counter_rows[row];
        if (counter->name)
            write_head(out, name = counter->name, "counter", counter->help);
        write_counter(out, name, counter->labels, counter->offset, lanes, count, statuses);
    }
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++) {
        const struct apply_count *counter = &apply_counts[i];
        if (counter->metric)
            write_head(out, name = counter->metric, "counter", counter->help);
        write_counter(out, name, counter->labels,
                      offsetof(struct metrics, applied) + i * sizeof(atomic_uint_fast64_t), lanes,
                      count, statuses);
    }
}

static void write_histogram(struct buffer *out, const char *name, const char *help,
                            const struct histogram_bounds *bounds, size_t offset,
                            struct lane *const *lanes, size_t count,
                            const struct lane_status *statuses)
{
    write_head(out, name, "histogram", help);
    for (size_t i = 0; i < count; i++) {
        const struct histogram *histogram =
            (const void *) ((const char *) lane_metrics(lanes[i]) + offset);
        uint64_t sum = 0;
        for (size_t bucket = 0; bucket <= bounds->count; bucket++) {
            sum += atomic_load_explicit(&histogram->buckets[bucket], memory_order_relaxed);
            buffer_printf(out, "ods_sink_%s_bucket{", name);
            write_labels(out, &statuses[i]);
            if (bucket < bounds->count)
                buffer_printf(out, ",le=\"%g\"} %" PRIu64 "\n",
                              (double) bounds->upto[bucket] / bounds->unit, sum);
            else
                buffer_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
        }
        buffer_printf(out, "ods_sink_%s_sum{", name);
        write_labels(out, &statuses[i]);
        buffer_printf(out, "} %g\nods_sink_%s_count{",
                      (double) atomic_load_explicit(&histogram->sum, memory_order_relaxed) /
                          bounds->unit,
                      name);
        write_labels(out, &statuses[i]);
        buffer_printf(out, "} %" PRIu64 "\n", sum);
    }
}

static void write_states(struct buffer *out, size_t count, const struct lane_status *statuses)
{
    write_head(out, "lane_state", "gauge", "1 for the state that the lane is in");
    for (size_t i = 0; i < count; i++)
        for (enum lane_state state = LANE_JOINING; state <= LANE_STOPPED; state++) {
            buffer_puts(out, "ods_sink_lane_state{");
            write_labels(out, &statuses[i]);
            buffer_printf(out, ",state=\"%s\"} %d\n", lane_state_name(state),
                          statuses[i].state == state);
        }
    write_head(out, "lane_ready", "gauge",
               "1 when the lane is in its group, and its target and dead-letter topic answer");
    for (size_t i = 0; i < count; i++) {
        buffer_puts(out, "ods_sink_lane_ready{");
        write_labels(out, &statuses[i]);
        buffer_printf(out, "} %d\n",
                      (statuses[i].joined || statuses[i].without_topics) &&
                          statuses[i].target_ready && statuses[i].letters_ready);
    }
}

/* A number of each lane by itself, which lies at this offset; `unit` of it are shown as 1. */
static void write_number(struct buffer *out, const char *name, const char *labels, size_t offset,
                         double unit, struct lane *const *lanes, size_t count,
                         const struct lane_status *statuses)
{
    for (size_t i = 0; i < count; i++) {
        const char *base = (const char *) lane_metrics(lanes[i]);
        const atomic_uint_fast64_t *value = (const void *) (base + offset);
        buffer_printf(out, "ods_sink_%s{", name);
        write_labels(out, &statuses[i]);
        buffer_printf(out, "%s} %.15g\n", labels,
                      (double) atomic_load_explicit(value, memory_order_relaxed) / unit);
    }
}

static void write_numbers(struct buffer *out, struct lane *const *lanes, size_t count,
                          const struct lane_status *statuses)
{
    static const struct number_row {
        const char *name, *type, *help, *labels;
        size_t offset;
        double unit;
    } rows[] = {
        {"prepared_statements", "gauge",
         "Statements that the lane keeps prepared in its session of the target", "",
         offsetof(struct metrics, statements), 1},
        {"decode_seconds_total", "counter",
         "Time in which the lane took records from its source and decoded them", "",
         offsetof(struct metrics, decode_us), 1e6},
        {"target_connections_total", "counter",
         "Connections that the lane has made to its target: the first one, and one after each "
         "that was lost",
         "", offsetof(struct metrics, connections), 1},
        {"memory_bytes", "gauge", "Memory that the lane holds, by what it is for",
         ",pool=\"batches_in_flight\"", offsetof(struct metrics, in_flight_bytes), 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_head(out, rows[i].name, rows[i].type, rows[i].help);
        write_number(out, rows[i].name, rows[i].labels, rows[i].offset, rows[i].unit, lanes, count,
                     statuses);
    }
}

static void write_times(struct buffer *out, struct lane *const *lanes, size_t count,
                        const struct lane_status *statuses)
{
    write_head(out, "last_change_timestamp_seconds", "gauge",
               "Source's time of the newest change that the target has");
    for (size_t i = 0; i < count; i++) {
        int64_t source_us = atomic_load(&lane_metrics(lanes[i])->source_us);
        if (source_us == INT64_MIN)
            continue;
        buffer_puts(out, "ods_sink_last_change_timestamp_seconds{");
        write_labels(out, &statuses[i]);
        buffer_printf(out, "} %.6f\n", (double) source_us / 1e6);
    }
    write_head(out, "last_commit_timestamp_seconds", "gauge", "When the target last committed");
    for (size_t i = 0; i < count; i++) {
        int64_t applied_us = atomic_load(&lane_metrics(lanes[i])->applied_us);
        if (!applied_us)
            continue;
        buffer_puts(out, "ods_sink_last_commit_timestamp_seconds{");
        write_labels(out, &statuses[i]);
        buffer_printf(out, "} %.6f\n", (double) applied_us / 1e6);
    }
}

void metrics_partition_head(struct buffer *out, const char *name, const char *help)
{
    char full[64];
    snprintf(full, sizeof full, "partition_%s", name);
    write_head(out, full, "gauge", help);
}

void metrics_partition(struct buffer *out, const char *name, const char *pipeline,
                       const char *topic, int32_t partition, int64_t value)
{
    buffer_printf(out, "ods_sink_partition_%s{", name);
    write_label(out, "pipeline", pipeline);
    buffer_puts(out, ",");
    write_label(out, "topic", topic);
    buffer_printf(out, ",partition=\"%d\"} %" PRId64 "\n", (int) partition, value);
}

static void write_partitions(struct buffer *out, struct lane *const *lanes, size_t count,
                             const struct lane_status *statuses)
{
    static const char *const names[] = {"offset", "lag_records"};
    static const char *const helps[] = {
        "Next record of the partition that the target lacks",
        "Records of the partition that Kafka has and the target lacks, as the last fetch knew"};
    for (size_t metric = 0; metric < 2; metric++) {
        metrics_partition_head(out, names[metric], helps[metric]);
        for (size_t i = 0; i < count; i++) {
            size_t partitions;
            const struct lane_partition *partition = lane_lock_partitions(lanes[i], &partitions);
            for (; partitions; partitions--, partition++) {
                int64_t value = partition->applied;
                if (metric)
                    value = partition->high < value ? 0 : partition->high - value;
                if (partition->applied >= 0 && (!metric || partition->high >= 0))
                    metrics_partition(out, names[metric], statuses[i].pipeline, partition->topic,
                                      partition->number, value);
            }
            lane_unlock_partitions(lanes[i]);
        }
    }
}

static void write_held(struct buffer *out, const char *pipeline, const struct watch_held *held)
{
    buffer_puts(out, "ods_sink_paused_backlog_records{");
    write_label(out, "pipeline", pipeline);
    buffer_puts(out, ",");
    write_label(out, "topic", held->order->topic);
    buffer_puts(out, ",");
    write_label(out, "table", held->order->table);
    buffer_printf(out, "} %" PRId64 "\n", held->backlog);
}

/* Of each pipeline whose target keeps orders; its first lane stands for all. */
static void write_orders(struct buffer *out, struct lane *const *lanes, size_t count,
                         const struct lane_status *statuses, bool backlogs)
{
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = lane_watch(lanes[i]);
        size_t held_count;
        if (!watch || statuses[i].index)
            continue;
        const struct watch_held *held = watch_lock(watch, &held_count);
        if (!backlogs) {
            buffer_puts(out, "ods_sink_paused_topics{");
            write_label(out, "pipeline", statuses[i].pipeline);
            buffer_printf(out, "} %zu\n", held_count);
        }
        for (size_t k = 0; backlogs && k < held_count; k++)
            if (held[k].backlog >= 0)
                write_held(out, statuses[i].pipeline, &held[k]);
        watch_unlock(watch);
    }
}

static void write_process_value(struct buffer *out, const char *name, const char *type,
                                const char *help, double value)
{
    buffer_printf(out, "# HELP process_%s %s\n# TYPE process_%s %s\nprocess_%s %.15g\n", name, help,
                  name, type, name, value);
}

static void write_process(struct buffer *out)
{
    long pages = 0;
    struct timespec used;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld", &pages) == 1)
        write_process_value(out, "resident_memory_bytes", "gauge", "Memory in use",
                            (double) pages * (double) sysconf(_SC_PAGESIZE));
    if (file)
        fclose(file);
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
        write_process_value(out, "cpu_seconds_total", "counter",
                            "Time of processors, of all threads",
                            (double) used.tv_sec + (double) used.tv_nsec / 1e9);
}

void metrics_write(struct buffer *out, struct lane *const *lanes, size_t count)
{
    struct lane_status statuses[count ? count : 1];
    for (size_t i = 0; i < count; i++)
        lane_status(lanes[i], &statuses[i]);
    buffer_printf(out,
                  "# HELP ods_sink_info The version\n# TYPE ods_sink_info gauge\n"
                  "ods_sink_info{version=\"%s\"} 1\n",
                  ODS_VERSION);
    write_counters(out, lanes, count, statuses);
    write_histogram(out, "batch_records", "Records in a batch", &histogram_records,
                    offsetof(struct metrics, batch_records), lanes, count, statuses);
    write_histogram(out, "apply_seconds", "Time that the target took for a batch",
                    &histogram_seconds, offsetof(struct metrics, apply_seconds), lanes, count,
                    statuses);
    write_histogram(out, "latency_seconds",
                    "From the source's commit to the target's, for the "
                    "oldest change of each batch; snapshots left out",
                    &histogram_seconds, offsetof(struct metrics, latency_seconds), lanes, count,
                    statuses);
    write_histogram(out, "append_latency_seconds",
                    "From the append to Kafka to the target's commit, for the oldest record of "
                    "each batch",
                    &histogram_seconds, offsetof(struct metrics, append_latency_seconds), lanes,
                    count, statuses);
    write_states(out, count, statuses);
    write_numbers(out, lanes, count, statuses);
    write_times(out, lanes, count, statuses);
    write_partitions(out, lanes, count, statuses);
    write_head(out, "paused_topics", "gauge",
               "Topics of the group that orders hold; each of its processes tells of all");
    write_orders(out, lanes, count, statuses, false);
    write_head(out, "paused_backlog_records", "gauge",
               "Records that wait in all partitions of such a topic, whoever has them");
    write_orders(out, lanes, count, statuses, true);
    write_process(out);
}
