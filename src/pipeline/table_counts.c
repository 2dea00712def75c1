#include "pipeline/table_counts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "pipeline/metrics.h"

#define BUCKETS 4096 /* of `index` */
#define OTHERS  "(others)"

void table_counts_init(struct table_counts *counts, const char *pipeline, size_t lanes)
{
    *counts = (struct table_counts){.pipeline = pipeline, .lanes = lanes};
    pthread_mutex_init(&counts->mutex, NULL);
}

static void free_count(struct table_count *count)
{
    if (!count)
        return;
    free(count->name);
    free(count->topic);
    free(count->labels);
    free(count->lanes);
    free(count);
}

void table_counts_done(struct table_counts *counts)
{
    for (struct table_count *count = counts->first, *next; count; count = next) {
        next = count->next;
        free_count(count);
    }
    pthread_mutex_destroy(&counts->mutex);
}

void table_counting_done(struct table_counting *counting)
{
    free(counting->by_shape);
}

/* --- entries -------------------------------------------------------------------------------- */

static char *name_of(const struct shape *shape)
{
    const char *schema = *shape->schema ? shape->schema : shape->database;
    const char *kind = shape->history_of ? " (history)" : "";
    size_t size = strlen(schema) + strlen(shape->table) + strlen(kind) + 2;
    char *name = malloc(size);
    if (name)
        snprintf(name, size, "%s%s%s%s", schema, *schema ? "." : "", shape->table, kind);
    return name;
}

/* `topic` is NULL where several tables count together. */
static struct table_count *new_count(const struct table_counts *counts, const char *name,
                                     const char *topic)
{
    struct table_count *count = calloc(1, sizeof *count);
    struct buffer labels;
    if (!count)
        return NULL;
    buffer_init(&labels);
    metrics_label(&labels, "pipeline", counts->pipeline);
    buffer_puts(&labels, ",");
    metrics_label(&labels, "table", name);
    count->name = strdup(name);
    count->topic = topic ? strdup(topic) : NULL;
    atomic_init(&count->rate, -1);
    for (size_t i = 0; i < TABLE_LAGS; i++)
        count->lags[i] = -1;
    count->labels = labels.failed ? NULL : strdup(buffer_text(&labels));
    count->lanes = calloc(counts->lanes, sizeof *count->lanes);
    buffer_done(&labels);
    for (size_t i = 0; count->lanes && i < counts->lanes; i++)
        atomic_init(&count->lanes[i].newest_us, INT64_MIN);
    if (count->name && count->labels && count->lanes && (count->topic || !topic))
        return count;
    free_count(count);
    return NULL;
}

/* In the mutex. NULL: memory is out. */
static struct table_count *find(struct table_counts *counts, const char *name, const char *topic)
{
    struct table_count **bucket = &counts->index[hash_bytes(name, strlen(name), 0) % BUCKETS];
    for (struct table_count *count = *bucket; count; count = count->same_hash)
        if (strcmp(count->name, name) == 0)
            return count;
    if (counts->count >= TABLE_COUNTS_MAX && strcmp(name, OTHERS) != 0)
        return find(counts, OTHERS, NULL);
    struct table_count *count = new_count(counts, name, topic);
    if (!count)
        return NULL;
    count->same_hash = *bucket;
    *bucket = count;
    atomic_store(counts->last ? &counts->last->next : &counts->first, count);
    counts->last = count;
    counts->count++;
    return count;
}

static struct table_lane_count *count_of(struct table_counting *counting,
                                         const struct shape *shape, const char *topic)
{
    struct table_counts *counts = counting->counts;
    char *name = name_of(shape);
    if (!name)
        return NULL;
    pthread_mutex_lock(&counts->mutex);
    struct table_count *count = find(counts, name, topic);
    pthread_mutex_unlock(&counts->mutex);
    free(name);
    return count ? &count->lanes[counting->lane] : NULL;
}

/* NULL: memory is out. */
static struct table_lane_count *first_of_shape(struct table_counting *counting,
                                               const struct shape *shape, const char *topic)
{
    if (shape->id >= counting->capacity) {
        size_t larger = counting->capacity ? counting->capacity * 2 : 64;
        while (larger <= shape->id)
            larger *= 2;
        struct table_lane_count **moved =
            realloc(counting->by_shape, larger * sizeof *moved);
        if (!moved)
            return NULL;
        memset(moved + counting->capacity, 0, (larger - counting->capacity) * sizeof *moved);
        counting->by_shape = moved;
        counting->capacity = larger;
    }
    return counting->by_shape[shape->id] = count_of(counting, shape, topic);
}

