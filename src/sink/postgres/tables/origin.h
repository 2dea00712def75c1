/* Which table of a source may write into a table of the target.
 *
 * A table of the source goes into the table of the target that has its name. A table of the same
 * name in another schema or database would go there too, and their rows would overwrite each other.
 * So the target stores which sources each of its tables has (ods_sink.table_sources), and accepts a
 * second one only where the configuration names the table for it (target:). Topic and prefix of the
 * connector are not compared, as they may change.
 */
#ifndef ORIGIN_H
#define ORIGIN_H

#include <ods/buffer.h>
#include "sink/postgres/tables/plan.h"

/* Stores the plan's source for its table, which exists, and the topic that brings it to the group.
 * ODS_REJECT: the table belongs to another source. */
enum ods_status origin_claim(struct plan *plan, const char *group, const char *topic,
                             struct conn *conn, struct error *error);

/* The same as SQL, for the transaction that makes the table. Sources of an earlier table of that
 * name are removed. */
void origin_put_first(struct buffer *sql, const struct plan *plan, struct conn *conn);

/* *shared: the plan's table has rows of several sources, or may get them. */
enum ods_status origin_is_shared(const struct plan *plan, struct conn *conn, bool *shared,
                                 struct error *error);

#endif
