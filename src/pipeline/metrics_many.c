/* What there are many of: tables, partitions, topics; and what sources and targets tell. */
#include "pipeline/metrics_room.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "pipeline/lanes_show.h"
#include "pipeline/watch.h"

/* --- tables --------------------------------------------------------------------------------- */

static void write_table(const struct page *page, const struct table_counts *counts,
                        const struct table_count *table)
{
    static const char *const operations[] = {
        [TABLE_CREATE] = ",op=\"create\"} ", [TABLE_READ] = ",op=\"read\"} ",
        [TABLE_UPDATE] = ",op=\"update\"} ", [TABLE_DELETE] = ",op=\"delete\"} ",
        [TABLE_TRUNCATE] = ",op=\"truncate\"} "};
    struct buffer *out = page->out;
    for (enum table_operation operation = 0; operation < TABLE_OPERATIONS; operation++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < counts->lanes; i++)
            sum += atomic_load_explicit(&table->lanes[i].changes[operation], memory_order_relaxed);
        if (!sum)
            continue;
        buffer_puts(out, "ods_sink_table_changes_total{");
        buffer_puts(out, table->labels);
        buffer_puts(out, operations[operation]);
        metrics_put_number(out, (int64_t) sum);
        buffer_puts(out, "\n");
    }
}

/* The first lane of a pipeline stands for all. */
void metrics_write_tables(const struct page *page)
{
    metrics_head(page->out, "table_changes_total", "counter",
                 "Changes applied, by the source's table and operation (those that occurred); "
                 "rows of a table's history by themselves, as creates of \"TABLE (history)\"");
    for (size_t i = 0; i < page->count; i++) {
        struct table_counts *counts = lane_tables(page->lanes[i]);
        if (page->statuses[i].index)
            continue;
        for (const struct table_count *table = atomic_load(&counts->first); table;
             table = atomic_load(&table->next))
            write_table(page, counts, table);
    }
}

/* --- sources and targets -------------------------------------------------------------------- */

typedef const struct number *numbers_of(const struct lane *lane, double *values);

/* One row of a table, of all lanes that have this table. */
static void write_row(const struct page *page, numbers_of *of, const struct number *rows,
                      size_t row, const char *name)
{
    for (size_t i = 0; i < page->count; i++) {
        double values[NUMBER_ROWS_MAX];
        if (of(page->lanes[i], values) != rows)
            continue;
        metrics_begin(page, i, name, rows[row].labels);
        buffer_printf(page->out, "%.15g\n", values[row]);
    }
}

static void write_rows(const struct page *page, numbers_of *of, const struct number *rows)
{
    const char *name = "";
    for (size_t row = 0; rows[row].labels; row++) {
        if (rows[row].name)
            metrics_head(page->out, name = rows[row].name, rows[row].type, rows[row].help);
        write_row(page, of, rows, row, name);
    }
}

/* Each table once, where its first lane is. */
static void write_tables_of(const struct page *page, numbers_of *of)
{
    double values[NUMBER_ROWS_MAX];
    for (size_t i = 0; i < page->count; i++) {
        const struct number *rows = of(page->lanes[i], values);
        bool again = !rows;
        for (size_t before = 0; before < i && !again; before++)
            again = of(page->lanes[before], values) == rows;
        if (!again)
            write_rows(page, of, rows);
    }
}

void metrics_write_own(const struct page *page)
{
    write_tables_of(page, lane_source_numbers);
    write_tables_of(page, lane_target_numbers);
}

/* --- partitions ----------------------------------------------------------------------------- */

void metrics_partition_head(struct buffer *out, const char *name, const char *help)
{
    char full[64];
    snprintf(full, sizeof full, "partition_%s", name);
    metrics_head(out, full, "gauge", help);
}

void metrics_partition(struct buffer *out, const char *name, const char *pipeline,
                       const char *topic, int32_t partition, int64_t value)
{
    buffer_puts(out, "ods_sink_partition_");
    buffer_puts(out, name);
    buffer_puts(out, "{");
    metrics_label(out, "pipeline", pipeline);
    buffer_puts(out, ",");
    metrics_label(out, "topic", topic);
    buffer_puts(out, ",partition=\"");
    metrics_put_number(out, partition);
    buffer_puts(out, "\"} ");
    metrics_put_number(out, value);
    buffer_puts(out, "\n");
}

