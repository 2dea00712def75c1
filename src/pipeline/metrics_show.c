/* The page that Prometheus reads. */
#include "pipeline/metrics_room.h"

#include <inttypes.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/time.h"

/* --- numbers and labels --------------------------------------------------------------------- */

static void put_unsigned(struct buffer *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char) ('0' + value % 10);
    while (value /= 10);
    buffer_add(out, digits + at, sizeof digits - at);
}

void metrics_put_number(struct buffer *out, int64_t value)
{
    if (value < 0)
        buffer_puts(out, "-");
    put_unsigned(out, value < 0 ? -(uint64_t) value : (uint64_t) value);
}

static uint64_t value_at(const struct lane *lane, size_t offset)
{
    const char *base = (const char *) lane_metrics(lane);
    return atomic_load_explicit((const atomic_uint_fast64_t *) (const void *) (base + offset),
                                memory_order_relaxed);
}

/* A label's text, with what Prometheus wants escaped. */
void metrics_label(struct buffer *out, const char *name, const char *text)
{
    buffer_puts(out, name);
    buffer_puts(out, "=\"");
    while (*text) {
        size_t plain = strcspn(text, "\"\\\n");
        buffer_add(out, text, plain);
        text += plain;
        if (*text == '\n')
            buffer_puts(out, " ");
        else if (*text)
            buffer_add(out, (char[]){'\\', *text}, 2);
        text += *text != '\0';
    }
    buffer_puts(out, "\"");
}

void metrics_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP ods_sink_%s %s\n# TYPE ods_sink_%s %s\n", name, help, name, type);
}

void metrics_begin(const struct page *page, size_t lane, const char *name, const char *labels)
{
    struct buffer *out = page->out, *own = &page->labels[lane];
    buffer_add(out, "ods_sink_", 9);
    buffer_puts(out, name);
    buffer_puts(out, "{");
    buffer_add(out, own->bytes, own->length);
    buffer_puts(out, labels);
    buffer_add(out, "} ", 2);
}

static void put_lane(const struct page *page, size_t lane, const char *name, const char *labels,
                     uint64_t value)
{
    metrics_begin(page, lane, name, labels);
    put_unsigned(page->out, value);
    buffer_puts(page->out, "\n");
}

void metrics_put(struct buffer *out, const char *name, const char *const *labels, double value)
{
    buffer_puts(out, "ods_sink_");
    buffer_puts(out, name);
    buffer_puts(out, "{");
    for (size_t i = 0; labels[i]; i += 2) {
        buffer_puts(out, i ? "," : "");
        metrics_label(out, labels[i], labels[i + 1]);
    }
    /* Whole numbers whole, however large. */
    buffer_puts(out, "} ");
    if (value == (double) (int64_t) value)
        metrics_put_number(out, (int64_t) value);
    else
        buffer_printf(out, "%.3f", value);
    buffer_puts(out, "\n");
}

/* --- counters and numbers of lanes ---------------------------------------------------------- */

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
    ROW("records_rejected_total", ",stage=\"decode\",reason=\"unreadable\"",
        "Records set aside as dead letters, by the stage that refused them and why: unreadable; "
        "the row itself; an order of rows that keys want; its table; configuration, as rights",
        rejects_decode),
    ROW(SAME, ",stage=\"apply\",reason=\"row\"", NULL, refused[FAULT_ROW]),
    ROW(SAME, ",stage=\"apply\",reason=\"order\"", NULL, refused[FAULT_ORDER]),
    ROW(SAME, ",stage=\"apply\",reason=\"table\"", NULL, refused[FAULT_TABLE]),
    ROW(SAME, ",stage=\"apply\",reason=\"outage\"", NULL, refused[FAULT_OUTAGE]),
    ROW(SAME, ",stage=\"apply\",reason=\"configuration\"", NULL, refused[FAULT_CONFIGURATION]),
    ROW(SAME, ",stage=\"apply\",reason=\"other\"", NULL, refused[FAULT_NONE]),
    ROW("records_passed_total", ",reason=\"schema_change\"", "Records that are no row changes",
        passed[PASS_SCHEMA_CHANGE]),
    ROW(SAME, ",reason=\"transaction\"", NULL, passed[PASS_TRANSACTION]),
    ROW(SAME, ",reason=\"heartbeat\"", NULL, passed[PASS_HEARTBEAT]),
    ROW(SAME, ",reason=\"message\"", NULL, passed[PASS_MESSAGE]),
    ROW(SAME, ",reason=\"tombstone\"", NULL, passed[PASS_TOMBSTONE]),
    ROW(SAME, ",reason=\"bootstrap\"", NULL, passed[PASS_BOOTSTRAP]),
    ROW(SAME, ",reason=\"skipped\"", NULL, passed[PASS_SKIPPED]),
    ROW(SAME, ",reason=\"filtered\"", NULL, passed[PASS_FILTERED]),
    ROW("retries_total", ",fault=\"outage\"",
        "Attempts that met an outage of the target, or of the place of dead letters, or a row "
        "whose partner (by a unique or foreign key) has yet to come (order)",
        retries[RETRY_OUTAGE]),
    ROW(SAME, ",fault=\"letters\"", NULL, retries[RETRY_LETTERS]),
    ROW(SAME, ",fault=\"order\"", NULL, retries[RETRY_ORDER]),
    ROW("records_put_off_total", "",
        "Times that a record was put off, since the schema topic could not be read yet, memory was "
        "out, or the row that had its old key was still to come from another partition",
        put_off),
    ROW("offset_gaps_total", "",
        "Times that a partition went on elsewhere, since Kafka had no record at the next offset or "
        "the topic was made anew",
        offset_gaps),
    ROW("batches_fenced_total", "", "Batches dropped because their offsets had moved", fenced),
    ROW("batches_abandoned_total", "", "Batches given up at a rebalance or shutdown", abandoned),
    ROW("rebalances_total", "", "Partitions assigned or revoked", rebalances),
};

