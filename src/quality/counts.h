/* What rules found of records on their way, in this process: of each rule and table. Entries are
 * made by lanes as they meet tables, never move, and live as long as the whole; their numbers are
 * plain atomics that only grow. A record that is read again, as after a rebalance, counts again. */
#ifndef QUALITY_COUNTS_H
#define QUALITY_COUNTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <ods/quality.h>

struct quality_count {
    struct quality_count *next;
    const struct quality_rule *rule;
    char *table; /* "schema.table" of the source, or "table" */
    atomic_uint_fast64_t looked_at, broken;
    atomic_uint_fast64_t timed, timed_ns; /* one change in 64: how long the rule took */
    uint64_t kept_looked_at, kept_broken; /* what of them is in the target; its keeper's alone */
};

struct quality_counts {
    pthread_mutex_t mutex; /* guards the list */
    struct quality_count *first;
};

void quality_counts_init(struct quality_counts *counts);
void quality_counts_done(struct quality_counts *counts);

/* The entry of a rule and a table, made if need be. NULL: out of memory. Any thread. */
struct quality_count *quality_count_of(struct quality_counts *counts,
                                       const struct quality_rule *rule, const char *table);
/* The first entry; the others follow by `next`. Any thread. */
struct quality_count *quality_counts_first(struct quality_counts *counts);

#endif
