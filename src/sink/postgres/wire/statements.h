/* The statements that a lane's session keeps prepared: a bounded number, of which the least
 * recently used one makes room. Owned and entered by the writer thread.
 *
 * A table has one for each kind of change and set of columns, and the sets may be many: with 15
 * values in TOAST that an update carries or not, 2^15. What finds no room is sent without a name,
 * for the server to forget, and one that this batch has not used goes, to make room for the next
 * batch. Names are deallocated ahead of the next transaction, in its round trip: an error there (a
 * pooler knows them by others) ends nothing.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_NAME "ods_%llu" /* by its number */

/* One that is compiled: the first member of its owner's struct. */
struct prepared {
    struct prepared *next; /* of its table */
    void (*free)(struct prepared *prepared); /* out of its table's list, and out of its home */
    char name[32];
    uint64_t number;     /* in its name */
    unsigned generation; /* of the connection that knows it; 0: none */
    struct statements *home;
    struct prepared *newer, *older; /* there, by use */
    uint64_t used;                  /* the batch */
};

struct statements {
    struct prepared *newest, *oldest; /* all that are compiled, by their use */
    size_t count;
    size_t most;         /* that may be prepared */
    size_t known;        /* to the server, with those that are to be closed */
    unsigned generation; /* of the connection that knows them */
    uint64_t batch;      /* grows with each */
    uint64_t *closing;   /* numbers of names to deallocate */
    size_t closing_count, closing_capacity;
};

void statements_init(struct statements *statements, size_t most);
void statements_done(struct statements *statements); /* once all statements are freed */

/* A new batch, through this connection. Frees statements beyond the bound, none of which may be in
 * use. */
void statements_begin(struct statements *statements, unsigned generation);
/* The server knows none any more. */
void statements_lost(struct statements *statements, unsigned generation);

void statements_add(struct statements *statements, struct prepared *prepared);
void statements_use(struct prepared *prepared);
/* All of a table. */
void statements_free(struct prepared **list);
/* Before it is freed. */
void statements_remove(struct prepared *prepared);

/* May one more be prepared? If not, room is made for the next batch. */
bool statements_have_room(struct statements *statements);

#endif