static void write_counter(const struct page *page, const char *name, const char *labels,
                          size_t offset)
{
    for (size_t i = 0; i < page->count; i++)
        put_lane(page, i, name, labels, value_at(page->lanes[i], offset));
}

static void write_counters(const struct page *page)
{
    const char *name = "";
    for (size_t row = 0; row < sizeof counter_rows / sizeof *counter_rows; row++) {
        const struct counter_row *counter = &counter_rows[row];
        if (counter->name)
            metrics_head(page->out, name = counter->name, "counter", counter->help);
        write_counter(page, name, counter->labels, counter->offset);
    }
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++) {
        const struct apply_count *counter = &apply_counts[i];
        if (counter->metric)
            metrics_head(page->out, name = counter->metric, "counter", counter->help);
        write_counter(page, name, counter->labels,
                      offsetof(struct metrics, applied) + i * sizeof(atomic_uint_fast64_t));
    }
}

/* A number of each lane by itself, of which `unit` are shown as 1. */
static const struct number_row {
    const char *name, *type, *help, *labels; /* no name: as the row before */
    size_t offset;
    double unit;
} number_rows[] = {
    {"prepared_statements", "gauge",
     "Statements that the lane keeps prepared in its session of the target", "",
     offsetof(struct metrics, statements), 1},
    {"decode_seconds_total", "counter",
     "Time in which the lane took records from its source and decoded them", "",
     offsetof(struct metrics, decode_us), 1e6},
    {"apply_phase_seconds_total", "counter",
     "Time in which batches were applied, by phase: prepare (rows are looked up and folded), "
     "write (encoded and sent), letters (dead letters are delivered), commit (all is sent, "
     "until the target has committed)",
     ",phase=\"prepare\"", offsetof(struct metrics, phase_us[APPLY_PREPARE]), 1e6},
    {NULL, NULL, NULL, ",phase=\"write\"", offsetof(struct metrics, phase_us[APPLY_WRITE]),
     1e6},
    {NULL, NULL, NULL, ",phase=\"letters\"", offsetof(struct metrics, phase_us[APPLY_LETTERS]),
     1e6},
    {NULL, NULL, NULL, ",phase=\"commit\"", offsetof(struct metrics, phase_us[APPLY_COMMIT]),
     1e6},
    {"target_connections_total", "counter",
     "Connections that the lane has made to its target: the first one, and one after each "
     "that was lost",
     "", offsetof(struct metrics, connections), 1},
    {"memory_bytes", "gauge", "Memory that the lane holds, by what it is for",
     ",pool=\"batches_in_flight\"", offsetof(struct metrics, in_flight_bytes), 1},
    {NULL, NULL, NULL, ",pool=\"batch_filling\"", offsetof(struct metrics, filling_bytes), 1},
    {NULL, NULL, NULL, ",pool=\"batches_idle\"", offsetof(struct metrics, idle_bytes), 1},
};

static void write_numbers(const struct page *page)
{
    const char *name = "";
    for (size_t row = 0; row < sizeof number_rows / sizeof *number_rows; row++) {
        const struct number_row *number = &number_rows[row];
        if (number->name)
            metrics_head(page->out, name = number->name, number->type, number->help);
        for (size_t i = 0; i < page->count; i++) {
            metrics_begin(page, i, name, number->labels);
            buffer_printf(page->out, "%.15g\n",
                          (double) value_at(page->lanes[i], number->offset) / number->unit);
        }
    }
}

/* --- histograms ----------------------------------------------------------------------------- */

