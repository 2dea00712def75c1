/* Keys that the target calls equal although their bytes differ.
 *
 * The fold takes keys with equal bytes for one row. That holds for most types; numeric, float and
 * char(n) are made to hold here. Of citext, a collation that does not tell case or accents apart,
 * inet and the like only the target knows: it is asked which keys of the batch are equal, in one
 * query a table, and only for tables that have such keys.
 */
#ifndef SPELLING_H
#define SPELLING_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"
#include "sink/postgres/values/encode.h"
#include "sink/postgres/tables/plan.h"

/* Writes the key without the differences that its types ignore. It serves to compare keys, and is
 * never sent. */
void spelling_reduce(const struct plan *plan, const struct buffer *key, struct buffer *reduced);

/* *first: by change, the first of the batch whose key is the same; only of changes whose plan asks.
 * NULL when there is none. Memory comes from `arena`. */
enum ods_status spelling_ask(struct arena *arena, const struct batch *batch,
                             const struct plan *const *plans, struct conn *conn,
                             struct encoder *encoder, const uint32_t **first, struct error *error);

#endif
