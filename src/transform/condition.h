/* Conditions on the columns of a row, as `where: { region: [eu, us], total: { gt: 100 } }`. All of
 * them have to hold. A NULL equals nothing but null, and is neither below nor above anything. */
#ifndef CONDITION_H
#define CONDITION_H

#include <ods/buffer.h>
#include <ods/change.h>
#include <ods/shape.h>
#include <ods/setting.h>
#include <ods/status.h>

enum verdict {
    VERDICT_NO,
    VERDICT_YES,
    VERDICT_UNKNOWN, /* it depends on a column that was not sent */
};

struct condition;

extern const char *const condition_words[];

/* NULL with ODS_OK: there are no terms. ODS_FATAL: a pattern is not a regular expression. */
enum ods_status condition_open(struct condition **condition, const struct terms *terms,
                               struct error *error);
/* ODS_REJECT: the table has no such column. */
enum ods_status condition_judge(struct condition *condition, const struct shape *shape,
                                const struct value *image, enum verdict *verdict,
                                struct error *error);
void condition_close(struct condition *condition); /* accepts NULL */

#endif
