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
    const struct pipeline_settings *pipeline; /* NULL: all records, in any order */
    bool reads;                               /* false: another lane reads the file */
    struct file_tail tail;
    struct file_partitions partitions;
    struct file_partition *holds;   /* has the next line, but is not started */
    struct file_partition *refused; /* was started at a place that can't be read again */
    struct arena arena;             /* memory for the line that is being read */
    int64_t seen;                   /* lines from here on are new */
    size_t gaps;                    /* how many partitions have a gap to be reported */
    size_t ends;    /* the first partition whose end is still to be reported */
    bool more;      /* the last call stopped before there was nothing left */
    atomic_bool joined, ended, missing;
};

#define LOG_FIELDS(file)                                                                           \
    ((const char *const[]){"pipeline", (file)->pipeline->name, "lane", "0", NULL})

/* source_ops.next, file_next.c */
enum source_event file_next(struct source *source, struct record *record, struct error *error);
/* The gap of the partition needs no report any more. */
void file_forget_gap(struct file_source *file, struct file_partition *partition);

#endif
