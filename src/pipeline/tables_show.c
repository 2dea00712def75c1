/* See tables_show.h. A table is known from the first change of it that this process applied, and
 * with it the topic of that; a topic that brought none yet stands by itself. */
#include "pipeline/tables_show.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/json_text.h"
#include "pipeline/lane.h"
#include "pipeline/table_counts.h"

#define KEEPS_UP 1000 /* records, as of a pipeline */

/* A topic of a pipeline: the partitions of it that its lanes have. */
struct topic_lag {
    const char *topic; /* in the description */
    int64_t lag;       /* -1: not known */
    bool paused, has_table;
};

struct row {
    const char *pipeline;
    const struct table_count *table; /* NULL: none is known of the topic */
    const char *topic;               /* NULL: not known */
    const struct topic_lag *place;       /* NULL: other processes have it */
    uint64_t changes;
    int64_t newest_us;
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
    }
    return kept;
}

static bool is_of(const json_t *lane, const char *pipeline)
{
    const char *name = json_string_value(json_object_get(lane, "pipeline"));
    return name && strcmp(name, pipeline) == 0;
}

/* NULL: memory is out. */
static struct topic_lag *find_topics(const json_t *described, const char *pipeline,
                                     size_t *count)
{
    size_t i, k, capacity = 1;
    const json_t *lane, *one;
    json_array_foreach(described, i, lane)
        capacity += json_array_size(json_object_get(lane, "partitions"));
    struct topic_lag *places = calloc(capacity, sizeof *places);
    *count = 0;
    json_array_foreach(described, i, lane) {
        if (!places || !is_of(lane, pipeline))
            continue;
        json_array_foreach(json_object_get(lane, "partitions"), k, one) {
            const json_t *lag = json_object_get(one, "lag");
            const char *topic = json_string_value(json_object_get(one, "topic"));
            const char *state = json_string_value(json_object_get(one, "state"));
            if (topic && state)
                places[(*count)++] =
                    (struct topic_lag){.topic = topic,
                                   .lag = json_is_integer(lag) ? json_integer_value(lag) : -1,
                                   .paused = strcmp(state, "paused") == 0};
        }
    }
    if (places && *count) {
        qsort(places, *count, sizeof *places, by_topic);
        *count = merge(places, *count);
    }
    return places;
}

/* --- tables --------------------------------------------------------------------------------- */

static void add_table(struct list *list, const struct table_counts *counts,
                      const struct table_count *table, struct topic_lag *places, size_t count)
{
    const char *topic = table->topic;
    struct topic_lag wanted = {.topic = topic};
    struct topic_lag *place =
        topic && count ? bsearch(&wanted, places, count, sizeof *places, by_topic) : NULL;
    struct row row = {.pipeline = counts->pipeline, .table = table, .topic = topic, .place = place};
    row.changes = table_count_changes(counts, table);
    row.newest_us = table_count_newest_us(counts, table);
    if (place)
        place->has_table = true;
    add(list, &row);
}

static void add_pipeline(struct list *list, struct table_counts *counts, const json_t *described)
{
    size_t count;
    struct topic_lag *places = find_topics(described, counts->pipeline, &count);
    if (!places) {
        list->failed = true;
        return;
    }
    list->places[list->place_count++] = places;
    for (const struct table_count *table = atomic_load(&counts->first); table;
         table = atomic_load(&table->next))
        add_table(list, counts, table, places, count);
    for (size_t i = 0; i < count; i++)
        if (!places[i].has_table)
            add(list, &(struct row){.pipeline = counts->pipeline,
                                    .topic = places[i].topic,
                                    .place = &places[i],
                                    .newest_us = INT64_MIN});
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

static json_t *describe(const struct row *row)
{
    double rate = row->table ? atomic_load(&row->table->rate) : 0;
    return json_pack(
        "{s:o, s:o, s:o, s:s, s:o, s:I, s:o, s:o}", "pipeline", text_of(row->pipeline), "table",
        row->table ? text_of(row->table->name) : json_null(), "topic",
        row->topic ? text_of(row->topic) : json_null(), "state", state_of(row), "lag_records",
        lag_of(row) < 0 ? json_null() : json_integer(lag_of(row)), "changes",
        (json_int_t) row->changes, "changes_per_second", rate < 0 ? json_null() : json_real(rate),
        "last_change_at",
        row->newest_us == INT64_MIN ? json_null() : json_real((double) row->newest_us / 1e6));
}

json_t *tables_describe(struct lane *const *lanes, size_t count, const json_t *described,
                        size_t *total)
{
    struct list list = {.places = calloc(count + 1, sizeof(struct topic_lag *))};
    json_t *out = json_array();
    const struct table_counts *last = NULL;
    list.failed = !list.places;
    for (size_t i = 0; i < count && !list.failed; i++) {
        struct table_counts *counts = lane_tables(lanes[i]); /* a pipeline's lanes are neighbours */
        if (counts != last)
            add_pipeline(&list, counts, described);
        last = counts;
    }
    if (list.count)
        qsort(list.rows, list.count, sizeof *list.rows, by_lag);
    *total = list.count;
    for (size_t i = 0; i < list.count && i < TABLES_SHOWN_MAX; i++)
        json_array_append_new(out, describe(&list.rows[i]));
    for (size_t i = 0; i < list.place_count; i++)
        free(list.places[i]);
    free(list.places);
    free(list.rows);
    if (list.failed) {
        json_decref(out);
        return NULL;
    }
    return out;
}
