/* See tables_show.h. A table is known from the first change of it that this process applied, and
 * with it the topic of that; a topic that brought none yet stands by itself. */
#include "pipeline/tables_show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include "pipeline/json_text.h"
#include "pipeline/lane.h"
#include "pipeline/lanes_show.h"
#include "pipeline/table_counts.h"
#include "pipeline/watch.h"

#define KEEPS_UP 1000 /* records, as of a pipeline */

/* A topic of a pipeline: the partitions of it that its lanes have. */
struct topic_lag {
    const char *topic; /* of the lanes as they are shown */
    int64_t lag;       /* -1: not known */
    size_t partitions;
    bool paused, has_table;
};

struct row {
    const char *pipeline;
    const struct table_count *table; /* NULL: none is known of the topic */
    const char *topic;               /* NULL: not known */
    const struct topic_lag *place;   /* NULL: other processes have it */
    uint64_t changes, reads;
    int64_t newest_us, complete_us; /* INT64_MIN: not known */
};

struct list {
    struct row *rows;
    size_t count, capacity;
    struct topic_lag **places; /* one array a pipeline, until the list is written */
    size_t place_count;
    bool failed;
};

static void add(struct list *list, const struct row *row)
{
    if (list->count == list->capacity) {
        size_t larger = list->capacity ? list->capacity * 2 : 256;
        struct row *moved = realloc(list->rows, larger * sizeof *moved);
        if (!moved) {
            list->failed = true;
            return;
        }
        list->rows = moved;
        list->capacity = larger;
    }
    list->rows[list->count++] = *row;
}

/* --- topics --------------------------------------------------------------------------------- */

static int by_topic(const void *one, const void *other)
{
    const struct topic_lag *a = one, *b = other;
    return strcmp(a->topic, b->topic);
}

/* Partitions that are next to each other become their topic. */
static size_t merge(struct topic_lag *places, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct topic_lag *last = kept ? &places[kept - 1] : NULL;
        if (!last || strcmp(last->topic, places[i].topic) != 0) {
            places[kept++] = places[i];
            continue;
        }
        last->lag = last->lag < 0 || places[i].lag < 0 ? -1 : last->lag + places[i].lag;
        last->paused |= places[i].paused;
        last->partitions++;
    }
    return kept;
}

/* NULL: memory is out. */
static struct topic_lag *find_topics(const struct lanes_shown *shown, size_t first, size_t next,
                                     size_t *count)
{
    size_t capacity = 1;
    for (size_t i = first; i < next; i++)
        capacity += shown->places[i].count;
    struct topic_lag *places = calloc(capacity, sizeof *places);
    *count = 0;
    if (!places)
        return NULL;
    for (size_t i = first; i < next; i++)
        for (size_t k = 0; k < shown->places[i].count; k++) {
            const struct lane_partition *one = &shown->places[i].items[k];
            places[(*count)++] = (struct topic_lag){
                .topic = one->topic, .lag = one->lag, .partitions = 1, .paused = one->paused};
        }
    if (*count) {
        qsort(places, *count, sizeof *places, by_topic);
        *count = merge(places, *count);
    }
    return places;
}

/* --- tables --------------------------------------------------------------------------------- */

/* NULL: the process has no partition of it. */
static struct topic_lag *place_of(const char *topic, struct topic_lag *places, size_t count)
{
    struct topic_lag wanted = {.topic = topic};
    return topic && count ? bsearch(&wanted, places, count, sizeof *places, by_topic) : NULL;
}

static void add_table(struct list *list, const struct table_counts *counts,
                      const struct table_count *table, struct watch *watch,
                      struct topic_lag *places, size_t count)
{
    const char *topic = table->topic;
    struct topic_lag *place = place_of(topic, places, count);
    struct row row = {.pipeline = counts->pipeline, .table = table, .topic = topic, .place = place};
    row.changes = table_count_changes(counts, table);
    row.reads = table_count_reads(counts, table);
    row.newest_us = table_count_newest_us(counts, table);
    row.complete_us = watch && topic ? watch_complete_us(watch, topic) : INT64_MIN;
    if (place)
        place->has_table = true;
    add(list, &row);
}

/* Its lanes are those from `first` on to `next`. */
static void add_pipeline(struct list *list, const struct lanes_shown *shown, size_t first,
                         size_t next)
{
    size_t count;
    struct table_counts *counts = lane_tables(shown->lanes[first]);
    struct topic_lag *places = find_topics(shown, first, next, &count);
    if (!places) {
        list->failed = true;
        return;
    }
    list->places[list->place_count++] = places;
    for (const struct table_count *table = atomic_load(&counts->first); table;
         table = atomic_load(&table->next))
        add_table(list, counts, table, lane_watch(shown->lanes[first]), places, count);
    for (size_t i = 0; i < count; i++)
        if (!places[i].has_table)
            add(list, &(struct row){.pipeline = counts->pipeline,
                                    .topic = places[i].topic,
                                    .place = &places[i],
                                    .newest_us = INT64_MIN,
                                    .complete_us = INT64_MIN});
}

static int64_t lag_of(const struct row *row)
{
    return row->place ? row->place->lag : -1;
}

