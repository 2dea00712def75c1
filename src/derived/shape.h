/* The DDL of derived tables, within the caller's transaction. */
#ifndef DERIVED_SHAPE_H
#define DERIVED_SHAPE_H

#include "derived/form.h"

/* Makes the table, or gives it its query's columns: new ones are added, others dropped, types
 * altered. One with another key is made anew. ODS_FATAL: there is a table that is not ours. */
enum ods_status shape_table(struct kept *kept, struct conn *conn, struct form_change *change,
                            struct error *error);
/* Triggers of the tables that it depends on: made where they are wanted, dropped where not. */
enum ods_status shape_triggers(struct kept *kept, struct conn *conn, struct error *error);

#endif
