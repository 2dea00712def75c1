/* The columns of a table: made, added and widened as the shapes of its rows want them. */
#ifndef LAKE_COLUMNS_H
#define LAKE_COLUMNS_H

#include "sink/lake/plan.h"

/* Opens the table, which is made where it is missing and the change has a row, and makes it have
 * the columns that the settings allow (`evolve`). Fills plan->source_of and in_key's memory. The
 * table is not open afterwards where there is none. */
enum ods_status lake_columns_follow(struct lake_plan *plan, struct lake_table *table,
                                    const struct change *change, const struct apply_hooks *hooks,
                                    struct apply_result *result, struct error *error);

/* The column into which values of this name go: the newest of <name>, <name>__v2 … -1: none. */
int lake_column_newest(const struct lake_columns *columns, const char *name, unsigned *version);

#endif
