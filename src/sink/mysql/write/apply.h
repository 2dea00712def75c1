/* Writes a batch in one transaction. See apply.c. */
#ifndef MYSQL_APPLY_H
#define MYSQL_APPLY_H

#include "sink/mysql/write/attempt.h"

/* Connects if necessary, and sees to it that the table for the offsets exists. */
enum ods_status mysql_ready(struct mysql_sink *sink, struct error *error);

enum ods_status mysql_apply_batch(struct mysql_sink *sink, struct batch *batch,
                                  const struct apply_hooks *hooks, struct apply_result *result,
                                  struct error *error);

/* sink_ops.forget. */
enum ods_status mysql_forget_group(struct mysql_sink *sink, struct forgotten *tables, size_t count,
                                   bool look, int64_t *offsets, struct error *error);

#endif
