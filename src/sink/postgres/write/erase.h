/* A row, erased from the target and from what the sink keeps beside it: sink_ops.erase. */
#ifndef ERASE_H
#define ERASE_H

#include "sink/postgres/write/apply.h"

enum ods_status erase_row(struct postgres *postgres, struct erasing *erasing, bool look,
                          struct error *error);

#endif
