/* One pass over a derived table: what was marked is computed anew, in one transaction. */
#ifndef PASS_H
#define PASS_H

#include "derived/kept.h"

struct pass_result {
    int64_t keys;                   /* that were computed */
    int64_t made, changed, removed; /* rows of the table */
    int64_t failed;                 /* keys that were set aside */
    int64_t todo, errors;           /* what waits and what is set aside, as the pass found it */
    bool reshaped;                  /* a table was altered: form() is due, nothing was done */
    struct error first;             /* why the first of those that failed did */
};

/* Called by who has the lock of the table. ODS_RETRY: an outage. ODS_FATAL: the query, or a table
 * that it reads, is not as it was: nothing was done. ODS_REJECT: a value that was marked can't be
 * read, or is none that `keys` can take: nothing was done. */
enum ods_status pass(struct kept *kept, struct conn *conn, struct pass_result *result,
                     struct error *error);

/* Begins a transaction in whose snapshot the tables are as their columns say: an ALTER that
 * rewrites one waits for its end. `reads`: it writes nothing. */
enum ods_status pass_begin(const struct kept *kept, struct conn *conn, bool reads,
                           struct error *error);

#endif
