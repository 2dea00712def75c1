/* The tables of pipelines as `/status` shows them: what was applied, what waits, how fresh. */
#ifndef TABLES_SHOW_H
#define TABLES_SHOW_H

#include <jansson.h>
#include <stddef.h>

#define TABLES_SHOWN_MAX 1000

struct lane;

/* Those that are furthest behind first, TABLES_SHOWN_MAX at most; *total: how many there are.
 * `described` are the lanes as they are shown beside it, from which the lag is; so no lane is
 * asked. NULL when memory is out. */
json_t *tables_describe(struct lane *const *lanes, size_t count, const json_t *described,
                        size_t *total);

#endif
