/* The tables of pipelines as `/status` shows them: what was applied, what waits, how fresh. */
#ifndef TABLES_SHOW_H
#define TABLES_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#define TABLES_SHOWN_MAX 1000

struct buffer;
struct lane;
struct lanes_shown;

/* A list, those that are furthest behind first, TABLES_SHOWN_MAX at most; *total: how many there
 * are. The lag is of the lanes as they are shown beside it, so no lane is asked. False: memory is
 * out. */
bool tables_write(const struct lanes_shown *shown, struct buffer *out, size_t *total);

/* The lanes of a pipeline, every few seconds: the rates of its tables, and how fast what waits for
 * them becomes less, are those of these seconds. One thread. */
void tables_sample(struct lane *const *lanes, size_t count, double seconds);

#endif
