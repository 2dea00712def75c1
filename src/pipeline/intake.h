/* The one way by which a record gets into a batch, whether it comes from Kafka or from a file. */
#ifndef INTAKE_H
#define INTAKE_H

#include "pipeline/worker.h"

/* Append the record, decode and transform it (or reject it if that fails), and extend the claim to
 * its offset. `from` is the target's offset once every earlier batch is applied; it is used for the
 * partition's first record in the batch. ODS_OK: the batch owns the record now (also when it was
 * set aside). ODS_RETRY, ODS_FATAL: the batch is as before, the caller still owns the record. */
enum ods_status intake_add(struct batch *batch, struct worker *worker,
                           const struct record *record, int64_t from, struct error *error);

#endif