/* Furthest behind first, then what changes most, then by name. */
static int by_lag(const void *one, const void *other)
{
    const struct row *a = one, *b = other;
    int64_t lag = lag_of(a), other_lag = lag_of(b);
    const char *name = a->table ? a->table->name : a->topic;
    const char *other_name = b->table ? b->table->name : b->topic;
    if (lag != other_lag)
        return lag > other_lag ? -1 : 1;
    if (a->changes != b->changes)
        return a->changes > b->changes ? -1 : 1;
    int order = strcmp(name, other_name);
    return order ? order : strcmp(a->pipeline, b->pipeline);
}

static const char *state_of(const struct row *row)
{
    if (!row->place)
        return "elsewhere";
    if (row->place->paused)
        return "paused";
    if (row->place->lag < 0)
        return "not known";
    return row->place->lag == 0 ? "caught up" : row->place->lag <= KEEPS_UP ? "keeps up" : "behind";
}

/* How long until nothing waits, by what the last minute took off; -1: not known. */
static double seconds_left(const struct row *row)
{
    double shrinks = row->table ? atomic_load(&row->table->shrinks) : 0;
    if (!row->place || row->place->paused || row->place->lag < 0)
        return -1;
    return row->place->lag == 0 ? 0 : shrinks > 0 ? (double) row->place->lag / shrinks : -1;
}

static void put_moment(struct buffer *out, const char *name, int64_t at_us)
{
    buffer_puts(out, name);
    if (at_us == INT64_MIN)
        buffer_puts(out, "null");
    else
        json_put_number(out, at_us, 6);
}

/* A snapshot's rows, and how long yet for whatever waits. */
static void put_progress(struct buffer *out, const struct row *row)
{
    double left = seconds_left(row);
    buffer_puts(out, ", \"snapshot_rows\": ");
    if (row->reads)
        json_put_number(out, (int64_t) row->reads, 0);
    else
        buffer_puts(out, "null");
    buffer_puts(out, ", \"seconds_left\": ");
    if (left < 0)
        buffer_puts(out, "null");
    else
        json_put_number(out, llround(left * 10), 1);
}

static void put_row(struct buffer *out, const struct row *row)
{
    double rate = row->table ? atomic_load(&row->table->rate) : 0;
    buffer_puts(out, "{\"pipeline\": ");
    json_put_text(out, row->pipeline);
    buffer_puts(out, ", \"table\": ");
    json_put_text(out, row->table ? row->table->name : NULL);
    buffer_puts(out, ", \"topic\": ");
    json_put_text(out, row->topic);
    buffer_puts(out, ", \"state\": ");
    json_put_text(out, state_of(row));
    buffer_puts(out, ", \"lag_records\": ");
    if (lag_of(row) < 0)
        buffer_puts(out, "null");
    else
        json_put_number(out, lag_of(row), 0);
    buffer_puts(out, ", \"changes\": ");
    json_put_number(out, (int64_t) row->changes, 0);
    buffer_puts(out, ", \"changes_per_second\": ");
    if (rate < 0)
        buffer_puts(out, "null");
    else
        json_put_number(out, llround(rate * 1e3), 3);
    put_moment(out, ", \"last_change_at\": ", row->newest_us);
    put_moment(out, ", \"complete_to\": ", row->complete_us);
    put_progress(out, row);
    buffer_puts(out, "}");
}

static void put_rows(struct buffer *out, const struct list *list)
{
    buffer_puts(out, "[");
    for (size_t i = 0; i < list->count && i < TABLES_SHOWN_MAX; i++) {
        buffer_puts(out, i ? ",\n    " : "\n    ");
        put_row(out, &list->rows[i]);
    }
    buffer_puts(out, "]");
}

bool tables_write(const struct lanes_shown *shown, struct buffer *out, size_t *total)
{
    struct list list = {.places = calloc(shown->count + 1, sizeof(struct topic_lag *))};
    list.failed = !list.places;
    for (size_t first = 0, next; first < shown->count && !list.failed; first = next) {
        const struct table_counts *counts = lane_tables(shown->lanes[first]);
        for (next = first + 1; next < shown->count; next++)
            if (lane_tables(shown->lanes[next]) != counts) /* a pipeline's lanes are neighbours */
                break;
        add_pipeline(&list, shown, first, next);
    }
    if (list.count)
        qsort(list.rows, list.count, sizeof *list.rows, by_lag);
    *total = list.count;
    put_rows(out, &list);
    for (size_t i = 0; i < list.place_count; i++)
        free(list.places[i]);
    free(list.places);
    free(list.rows);
    return !list.failed;
}

void tables_sample(struct lane *const *lanes, size_t count, double seconds)
{
    struct lanes_shown shown;
    struct topic_lag *places = NULL;
    size_t topics = 0;
    struct table_counts *counts = lane_tables(lanes[0]);
    if (lanes_look(&shown, lanes, count))
        places = find_topics(&shown, 0, count, &topics);
    for (struct table_count *table = atomic_load(&counts->first); table;
         table = atomic_load(&table->next)) {
        const struct topic_lag *place = places ? place_of(table->topic, places, topics) : NULL;
        table_count_sample(counts, table, place && !place->paused ? place->lag : -1,
                           place ? place->partitions : 0, seconds);
    }
    free(places);
    lanes_shown_done(&shown);
}
