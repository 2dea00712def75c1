/* Before a batch's transaction: the plan of each change, with tables and columns made or changed
 * where they have to be, and what can't be applied whatever its rows are. */
#ifndef PLANNING_H
#define PLANNING_H

#include "sink/postgres/write/attempt.h"

/* Plans for all changes, into postgres->change_plans; NULL for those that wait (part_waits). Making
 * a table or a column may replace what an earlier change's plan points to; then all of them are
 * asked for again, and found ready. */
enum ods_status planning_find(struct attempt *attempt);
/* Set aside changes of tables that can't hold them, and truncates that would take other rows. */
enum ods_status planning_refuse(struct attempt *attempt);

#endif
