/* Topics and partitions of a file. See file_partitions.h. */
#include "source/file/file_partitions.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define MARK_LINES 16 /* between two marks of the lowest level */

static uint64_t hash_place(const char *topic, int32_t number)
{
    return hash_mix((uint64_t) (uintptr_t) topic, (uint64_t) number + 1);
}

void file_partitions_done(struct file_partitions *partitions)
{
    struct file_topic *topic = atomic_load(&partitions->first_topic), *next;
    for (size_t i = 0; i < partitions->count; i++) {
        free(partitions->items[i]->marks);
        free(partitions->items[i]);
    }
    for (; topic; topic = next) {
        next = topic->next;
        free(topic);
    }
    free(partitions->items);
    hash_index_done(&partitions->topics);
    hash_index_done(&partitions->index);
}

static bool is_named(const struct file_topic *topic, struct slice name)
{
    return topic->length == name.length && memcmp(topic->name, name.bytes, name.length) == 0;
}

struct file_topic *file_topic_find(struct file_partitions *partitions, struct slice name)
{
    struct file_topic *topic = partitions->last_topic;
    if (topic && is_named(topic, name))
        return topic;
    uint64_t hash = hash_bytes(name.bytes, name.length, 0);
    size_t at = hash_index_start(hash);
    while ((topic = hash_index_next(&partitions->topics, hash, &at)))
        if (is_named(topic, name))
            return partitions->last_topic = topic;
    return NULL;
}

struct file_topic *file_topic_add(struct file_partitions *partitions, struct slice name,
                                  bool wanted)
{
    struct file_topic *topic = malloc(sizeof *topic + name.length + 1);
    if (!topic || !hash_index_reserve(&partitions->topics)) {
        free(topic);
        return NULL;
    }
    topic->wanted = wanted;
    atomic_init(&topic->highest, -1);
    topic->length = name.length;
    memcpy(topic->name, name.bytes, name.length);
    topic->name[name.length] = '\0';
    topic->next = atomic_load(&partitions->first_topic);
    atomic_store(&partitions->first_topic, topic);
    hash_index_add(&partitions->topics, hash_bytes(name.bytes, name.length, 0), topic);
    partitions->unwanted += !wanted;
    return topic;
}

int32_t file_topic_partitions(struct file_partitions *partitions, const char *name)
{
    const struct file_topic *topic = atomic_load(&partitions->first_topic);
    while (topic && strcmp(topic->name, name) != 0)
        topic = topic->next;
    int highest = topic ? atomic_load(&topic->highest) : 0;
    return highest < 1 ? 1 : highest == INT32_MAX ? highest : highest + 1;
}

/* --- partitions --- */

struct file_partition *file_partition_find(struct file_partitions *partitions,
                                           const struct file_topic *topic, int32_t number)
{
    struct file_partition *partition = partitions->last;
    if (partition && partition->topic == topic->name && partition->number == number)
        return partition;
    uint64_t hash = hash_place(topic->name, number);
    size_t at = hash_index_start(hash);
    while ((partition = hash_index_next(&partitions->index, hash, &at)))
        if (partition->topic == topic->name && partition->number == number)
            return partitions->last = partition;
    return NULL;
}

struct file_partition *file_partition_add(struct file_partitions *partitions,
                                          struct file_topic *topic, int32_t number)
{
    struct file_partition *partition;
    if (partitions->count == partitions->capacity) {
        size_t larger = partitions->capacity ? partitions->capacity * 2 : 16;
        struct file_partition **moved = realloc(partitions->items, larger * sizeof *moved);
        if (!moved)
            return NULL;
        partitions->items = moved;
        partitions->capacity = larger;
    }
    if (!hash_index_reserve(&partitions->index) || !(partition = calloc(1, sizeof *partition)))
        return NULL;
    partition->topic = topic->name;
    partition->number = number;
    partition->taken = partition->last = partition->low = partition->low_ms = -1;
    partition->delivered = partition->settled = -1;
    if (number > atomic_load(&topic->highest))
        atomic_store(&topic->highest, number);
    hash_index_add(&partitions->index, hash_place(topic->name, number), partition);
    return partitions->last = partitions->items[partitions->count++] = partition;
}

/* --- marks --- */

void file_partition_mark(struct file_partition *partition, int64_t offset, struct tail_place place)
{
    uint64_t number = partition->lines++ / MARK_LINES;
    if ((partition->lines - 1) % MARK_LINES)
        return;
    if (!partition->marks)
        partition->marks = calloc(FILE_MARK_LEVELS, sizeof *partition->marks);
    /* A level has the last two marks whose number is a multiple of its power of two: the older of
     * them is at least that far back. */
    for (unsigned level = 0; partition->marks && level < FILE_MARK_LEVELS; level++) {
        if (number % (UINT64_C(1) << level))
            break;
        partition->marks[level][1] = partition->marks[level][0];
        partition->marks[level][0] = (struct file_mark){offset, place};
    }
}

struct tail_place file_partition_place(const struct file_partition *partition, int64_t offset)
{
    struct file_mark best = {0};
    for (unsigned level = 0; partition->marks && level < FILE_MARK_LEVELS; level++)
        for (unsigned i = 0; i < 2; i++) {
            const struct file_mark *mark = &partition->marks[level][i];
            if (mark->offset <= offset && mark->place.at > best.place.at)
                best = *mark;
        }
    return best.place;
}

void file_partition_next_file(struct file_partition *partition)
{
    partition->fresh = true;
    partition->low = partition->last + 1;
    partition->taken = -1;
    partition->lines = 0;
    free(partition->marks);
    partition->marks = NULL;
}
