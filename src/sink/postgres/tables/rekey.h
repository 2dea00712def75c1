/* For sources whose key is not the key of their table in the target: it has changed, or was never
 * the same.
 *
 * Rows can't be told apart by a key for which the target has no unique index. So the changes are
 * set aside, and the reason has the statements that give the table the new key; other tables go on.
 * With evolve: full the sink gives a table that it made the new key by itself, where the rows
 * allow it. It never gives back a key that the table had before: older records, which another
 * partition or a dead letter brings late, would undo the change.
 */
#ifndef REKEY_H
#define REKEY_H

#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"
#include "sink/postgres/tables/plan.h"

/* Returns ODS_REJECT with what to do: the target's key is another one than the plan's, or there is
 * none. `why`: why the sink could not change it, or NULL. */
enum ods_status rekey_refuse(const struct plan *plan, const char *why, struct error *error);

/* The same for records that have no key any more, where the sink gave the table its key. */
enum ods_status rekey_look(const struct plan *plan, struct conn *conn, struct error *error);

/* Is the sink to give the table the key of the plan's records? */
enum ods_status rekey_is_due(const struct plan *plan, struct conn *conn, bool *due,
                             struct error *error);

/* "drop constraint …, add primary key (…)" */
void rekey_put(struct buffer *sql, const struct plan *plan);

/* Why it could not: the reason of the DDL's refusal, and some of the rows that share a key. Heap;
 * NULL when memory is out. */
char *rekey_why_not(const struct plan *plan, struct conn *conn, const struct error *refused);

#endif
