/* The topics and partitions that a file's lines name: what is to be delivered of each, and where
 * its lines are. Used by the consumer thread only, except for file_topic_partitions(). */
#ifndef FILE_PARTITIONS_H
#define FILE_PARTITIONS_H

#include <stdatomic.h>

#include "core/hash_index.h"
#include "source/file/file_tail.h"

#define FILE_MARK_LEVELS 24

struct file_topic {
    struct file_topic *next;
    bool wanted;         /* the pipeline reads it */
    atomic_int highest; /* the highest partition seen, -1: none */
    size_t length;
    char name[];
};

/* The place of a line, from which later lines can be found again. Zeroed: the file's beginning. */
struct file_mark {
    int64_t offset;
    struct tail_place place;
};

/* Offsets; -1 where there is none. */
struct file_partition {
    const char *topic;
    int32_t number;
    bool started;
    bool gap;      /* to be reported: there is no record where it was started */
    bool fresh;    /* it has had lines in earlier files, and none in this one yet */
    bool told_end; /* its end was reported, and nothing has come since */
    int64_t from;  /* the first offset to deliver */
    int64_t taken; /* the last line taken from this file, delivered or skipped */
    int64_t last;  /* the last line of all files so far */
    int64_t low;   /* this file has all records from here on */
    int64_t low_ms;             /* timestamp of its first line */
    int64_t delivered, settled; /* all below these is delivered; is committed */
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

/* NULL: no line has named the topic yet. */
struct file_topic *file_topic_find(struct file_partitions *partitions, struct slice name);
/* NULL: memory is out. */
struct file_topic *file_topic_add(struct file_partitions *partitions, struct slice name,
                                  bool wanted);
/* Called by any thread: the topic's highest partition seen so far plus 1, at least 1. */
int32_t file_topic_partitions(struct file_partitions *partitions, const char *name);

struct file_partition *file_partition_find(struct file_partitions *partitions,
                                           const struct file_topic *topic, int32_t number);
/* NULL: memory is out. */
struct file_partition *file_partition_add(struct file_partitions *partitions,
                                          struct file_topic *topic, int32_t number);

/* Notes the place of a new line of the partition. The marks are close to each other near the last
 * line, and the further back the rarer: so going back reads about twice as much as necessary at
 * most, and the memory never grows. */
void file_partition_mark(struct file_partition *partition, int64_t offset,
                         struct tail_place place);
/* A place that comes before all lines of the partition with this offset or a higher one. */
struct tail_place file_partition_place(const struct file_partition *partition, int64_t offset);
/* Called when the file is left that has all lines of the partition so far. */
void file_partition_next_file(struct file_partition *partition);

#endif