/* OpenMetrics wants bounds to look like floats. */
static void put_bound(const struct page *page, double bound)
{
    char text[32];
    snprintf(text, sizeof text, "%g", bound);
    bool plain = page->form != EXPOSE_TEXT && !strpbrk(text, ".e");
    buffer_printf(page->out, ",le=\"%s%s\"} ", text, plain ? ".0" : "");
}

static void put_exemplar(const struct page *page, const struct exemplar_cell *cell, double unit)
{
    struct exemplar exemplar;
    if (page->form != EXPOSE_TEXT && exemplar_read(cell, &exemplar))
        buffer_printf(page->out,
                      " # {trace_id=\"%016" PRIx64 "%016" PRIx64 "\"} %.6f %.3f", exemplar.trace[0],
                      exemplar.trace[1], (double) exemplar.value / unit,
                      (double) exemplar.at_us / 1e6);
    buffer_puts(page->out, "\n");
}

/* For exposition_protobuf.c, which reads it again. */
static void put_native(const struct page *page, const struct histogram *histogram)
{
    buffer_printf(page->out, EXPOSITION_NATIVE " %d %" PRIu64, NATIVE_SCHEMA,
                  (uint64_t) atomic_load_explicit(&histogram->zero, memory_order_relaxed));
    for (int i = 0; i < NATIVE_COUNT; i++) {
        uint64_t count = atomic_load_explicit(&histogram->native[i], memory_order_relaxed);
        if (count)
            buffer_printf(page->out, " %d:%" PRIu64, NATIVE_FIRST + i, count);
    }
    buffer_puts(page->out, "\n");
}

static void write_lane_histogram(const struct page *page, const char *name, size_t lane,
                                 const struct histogram_bounds *bounds,
                                 const struct histogram *histogram)
{
    struct buffer *out = page->out, *labels = &page->labels[lane];
    char full[64];
    uint64_t sum = 0;
    for (size_t bucket = 0; bucket <= bounds->count; bucket++) {
        sum += atomic_load_explicit(&histogram->buckets[bucket], memory_order_relaxed);
        buffer_printf(out, "ods_sink_%s_bucket{%s", name, buffer_text(labels));
        if (bucket < bounds->count)
            put_bound(page, (double) bounds->upto[bucket] / bounds->unit);
        else
            buffer_puts(out, ",le=\"+Inf\"} ");
        put_unsigned(out, sum);
        put_exemplar(page, &histogram->exemplars[bucket], bounds->unit);
    }
    snprintf(full, sizeof full, "%s_sum", name);
    metrics_begin(page, lane, full, "");
    buffer_printf(out, "%.15g\n",
                  (double) atomic_load_explicit(&histogram->sum, memory_order_relaxed) /
                      bounds->unit);
    snprintf(full, sizeof full, "%s_count", name);
    put_lane(page, lane, full, "", sum);
    if (page->form == EXPOSE_PROTOBUF)
        put_native(page, histogram);
}

static void write_histograms(const struct page *page)
{
    static const struct {
        const char *name, *help;
        const struct histogram_bounds *bounds;
        size_t offset;
    } rows[] = {
        {"batch_records", "Records in a batch", &histogram_records,
         offsetof(struct metrics, batch_records)},
        {"apply_seconds", "Time that the target took for a batch", &histogram_seconds,
         offsetof(struct metrics, apply_seconds)},
        {"latency_seconds",
         "From the source's commit to the target's, for the oldest change of each batch; snapshots "
         "left out",
         &histogram_seconds, offsetof(struct metrics, latency_seconds)},
        {"append_latency_seconds",
         "From the append to Kafka to the target's commit, for the oldest record of each batch",
         &histogram_seconds, offsetof(struct metrics, append_latency_seconds)},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        metrics_head(page->out, rows[row].name, "histogram", rows[row].help);
        for (size_t i = 0; i < page->count; i++)
            write_lane_histogram(
                page, rows[row].name, i, rows[row].bounds,
                (const void *) ((const char *) lane_metrics(page->lanes[i]) + rows[row].offset));
    }
}

/* --- states and times ----------------------------------------------------------------------- */

static void write_states(const struct page *page)
{
    char labels[64];
    metrics_head(page->out, "lane_state", "gauge", "1 for the state that the lane is in");
    for (size_t i = 0; i < page->count; i++)
        for (enum lane_state state = LANE_JOINING; state <= LANE_STOPPED; state++) {
            snprintf(labels, sizeof labels, ",state=\"%s\"", lane_state_name(state));
            put_lane(page, i, "lane_state", labels, page->statuses[i].state == state);
        }
    metrics_head(page->out, "lane_ready", "gauge",
                 "1 when the lane is in its group, and its target and dead-letter topic answer");
    for (size_t i = 0; i < page->count; i++) {
        const struct lane_status *status = &page->statuses[i];
        put_lane(page, i, "lane_ready", "",
                 (status->joined || status->without_topics) && status->target_ready &&
                     status->letters_ready);
    }
}

