/* Changes that a target has applied, of each table of a pipeline and by operation. A lane's writer
 * thread adds to numbers of its own; whoever shows them adds the lanes up. Tables are at most
 * TABLE_COUNTS_MAX: those beyond are counted together. */
#ifndef TABLE_COUNTS_H
#define TABLE_COUNTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/shape.h>

#define TABLE_COUNTS_MAX 20000
#define TABLE_LAGS       6 /* samples: what waits is foreseen by the last minute */

enum table_operation {
    TABLE_CREATE,
    TABLE_READ,
    TABLE_UPDATE,
    TABLE_DELETE,
    TABLE_TRUNCATE,
    TABLE_OPERATIONS
};

struct table_lane_count {
    atomic_uint_fast64_t changes[TABLE_OPERATIONS];
    atomic_int_fast64_t newest_us; /* the source's time of its newest change; INT64_MIN: none */
};

struct table_count {
    _Atomic(struct table_count *) next; /* in the order of first sight */
    struct table_count *same_hash;
    char *name;   /* "schema.table" of the source, or "table" */
    char *topic;  /* of the first record that brought it; NULL: several tables count here */
    char *labels; /* pipeline="…",table="…", as Prometheus wants it */
    struct table_lane_count *lanes; /* one a lane */
    /* Of who samples, every few seconds: its changes by then, and what waited, -1: not known. */
    uint64_t sampled;
    int64_t lags[TABLE_LAGS];
    size_t partitions; /* of which that is */
    _Atomic(double) rate;    /* changes a second of late; negative: not known yet */
    _Atomic(double) shrinks; /* by how many records a second what waits became less of late */
    /* Rows of snapshots: by then, a sample earlier, and before the one that runs. */
    atomic_uint_fast64_t sampled_reads, reads_before, reads_base;
};

struct table_counts { /* of a pipeline */
    pthread_mutex_t mutex; /* guards what is added to the list and the index */
    _Atomic(struct table_count *) first;
    struct table_count *last, *index[4096];
    const char *pipeline;
    size_t lanes, count;
};

/* A lane's: which count is a shape's, by the shape's id. */
struct table_counting {
    struct table_counts *counts;
    size_t lane, capacity;
    struct table_lane_count **by_shape;
};

void table_counts_init(struct table_counts *counts, const char *pipeline, size_t lanes);
void table_counts_done(struct table_counts *counts);
void table_counting_done(struct table_counting *counting);
/* All changes of the batch that became no letter. */
void table_counting_add(struct table_counting *counting, const struct batch *batch);

/* The lanes' numbers added up; any thread. */
uint64_t table_count_changes(const struct table_counts *counts, const struct table_count *count);
int64_t table_count_newest_us(const struct table_counts *counts, const struct table_count *count);
/* Rows that were applied of the snapshot that runs: the last came within two samples. 0: none
 * does. */
uint64_t table_count_reads(const struct table_counts *counts, const struct table_count *count);

/* One thread. The rates are from now on those of these seconds; `lag` are records that wait for
 * the table in so many partitions, -1: not known, or it is held. */
void table_count_sample(struct table_counts *counts, struct table_count *count, int64_t lag,
                        size_t partitions, double seconds);

#endif
