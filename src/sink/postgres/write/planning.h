/* What is done before a batch's transaction: finds the plan of each change, makes and changes
 * tables and columns where necessary, and refuses changes that can't be applied whatever their
 * values. */
#ifndef PLANNING_H
#define PLANNING_H

#include "sink/postgres/write/attempt.h"

/* Puts the plans of all changes into postgres->change_plans; NULL for those that wait (part_waits).
 * Making a table or a column may free what the plan of an earlier change points to; then all plans
 * are asked for again, and nothing more has to be made. */
enum ods_status planning_find(struct attempt *attempt);
/* Sets aside changes of tables that can't hold them, and truncates that would remove other rows. */
enum ods_status planning_refuse(struct attempt *attempt);

#endif
