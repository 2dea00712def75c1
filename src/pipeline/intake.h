/* The one way by which a record gets into a batch, whether it comes from Kafka or from a file. */
#ifndef INTAKE_H
#define INTAKE_H

#include "pipeline/worker.h"

/* Append the record, decode and transform it, set it aside when it can't be, and cover its offset. `from` is what
 * the target holds when every batch before this one is in; it counts where this is the partition's
 * first record of the batch.
 * ODS_OK: the batch owns the record now (also when it was set aside).
 * ODS_RETRY, ODS_FATAL: the batch is as before, the caller still owns the record. */
enum ods_status intake_add(struct batch *batch, struct worker *worker,
                           const struct record *record, int64_t from, struct error *error);

#endif
