/* A table on standard output whose columns are as wide as their widest cell. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct columns {
    char **cells; /* row after row */
    size_t width, count, capacity;
    bool failed; /* memory ran out: nothing is printed */
};

void columns_init(struct columns *columns, size_t width);
void columns_done(struct columns *columns);
/* Cells are copied, control characters become spaces. A row ends after `width` cells. */
void columns_add(struct columns *columns, const char *text);
void columns_number(struct columns *columns, int64_t number); /* below 0: "?" */
void columns_head(struct columns *columns, const char *const *names);
/* False when memory ran out while it was filled. */
bool columns_print(const struct columns *columns);

#endif
