/* Lua expressions and scripts, sandboxed: no files, no processes, no loading of code, a ceiling on
 * memory and one on instructions for each call. A lane has one state, in which everything is
 * compiled once.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <ods/transform.h>

#include "transform/condition.h"

struct transform_shared *script_shared_new(void);
void script_shared_free(struct transform_shared *shared); /* accepts NULL */

/* An expression, that of `what` in the configuration; *expression is its number, from 1 on. The
 * state is made with the first one. */
enum ods_status script_compile(const struct transform_config *config, const char *what,
                               const char *text, int *expression, struct error *error);

/* Is the expression true if `image` is the row after the change? UNKNOWN: it needs a column that
 * was not sent. */
enum ods_status script_judge(struct transform_shared *shared, int expression,
                             const struct batch *batch, const struct change *change,
                             const struct value *image, enum verdict *verdict,
                             struct error *error);

/* What the expression says, as a value of the column. ABSENT: it needs a column that was not sent.
 */
enum ods_status script_value(struct transform_shared *shared, int expression, struct batch *batch,
                             const struct change *change, const struct value *image,
                             const struct column *column, struct value *value,
                             struct error *error);

#endif