/* --- counting ------------------------------------------------------------------------------- */

static enum table_operation operation_of(const struct change *change)
{
    switch (change->op) {
    case OP_CREATE:
        return TABLE_CREATE;
    case OP_READ:
        return TABLE_READ;
    case OP_UPDATE:
        return TABLE_UPDATE;
    case OP_DELETE:
        return TABLE_DELETE;
    case OP_TRUNCATE:
        break;
    }
    return TABLE_TRUNCATE;
}

void table_counting_add(struct table_counting *counting, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        const struct shape *shape = change->shape;
        if (change->rejected || !shape)
            continue;
        struct table_lane_count *count =
            shape->id < counting->capacity ? counting->by_shape[shape->id] : NULL;
        if (!count)
            count = first_of_shape(counting, shape, batch->records[change->record].topic);
        if (!count)
            continue;
        /* There is one thread that writes it. */
        atomic_uint_fast64_t *changes = &count->changes[operation_of(change)];
        atomic_store_explicit(changes, atomic_load_explicit(changes, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        if (change->source_us > atomic_load_explicit(&count->newest_us, memory_order_relaxed))
            atomic_store_explicit(&count->newest_us, change->source_us, memory_order_relaxed);
    }
}

/* --- showing -------------------------------------------------------------------------------- */

uint64_t table_count_changes(const struct table_counts *counts, const struct table_count *count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < counts->lanes; i++)
        for (size_t k = 0; k < TABLE_OPERATIONS; k++)
            sum += atomic_load_explicit(&count->lanes[i].changes[k], memory_order_relaxed);
    return sum;
}

int64_t table_count_newest_us(const struct table_counts *counts, const struct table_count *count)
{
    int64_t newest_us = INT64_MIN;
    for (size_t i = 0; i < counts->lanes; i++) {
        int64_t one = atomic_load_explicit(&count->lanes[i].newest_us, memory_order_relaxed);
        newest_us = one > newest_us ? one : newest_us;
    }
    return newest_us;
}

static uint64_t reads_of(const struct table_counts *counts, const struct table_count *count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < counts->lanes; i++)
        sum += atomic_load_explicit(&count->lanes[i].changes[TABLE_READ], memory_order_relaxed);
    return sum;
}

uint64_t table_count_reads(const struct table_counts *counts, const struct table_count *count)
{
    uint64_t reads = reads_of(counts, count);
    return reads > atomic_load(&count->reads_before) ? reads - atomic_load(&count->reads_base) : 0;
}

/* The oldest that is known stands for what the table lost since; what is new is put at the end. */
static double shrinks(struct table_count *count, int64_t lag, double seconds)
{
    double by = 0;
    for (size_t i = 0; lag >= 0 && i < TABLE_LAGS; i++)
        if (count->lags[i] >= 0) {
            by = (double) (count->lags[i] - lag) / (seconds * (double) (TABLE_LAGS - i));
            break;
        }
    for (size_t i = 0; i < TABLE_LAGS; i++)
        count->lags[i] = lag < 0 ? -1 : i + 1 < TABLE_LAGS ? count->lags[i + 1] : lag;
    return by;
}

void table_count_sample(struct table_counts *counts, struct table_count *count, int64_t lag,
                        size_t partitions, double seconds)
{
    uint64_t changes = table_count_changes(counts, count), reads = reads_of(counts, count);
    if (partitions != count->partitions) /* what went or came with them is no progress */
        lag = -1;
    count->partitions = partitions;
    atomic_store(&count->rate, (double) (changes - count->sampled) / seconds);
    count->sampled = changes;
    atomic_store(&count->shrinks, shrinks(count, lag, seconds));
    if (reads == atomic_load(&count->reads_before)) /* none runs */
        atomic_store(&count->reads_base, reads);
    atomic_store(&count->reads_before, atomic_load(&count->sampled_reads));
    atomic_store(&count->sampled_reads, reads);
}
