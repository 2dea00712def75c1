/* What targets of rows do alike with their plans: one for each shape, by its number, and a reason
 * why the changes of a shape are refused for a while. */
#ifndef ROWS_PLANS_H
#define ROWS_PLANS_H

#include <stddef.h>

#include <ods/status.h>

#define ROWS_REFUSED_US INT64_C(5000000) /* until a table that was refused is looked at again */
#define ROWS_MISSING_US INT64_C(1000000) /* likewise one that is not there */

/* `items`: pointers, NULL where nothing was put, moved so that there is one for `id`; *count of
 * them. NULL: memory is out, and the items are as they were. */
void *rows_plans_room(void *items, size_t *count, size_t id);

/* Every change of the shape becomes a letter by this reason, which *kept gets, to be freed. `error`
 * is empty afterwards. */
enum ods_status rows_plans_refuse(struct error **kept, struct error *error);

#endif
