/* What the files of this source share: file.c, file_next.c. Nobody else includes it. */
#ifndef FILE_SOURCE_H
#define FILE_SOURCE_H

#include <stdatomic.h>

#include <ods/source.h>

#include "source/file/file_partitions.h"
#include "source/file/file_tail.h"

struct file_source {
    struct source base;
    struct source_events events;
    const struct pipeline_settings *pipeline; /* NULL: all records, in whatever order */
    bool reads;                               /* false: another lane does */
    struct file_tail tail;
    struct file_partitions partitions;
    struct file_partition *holds;   /* the next line is its, and it is not started */
    struct file_partition *refused; /* it was started where nobody can go back to */
    struct arena arena;             /* of the line that is being read */
    int64_t seen;                   /* lines from here on are new */
    size_t gaps;                    /* of partitions, to be told */
    size_t ends;    /* of partitions from this one on, to be told when all has been read */
    bool more;      /* the last call stopped before there was nothing left */
    atomic_bool joined, ended, missing;
};

#define LOG_FIELDS(file)                                                                           \
    ((const char *const[]){"pipeline", (file)->pipeline->name, "lane", "0", NULL})

/* source_ops.next, file_next.c */
enum source_event file_next(struct source *source, struct record *record, struct error *error);
/* What was to be told of where the partition was started is void. */
void file_forget_gap(struct file_source *file, struct file_partition *partition);

#endif
