/* The topics and partitions that a file's lines name: what is to be delivered of each, and where
 * its lines stand. The consumer thread's, but for file_topic_partitions(). */
#ifndef FILE_PARTITIONS_H
#define FILE_PARTITIONS_H

#include <stdatomic.h>

#include "core/hash_index.h"
#include "source/file/file_tail.h"

#define FILE_MARK_LEVELS 24

struct file_topic {
    struct file_topic *next;
    bool wanted;         /* the pipeline reads it */
    atomic_int highest; /* partition seen, -1: none */
    size_t length;
    char name[];
};

/* A line of a partition by which lines can be found again. Zeroed: the file's beginning. */
struct file_mark {
    int64_t offset;
    struct tail_place place;
};

/* Offsets; -1 where there is none. */
struct file_partition {
    const char *topic;
    int32_t number;
    bool started;
    bool gap;      /* to be told: there is no record where it was started */
    bool fresh;    /* it has had lines, none of them in this file */
    bool told_end; /* nothing has come since its end was told */
    int64_t from;  /* deliver from here on */
    int64_t taken; /* of the last line taken from this file, delivered or passed over */
    int64_t last;  /* of the last line there has been */
    int64_t low;   /* from here on, all its records stand in this file */
    int64_t low_ms;             /* timestamp of its first line */
    int64_t delivered, settled; /* all below was handed out; is committed */
    uint64_t lines;
    struct file_mark (*marks)[2]; /* by level; NULL: memory was out */
};

struct file_partitions {
    struct hash_index topics, index;
    _Atomic(struct file_topic *) first_topic; /* the list is only added to */
    struct file_topic *last_topic;
    size_t unwanted;
    struct file_partition **items; /* in the order in which they came */
    size_t count, capacity;
    struct file_partition *last;
};

void file_partitions_done(struct file_partitions *partitions); /* zeroed is fine */

/* NULL: it has not been seen. */
struct file_topic *file_topic_find(struct file_partitions *partitions, struct slice name);
/* NULL: memory is out. */
struct file_topic *file_topic_add(struct file_partitions *partitions, struct slice name,
                                  bool wanted);
/* Any thread: one more than the highest partition that has been seen of the topic, at least 1. */
int32_t file_topic_partitions(struct file_partitions *partitions, const char *name);

struct file_partition *file_partition_find(struct file_partitions *partitions,
                                           const struct file_topic *topic, int32_t number);
/* NULL: memory is out. */
struct file_partition *file_partition_add(struct file_partitions *partitions,
                                          struct file_topic *topic, int32_t number);

/* A new line of the partition stands there. Marks are dense near the last one and ever rarer
 * before, so that going back costs about as much reading as it goes back, and the memory is the
 * same always. */
void file_partition_mark(struct file_partition *partition, int64_t offset,
                         struct tail_place place);
/* A place from which on stand all lines of the partition that have this offset or a higher one. */
struct tail_place file_partition_place(const struct file_partition *partition, int64_t offset);
/* All its lines so far stand in a file that is done with. */
void file_partition_next_file(struct file_partition *partition);

#endif
