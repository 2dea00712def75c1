/* Two sorted arrays: partitions, and the names of their topics. Changes are rare (rebalances),
 * lookups are one comparison for as long as records come from the same partition. */
#include "pipeline/assignment.h"

#include <stdlib.h>
#include <string.h>

void assignment_init(struct assignment *assignment)
{
    memset(assignment, 0, sizeof *assignment);
}

void assignment_done(struct assignment *assignment)
{
    for (size_t i = 0; i < assignment->count; i++)
        free(assignment->items[i]);
    for (size_t i = 0; i < assignment->topic_count; i++)
        free(assignment->topics[i]);
    free(assignment->items);
    free(assignment->topics);
    memset(assignment, 0, sizeof *assignment);
}

/* Room for one more; the array may move. NULL when memory is out. */
static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t larger = *capacity ? *capacity * 2 : 16;
    void *moved = realloc(array, larger * size);
    if (moved)
        *capacity = larger;
    return moved;
}

const char *assignment_intern(struct assignment *assignment, const char *topic)
{
    size_t low = 0, high = assignment->topic_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(topic, assignment->topics[middle]);
        if (order == 0)
            return assignment->topics[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    char **topics = grow(assignment->topics, assignment->topic_count, &assignment->topic_capacity,
                         sizeof *topics);
    if (!topics)
        return NULL;
    assignment->topics = topics;
    char *copy = strdup(topic);
    if (!copy)
        return NULL;
    memmove(topics + low + 1, topics + low, (assignment->topic_count - low) * sizeof *topics);
    topics[low] = copy;
    assignment->topic_count++;
    return copy;
}

static int compare(const struct partition *partition, const char *topic, int32_t number)
{
    int order = topic == partition->topic ? 0 : strcmp(topic, partition->topic);
    return order ? order : (number > partition->number) - (number < partition->number);
}

/* The partition's place, or where it would go. */
static size_t place_of(const struct assignment *assignment, const char *topic, int32_t number,
                       bool *there)
{
    size_t low = 0, high = assignment->count;
    *there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(assignment->items[middle], topic, number);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct partition *assignment_find(struct assignment *assignment, const char *topic, int32_t number)
{
    bool there;
    struct partition *last = assignment->last;
    if (last && last->number == number && compare(last, topic, number) == 0)
        return last;
    size_t at = place_of(assignment, topic, number, &there);
    if (!there)
        return NULL;
    return assignment->last = assignment->items[at];
}

static void start_over(struct partition *partition)
{
    partition->state = PARTITION_ASKING;
    partition->stored = partition->chain = partition->applied = OFFSET_NONE;
    partition->position = POSITION_BEGINNING;
    partition->stored_us = partition->begun = 0;
    partition->cluster = NULL;
    partition->looks_back = true;
    partition->put_off = false;
    partition->waits_at = partition->end = -1;
}

struct partition *assignment_add(struct assignment *assignment, const char *topic, int32_t number)
{
    bool there;
    size_t at = place_of(assignment, topic, number, &there);
    struct partition *partition = there ? assignment->items[at] : NULL;
    if (!partition) {
        const char *name = assignment_intern(assignment, topic);
        struct partition **items =
            grow(assignment->items, assignment->count, &assignment->capacity, sizeof *items);
        if (items)
            assignment->items = items;
        partition = name && items ? calloc(1, sizeof *partition) : NULL;
        if (!partition)
            return NULL;
        partition->topic = name;
        partition->number = number;
        memmove(items + at + 1, items + at, (assignment->count - at) * sizeof *items);
        items[at] = partition;
        assignment->count++;
    }
    start_over(partition);
    partition->acked = partition->decoded = OFFSET_NONE;
    partition->first = FIRST_UNTOLD;
    partition->high = -1;
    partition->fences = 0;
    partition->not_before_us = 0;
    partition->awaits_at = -1;
    return partition;
}

void assignment_sweep(struct assignment *assignment)
{
    size_t kept = 0;
    for (size_t i = 0; i < assignment->count; i++) {
        struct partition *partition = assignment->items[i];
        if (partition->state == PARTITION_GONE && !partition->in_flight)
            free(partition);
        else
            assignment->items[kept++] = partition;
    }
    assignment->count = kept;
    assignment->last = NULL;
}

void partition_restart(struct partition *partition)
{
    if (partition->state != PARTITION_GONE)
        start_over(partition);
}
