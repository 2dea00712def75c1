/* What the files that write /metrics share: metrics_show.c (what a lane counts), metrics_many.c
 * (tables, partitions, topics, and what sources and targets tell of themselves). Nobody else
 * includes it. */
#ifndef METRICS_ROOM_H
#define METRICS_ROOM_H

#include "pipeline/lane.h"
#include "pipeline/metrics.h"

/* What is being written. */
struct page {
    struct buffer *out;
    enum exposition form;
    struct lane *const *lanes;
    size_t count;
    const struct lane_status *statuses;
    struct buffer *labels; /* of each lane: pipeline="…",lane="…" */
};

/* metrics_show.c */
void metrics_put_number(struct buffer *out, int64_t value);
/* The beginning of a sample of a lane, up to its value. */
void metrics_begin(const struct page *page, size_t lane, const char *name, const char *labels);

/* metrics_many.c */
void metrics_write_tables(const struct page *page);
void metrics_write_own(const struct page *page);
void metrics_write_partitions(const struct page *page);
void metrics_write_orders(const struct page *page);

#endif
