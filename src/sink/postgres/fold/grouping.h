/* From the changes of each key to the row that is written, and to the group of rows whose statement
 * writes it. */
#ifndef GROUPING_H
#define GROUPING_H

#include "sink/postgres/fold/folding.h"

/* Fills the groups of a table once all changes of the batch are in their chains. */
enum ods_status grouping_of(struct folding *folding, struct table_work *work);

#endif
