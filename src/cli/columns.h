/* A table on standard output. On a terminal it fits the width: first the gaps get narrower, then
 * the widest texts are cut (…), and where that is not enough each row becomes a block of lines.
 * Nothing is cut where standard output is not a terminal. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/terminal.h"

struct cell {
    char *text; /* visible: see terminal_visible() */
    size_t columns;
    enum paint paint;
    bool number; /* right-aligned */
};

struct columns {
    const struct terminal *terminal;
    struct cell *cells; /* row after row, the head first */
    size_t width, count, capacity;
    bool failed; /* memory ran out: nothing is printed */
};

/* `names`: the heads of the columns, `width` of them. */
void columns_init(struct columns *columns, const struct terminal *terminal,
                  const char *const *names, size_t width);
void columns_done(struct columns *columns);

/* A row ends after `width` cells. Texts are copied. */
void columns_add(struct columns *columns, const char *text);
void columns_number(struct columns *columns, int64_t number); /* below 0: "?" */
void columns_paint(struct columns *columns, enum paint paint); /* the last cell */

/* False when memory ran out while it was filled. */
bool columns_print(const struct columns *columns);

#endif
