/* Asking PostgreSQL what the texts of a batch mean that our own parsers can't read (readings.h). */
#ifndef ASK_H
#define ASK_H

#include "sink/postgres/tables/plan.h"
#include "sink/postgres/values/encode.h"

/* Notes every such text of the batch in encoder->readings, and asks for those without an answer.
 * `plans`: by change. Called outside of a transaction. ODS_RETRY: an outage; nothing is kept. */
enum ods_status ask_batch(struct conn *conn, struct encoder *encoder, const struct batch *batch,
                          const struct plan *const *plans, struct error *error);

#endif