static void put_moment(const struct page *page, size_t lane, const char *name, int64_t us)
{
    metrics_begin(page, lane, name, "");
    buffer_printf(page->out, "%.6f\n", (double) us / 1e6);
}

static void write_times(const struct page *page)
{
    metrics_head(page->out, "last_change_timestamp_seconds", "gauge",
                 "Source's time of the newest change that the target has");
    for (size_t i = 0; i < page->count; i++) {
        int64_t source_us = atomic_load(&lane_metrics(page->lanes[i])->source_us);
        if (source_us != INT64_MIN)
            put_moment(page, i, "last_change_timestamp_seconds", source_us);
    }
    metrics_head(page->out, "last_commit_timestamp_seconds", "gauge",
                 "When the target last committed");
    for (size_t i = 0; i < page->count; i++) {
        int64_t applied_us = atomic_load(&lane_metrics(page->lanes[i])->applied_us);
        if (applied_us)
            put_moment(page, i, "last_commit_timestamp_seconds", applied_us);
    }
}

/* --- the process ----------------------------------------------------------------------------- */

static void write_process_value(struct buffer *out, const char *name, const char *type,
                                const char *help, double value)
{
    buffer_printf(out, "# HELP process_%s %s\n# TYPE process_%s %s\nprocess_%s %.15g\n", name, help,
                  name, type, name, value);
}

/* When the kernel began the process, by the wall clock of the first time that it is asked: a clock
 * that is set later is no restart. 0: nobody knows. */
static int64_t started_us(void)
{
    static atomic_int_fast64_t kept_us;
    char line[1024];
    const char *rest = NULL;
    unsigned long long ticks;
    struct timespec up;
    if (atomic_load(&kept_us))
        return atomic_load(&kept_us);
    FILE *file = fopen("/proc/self/stat", "re");
    if (file && fgets(line, sizeof line, file))
        rest = strrchr(line, ')'); /* the program's name may have anything in it */
    if (file)
        fclose(file);
    if (!rest || clock_gettime(CLOCK_BOOTTIME, &up) != 0 ||
        sscanf(rest, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                     "%*s %llu", &ticks) != 1)
        return 0;
    int64_t up_us = (int64_t) up.tv_sec * 1000000 + up.tv_nsec / 1000;
    int64_t began_us = (int64_t) (ticks * 1000000 / (unsigned long long) sysconf(_SC_CLK_TCK));
    atomic_store(&kept_us, time_wall_us() - up_us + began_us);
    return atomic_load(&kept_us);
}

static void write_process(struct buffer *out)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld", &pages) == 1)
        write_process_value(out, "resident_memory_bytes", "gauge", "Memory in use",
                            (double) pages * (double) sysconf(_SC_PAGESIZE));
    if (file)
        fclose(file);
    struct mallinfo2 heap = mallinfo2();
    write_process_value(out, "heap_allocated_bytes", "gauge",
                        "Memory that the program holds, with what malloc keeps for each thread",
                        (double) heap.uordblks + (double) heap.hblkhd);
    write_process_value(out, "heap_free_bytes", "gauge",
                        "Memory that malloc keeps between what is held",
                        (double) heap.fordblks);
    write_process_value(out, "cpu_seconds_total", "counter", "Time of processors, of all threads",
                        (double) time_cpu_us() / 1e6);
    if (started_us())
        write_process_value(out, "start_time_seconds", "gauge", "When the process began",
                            (double) started_us() / 1e6);
}

static void write_page(const struct page *page)
{
    buffer_printf(page->out,
                  "# HELP ods_sink_info The version\n# TYPE ods_sink_info gauge\n"
                  "ods_sink_info{version=\"%s\"} 1\n",
                  ODS_VERSION);
    write_counters(page);
    metrics_write_tables(page);
    write_histograms(page);
    write_states(page);
    write_numbers(page);
    write_times(page);
    metrics_write_own(page);
    metrics_write_partitions(page);
    metrics_write_orders(page);
    write_process(page->out);
}

void metrics_write(struct buffer *out, struct lane *const *lanes, size_t count,
                   enum exposition form)
{
    struct lane_status statuses[count ? count : 1];
    struct buffer labels[count ? count : 1];
    for (size_t i = 0; i < count; i++) {
        lane_status(lanes[i], &statuses[i]);
        buffer_init(&labels[i]);
        metrics_label(&labels[i], "pipeline", statuses[i].pipeline);
        buffer_printf(&labels[i], ",lane=\"%zu\"", statuses[i].index);
        out->failed |= labels[i].failed;
    }
    const struct page page = {.out = out,
                              .form = form,
                              .lanes = lanes,
                              .count = count,
                              .statuses = statuses,
                              .labels = labels};
    if (!out->failed)
        write_page(&page);
    for (size_t i = 0; i < count; i++)
        buffer_done(&labels[i]);
}
