/* Were changes set aside by a table that is another one by now? The catalog is read once, and
 * somebody may have altered a column since: what the encoder refuses by the old type, the new one
 * may take. */
#ifndef JUDGED_H
#define JUDGED_H

#include "sink/postgres/write/attempt.h"

/* Before letters are delivered. ODS_REJECT: a table of theirs was altered; the changes that were
 * set aside are so no more, and the catalog is to be read again (NEXT_REREAD). Within the
 * transaction if one is open. Once in a batch that is enough: afterwards the catalog is as new as
 * the batch. */
enum ods_status judged_look(struct attempt *attempt);

#endif
