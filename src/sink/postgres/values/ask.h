/* Asking PostgreSQL what the texts of a batch mean that our own parsers can't read (readings.h). */
#ifndef ASK_H
#define ASK_H

#include "sink/postgres/write/apply.h"

/* Note every such text of the batch, whose plans are found, and ask for those that wait. Outside of
 * a transaction. ODS_RETRY: an outage, and nothing is kept. */
enum ods_status ask_batch(struct postgres *postgres, struct batch *batch, struct error *error);

#endif
