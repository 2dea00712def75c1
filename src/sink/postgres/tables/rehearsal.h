/* Changes of tables that are tried on stand-ins, so that a command can say what they would be.
 *
 * A connection with a rehearsal runs what evolve.c decides on empty copies of the tables, temporary
 * tables of the session that have the same columns, constraints and indexes. PostgreSQL itself says
 * there whether it takes a statement, which lock that holds and whether the table is rewritten. The
 * tables themselves are only read, under no lock that anybody waits for; what a copy does not have
 * (rights, views that use a column, foreign keys, rows) is asked of the catalog. Nothing outlives
 * the session. One thread.
 */
#ifndef REHEARSAL_H
#define REHEARSAL_H

#include "sink/postgres/tables/ddl.h"
#include "sink/postgres/tables/rehearsed.h"

struct rehearsal;

/* `take` gets the statements of a change once all of them have gone well. NULL: out of memory. */
struct rehearsal *rehearsal_new(void (*take)(void *context, const struct rehearsed *statement),
                                void *context);
void rehearsal_free(struct rehearsal *rehearsal); /* accepts NULL */

/* Looks whether the sink's own schema is there: without it nothing has been claimed yet. */
enum ods_status rehearsal_begin(struct rehearsal *rehearsal, struct conn *conn,
                                struct error *error);
bool rehearsal_has_own_schema(const struct rehearsal *rehearsal);

/* Puts the names of the table's stand-in, if it has one, in place of its own. */
void rehearsal_names(const struct rehearsal *rehearsal, const char *names[2]);
/* Has a statement of the rehearsal made this schema? */
bool rehearsal_made_schema(const struct rehearsal *rehearsal, const char *schema);
/* Does a statement of the rehearsal about this table contain the text? */
bool rehearsal_said(const struct rehearsal *rehearsal, const char *schema, const char *table,
                    const char *text);

/* Has a statement of the rehearsal made this table? */
bool rehearsal_made_table(const struct rehearsal *rehearsal, const char *schema, const char *table);
/* The claims of tables that the rehearsal has made and taken back: the parameters of each, of which
 * the first two are schema and table. NULL: there is no further one. False: out of memory. */
bool rehearsal_keep_claim(struct rehearsal *rehearsal, const char *const *values, size_t count);
const char *const *rehearsal_claim(const struct rehearsal *rehearsal, size_t number);

/* `take` hears of columns that stay as they are though the source's type is wider, since `evolve`
 * does not widen them; possibly several times of one. */
void rehearsal_hear_narrow(struct rehearsal *rehearsal,
                           void (*take)(void *context, const char *text));
void rehearsal_tell_narrow(const struct rehearsal *rehearsal, const char *schema, const char *table,
                           const struct pg_column *column, const char *wider);

/* Makes the table's stand-in, outside of a transaction. A table that is not there needs none. */
enum ods_status rehearsal_stand_in(struct rehearsal *rehearsal, struct conn *conn,
                                   const struct ddl_table *table, struct error *error);
/* Could a stand-in not be made? Then nothing is known of its table. */
bool rehearsal_failed(const struct rehearsal *rehearsal);
/* Runs the change and commits it, in place of ddl->script. */
enum ods_status rehearsal_run(struct rehearsal *rehearsal, struct ddl *ddl, struct error *error);

#endif
