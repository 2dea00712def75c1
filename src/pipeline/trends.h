/* What each pipeline of this process did in the last hour: changes a second, latency and lag, every
 * ten seconds. A thread takes the samples from the lanes' counters, so that a page has a past to
 * show without a server of metrics. Memory is fixed: 8 KB a pipeline. */
#ifndef TRENDS_H
#define TRENDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <ods/status.h>

struct trends;
struct lane;

/* The lanes outlive it; those of a pipeline are next to each other. */
enum ods_status trends_start(struct trends **trends, struct lane *const *lanes, size_t count,
                             struct error *error);
void trends_stop(struct trends *trends);       /* NULL is fine */
/* How far a pipeline was behind. */
struct trend_lag {
    double records; /* in partitions that were not paused */
    size_t paused;  /* partitions */
    double seconds_ago;
};
/* As it was up to a minute ago. False: nobody knows. */
bool trends_lag_before(struct trends *trends, const char *pipeline, struct trend_lag *before);
json_t *trends_describe(struct trends *trends); /* any thread; NULL: an empty list */

#endif
