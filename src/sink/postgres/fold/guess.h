/* What a change says about the row that it meets: an update's is there, a create's is not.
 *
 * Statements that may rely on it cost PostgreSQL less than "insert … on conflict", which looks a
 * new row up twice and locks an old one before it changes it. A guess that fails costs time and
 * nothing else: PostgreSQL refuses an insert whose key is there, and the row is upserted; an
 * update tells how many rows it found, and what it did not find is upserted before the commit.
 * A table whose changes were wrong is not guessed about for a while, longer each time, since a
 * topic that is read again, or a soft delete, makes its creates meet rows for as long as it lasts.
 */
#ifndef GUESS_H
#define GUESS_H

#include <ods/change.h>
#include "sink/postgres/tables/catalog.h"

/* In fewer rows of one table than this there is nothing to gain: the answer to an update has to be
 * waited for before the commit is sent. */
#define GUESS_MIN_ROWS 64

/* The guess for a row whose oldest change in the batch is of this kind. */
enum guess guess_for(enum change_op oldest);

/* To be asked once a batch of a table that is large enough. */
bool guess_is_on(struct pg_table *table, enum guess guess);

void guess_failed(struct pg_table *table, enum guess guess);

#endif
