/* One row is taken out of the lake: `erase`. */
#ifndef LAKE_ERASE_H
#define LAKE_ERASE_H

#include "sink/lake/lake.h"

/* As sink_ops.erase: a commit of the table, one of its history, and one of the pipeline's own
 * table, which keeps that it was done. */
enum ods_status lake_erase(struct lake_sink *lake, struct erasing *erasing, bool look,
                           struct error *error);

#endif
