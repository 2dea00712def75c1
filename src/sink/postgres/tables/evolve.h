/* Makes and changes a table of the target as a shape's rows need it and the settings allow. */
#ifndef EVOLVE_H
#define EVOLVE_H

#include "sink/postgres/tables/plan.h"

/* Makes the table, or the changes to it, that plan->shape needs, with `change` as an example of its
 * rows; then sets plan->names and plan->refusals for the table as it is. Without `change` nothing
 * is made. ODS_REJECT: PostgreSQL can't have such a table. *changed as for plan_find(). */
enum ods_status evolve_table(struct plans *plans, struct plan *plan, const struct change *change,
                             struct plan_listener *listener, bool *changed, struct error *error);

/* Reads plan->table again. Other plans that point to it are freed. */
enum ods_status plan_reload(struct plans *plans, struct plan *plan, bool *changed,
                            struct error *error); /* plan.c */

#endif