static void write_partitions_of(const struct page *page, const struct lane_places *shown,
                                const char *pipeline, bool lag)
{
    for (size_t i = 0; i < shown->count; i++) {
        const struct lane_partition *partition = &shown->items[i];
        int64_t value = lag ? partition->lag : partition->applied;
        if (value < 0 || (lag && partition->paused))
            continue;
        metrics_partition(page->out, lag ? "lag_records" : "offset", pipeline, partition->topic,
                          partition->number, value);
    }
}

/* Records that wait in partitions that no order holds. */
static int64_t waiting(const struct lane_places *shown)
{
    int64_t sum = 0;
    for (size_t i = 0; i < shown->count; i++)
        if (!shown->items[i].paused && shown->items[i].lag > 0)
            sum += shown->items[i].lag;
    return sum;
}

static void write_lag_of(const struct page *page, size_t lane, const struct lane_places *shown)
{
    int64_t source_us = atomic_load(&lane_metrics(page->lanes[lane])->source_us);
    if (source_us == INT64_MIN)
        return;
    double seconds = (double) (time_wall_us() - source_us) / 1e6;
    metrics_begin(page, lane, "lag_seconds", "");
    buffer_printf(page->out, "%.3f\n", waiting(shown) && seconds > 0 ? seconds : 0);
}

void metrics_write_partitions(const struct page *page)
{
    struct lanes_shown shown;
    size_t count = lanes_look(&shown, page->lanes, page->count) ? page->count : 0;
    metrics_partition_head(page->out, "offset",
                           "Next record of the partition that the target lacks");
    for (size_t i = 0; i < count; i++)
        write_partitions_of(page, &shown.places[i], page->statuses[i].pipeline, false);
    metrics_partition_head(
        page->out, "lag_records",
        "Records of the partition that Kafka has and the target lacks, as the last fetch knew; of "
        "an input of type delta or iceberg versions of its table. Not of a partition that an order "
        "holds: those are in paused_backlog_records");
    for (size_t i = 0; i < count; i++)
        write_partitions_of(page, &shown.places[i], page->statuses[i].pipeline, true);
    metrics_head(page->out, "lane_lag_records", "gauge",
                 "Records that wait in the lane's partitions, but for those that an order holds");
    for (size_t i = 0; i < count; i++) {
        metrics_begin(page, i, "lane_lag_records", "");
        metrics_put_number(page->out, waiting(&shown.places[i]));
        buffer_puts(page->out, "\n");
    }
    metrics_head(page->out, "lag_seconds", "gauge",
                 "Age of the newest change that the target has, while records of the lane's "
                 "partitions wait that no order holds; 0 while none does");
    for (size_t i = 0; i < count; i++)
        write_lag_of(page, i, &shown.places[i]);
    lanes_shown_done(&shown);
}

/* --- orders --------------------------------------------------------------------------------- */

static void write_held(struct buffer *out, const char *pipeline, const struct watch_held *held)
{
    buffer_puts(out, "ods_sink_paused_backlog_records{");
    metrics_label(out, "pipeline", pipeline);
    buffer_puts(out, ",");
    metrics_label(out, "topic", held->order->topic);
    buffer_puts(out, ",");
    metrics_label(out, "table", held->order->table);
    buffer_printf(out, "} %" PRId64 "\n", held->backlog);
}

/* Of each pipeline whose target keeps orders; its first lane stands for all. */
static void write_orders(const struct page *page, bool backlogs)
{
    struct buffer *out = page->out;
    for (size_t i = 0; i < page->count; i++) {
        struct watch *watch = lane_watch(page->lanes[i]);
        size_t held_count;
        if (!watch || page->statuses[i].index)
            continue;
        const struct watch_held *held = watch_lock(watch, &held_count);
        if (!backlogs) {
            buffer_puts(out, "ods_sink_paused_topics{");
            metrics_label(out, "pipeline", page->statuses[i].pipeline);
            buffer_printf(out, "} %zu\n", held_count);
        }
        for (size_t k = 0; backlogs && k < held_count; k++)
            if (held[k].backlog >= 0)
                write_held(out, page->statuses[i].pipeline, &held[k]);
        watch_unlock(watch);
    }
}

void metrics_write_orders(const struct page *page)
{
    metrics_head(page->out, "paused_topics", "gauge",
                 "Topics of the group that orders hold; each of its processes tells of all");
    write_orders(page, false);
    metrics_head(page->out, "paused_backlog_records", "gauge",
                 "Records that wait in all partitions of such a topic, whoever has them");
    write_orders(page, true);
}
