/* Rows that are refused for a unique or foreign key, and may be right nevertheless.
 *
 * The row that has the unique value now, or the row that is referred to, may be changed by this
 * batch, by a later record or by another lane. So a refused row is tried again after the others of
 * its batch; rows that have each other's values are taken out and put back together; and what is
 * still refused then waits for another transaction, until the batch's patience is used up. Records
 * before it in its partition are committed meanwhile. In the source's order no key refused a
 * record, so the lane with the oldest record can always go on.
 */
#ifndef BLOCKED_H
#define BLOCKED_H

#include "sink/postgres/write/steps.h"

struct pending {
    struct group *group; /* NULL: the change is `loose` */
    uint32_t index;      /* of the row in its group */
    const struct loose *loose;
    uint32_t change; /* the last one of the row */
    bool again;      /* it may be tried again in the same transaction */
    struct error why;
};

enum ods_status blocked_add(struct attempt *attempt, struct group *group, uint32_t index,
                            const struct loose *loose, const struct error *why);

/* May this step be done after the steps that follow it? */
bool blocked_can_wait(const struct step *step);

/* Called when all steps are done: does what can be done for the pending rows. The others are set
 * aside, or held back. In the latter case the answer is ODS_REJECT with NEXT_HOLD, and the batch is
 * folded again without the records that batch_reaches() excludes. */
enum ods_status blocked_settle(struct attempt *attempt);

#endif
