/* Bringing a table of the target to what a shape's rows need, as far as the settings let it. */
#ifndef EVOLVE_H
#define EVOLVE_H

#include "sink/postgres/tables/plan.h"

/* Make the table, or the changes to it, that plan->shape needs, with `change` as its example, and
 * settle plan->names and refusals for the table as it is then. Without `change` nothing is made.
 * ODS_REJECT: PostgreSQL can't have the table so.
 * *changed as for plan_find(). */
enum ods_status evolve_table(struct plans *plans, struct plan *plan, const struct change *change,
                             struct plan_listener *listener, bool *changed, struct error *error);

/* Read plan->table again. Other plans that point to it are forgotten. */
enum ods_status plan_reload(struct plans *plans, struct plan *plan, bool *changed,
                            struct error *error); /* plan.c */

#endif
