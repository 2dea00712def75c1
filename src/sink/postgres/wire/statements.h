/* The statements that a lane's session keeps prepared: a bounded number, from which the least
 * recently used one is dropped to make room. Owned and entered by the writer thread.
 *
 * A table has one statement for each kind of change and set of columns, and there may be many sets:
 * 2^15 when an update may carry or omit 15 values in TOAST. A statement for which there is no room
 * is sent without a name, so that the server forgets it; and one that this batch has not used is
 * dropped, so that the next batch finds room. Names are deallocated before the next transaction, in
 * its round trip. An error there changes nothing: a pooler may have given the statements other
 * names.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_NAME "ods_%llu" /* with its number */

/* A compiled statement: the first member of its owner's struct. */
struct prepared {
    struct prepared *next; /* of the same table */
    void (*free)(struct prepared *prepared); /* also takes it out of both lists */
    char name[32];
    uint64_t number;     /* in its name */
    unsigned generation; /* of the connection in which it is prepared; 0: none */
    struct statements *home;
    struct prepared *newer, *older; /* in home, by their last use */
    uint64_t used;                  /* the number of the batch that used it last */
};

struct statements {
    struct prepared *newest, *oldest; /* all compiled statements, by their last use */
    size_t count;
    size_t most;         /* how many may be prepared */
    size_t known;        /* how many the server has, with those that are to be closed */
    unsigned generation; /* of the connection in which they are prepared */
    uint64_t batch;      /* the number of the present batch */
    uint64_t *closing;   /* numbers of names to deallocate */
    size_t closing_count, closing_capacity;
};

void statements_init(struct statements *statements, size_t most);
void statements_done(struct statements *statements); /* once all statements are freed */

/* Called when a batch begins, with the connection that it uses. Frees the statements beyond the
 * bound; none of them may be in use. */
void statements_begin(struct statements *statements, unsigned generation);
/* Called when the server has none of them any more. */
void statements_lost(struct statements *statements, unsigned generation);

void statements_add(struct statements *statements, struct prepared *prepared);
void statements_use(struct prepared *prepared);
/* Frees all statements of a table. */
void statements_free(struct prepared **list);
/* Called before the statement is freed. */
void statements_remove(struct prepared *prepared);

/* May one more be prepared? If not, one is dropped for the next batch where possible. */
bool statements_have_room(struct statements *statements);

#endif
