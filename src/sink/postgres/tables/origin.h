/* Which table of a source may write into a table of the target.
 *
 * A table of the source goes by its name into one of the target, and another of that name, of
 * another schema or database, would meet it there: their rows would overwrite each other. So the
 * target keeps which sources its tables have (ods_sink.table_sources), and takes a second one only
 * where the configuration names the table for it (target:). The topic and the connector's prefix
 * say nothing here, as they may change.
 */
#ifndef ORIGIN_H
#define ORIGIN_H

#include <ods/buffer.h>
#include "sink/postgres/tables/plan.h"

/* Enter the plan's source for its table, which is there, and the topic that brings it to the group.
 * ODS_REJECT: the table is another's. */
enum ods_status origin_claim(struct plan *plan, const char *group, const char *topic,
                             struct conn *conn, struct error *error);

/* The same as SQL, for the transaction that makes the table; who had one of that name before is
 * forgotten. */
void origin_put_first(struct buffer *sql, const struct plan *plan, struct conn *conn);

/* *shared: rows of several sources are in the plan's table, or may be. */
enum ods_status origin_is_shared(const struct plan *plan, struct conn *conn, bool *shared,
                                 struct error *error);

#endif
