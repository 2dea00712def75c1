/* Names in SQL for elements and attributes. */
#ifndef XML_NAMES_H
#define XML_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Names that are taken; they are on the heap. */
struct name_set {
    char **items;
    size_t count, room;
};

void name_set_done(struct name_set *set);
/* Adds a name as it is. NULL: memory is out. */
const char *name_set_put(struct name_set *set, const char *name);
/* Adds a name that nobody has: "orderLine" is order_line; where that is taken, with `parent` before
 * it, or a number behind it. NULL: memory is out. */
const char *name_set_add(struct name_set *set, const char *parent, const char *name);

/* Is it a word of SQL that a column can't have as its name? */
bool name_is_reserved(const char *name);

#endif
