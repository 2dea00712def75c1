/* A source whose key is not that of its table in the target: it has changed, or was never the same.
 *
 * Rows can't be told apart by a key that nothing in the target holds, so the changes are set aside,
 * with the statements that give the table the new key; other tables go on. With evolve: full a
 * table that the sink made gets it by itself, where its rows allow. It never gets a key back that
 * it had before: records from before the change, which another partition or a dead letter brings
 * late, would undo it.
 */
#ifndef REKEY_H
#define REKEY_H

#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"
#include "sink/postgres/tables/plan.h"

/* ODS_REJECT, and what to do: the target knows the plan's rows by another key, or by none. `why`:
 * what kept the sink from changing it, or NULL. */
enum ods_status rekey_refuse(const struct plan *plan, const char *why, struct error *error);

/* The same for records that have no key any more, where the sink gave the table one. */
enum ods_status rekey_look(const struct plan *plan, struct conn *conn, struct error *error);

/* Is the sink to give the table the key of the plan's records? */
enum ods_status rekey_is_due(const struct plan *plan, struct conn *conn, bool *due,
                             struct error *error);

/* "drop constraint …, add primary key (…)" */
void rekey_put(struct buffer *sql, const struct plan *plan);

/* Why it could not: for what the DDL was refused, and some of the rows that have one key. Heap;
 * NULL when memory is out. */
char *rekey_why_not(const struct plan *plan, struct conn *conn, const struct error *refused);

#endif
