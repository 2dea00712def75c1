/* Tables of a source, by name: those that may be a pipeline's. */
#ifndef CANDIDATES_H
#define CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>

struct candidate {
    char *schema, *name; /* in the source: MySQL's database is its schema */
    bool shared;         /* its table in the target has rows of other tables too */
    bool known;          /* the target has rows that came under this name */
    bool asked;          /* the user has named it */
};

struct candidates {
    struct candidate *items;
    size_t count;
};

/* The one of this name, which is added if it is new. NULL: out of memory. */
struct candidate *candidates_add(struct candidates *candidates, const char *schema,
                                 const char *name);
/* That of the topic "<prefix>.<schema>.<table>"; other topics have none. False: out of memory. */
bool candidates_add_topic(struct candidates *candidates, const char *topic);
void candidates_done(struct candidates *candidates); /* empty again */

#endif
