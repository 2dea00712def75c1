/* Removes what a consumer group has written: its offsets and its tables. */
#ifndef FORGET_H
#define FORGET_H

#include "sink/postgres/write/apply.h"

/* As sink_ops.forget. */
enum ods_status forget_group(struct postgres *postgres, struct forgotten *tables, size_t count,
                             bool look, int64_t *offsets, struct error *error);

#endif
