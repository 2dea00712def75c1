/* Tables whose changes go into the outbox: a trigger of their own does it, in the transaction that
 * makes them. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "sink/postgres/tables/plan.h"

/* Sees to it that the plan's table has the trigger if its settings say so, and else has not. A
 * transaction of its own. ODS_FATAL: it can't have one, or the right is missing. */
enum ods_status follow_table(const struct plan *plan, struct conn *conn, struct error *error);

#endif
