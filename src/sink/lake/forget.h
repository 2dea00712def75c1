/* A pipeline's offsets and rows are taken out of the lake: `reset --all`. */
#ifndef LAKE_FORGET_H
#define LAKE_FORGET_H

#include "sink/lake/lake.h"

/* As sink_ops.forget: one commit a table. */
enum ods_status lake_forget(struct lake_sink *lake, struct forgotten *tables, size_t count,
                            bool look, int64_t *offsets, struct error *error);

#endif
