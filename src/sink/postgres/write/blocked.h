/* Rows that a unique or foreign key refuses, and that may be right nevertheless.
 *
 * The row that holds the unique value, or the one that is referred to, may be changed by this batch
 * itself, by a later record or by another lane. So such a row is tried again behind the others of
 * its batch; rows that hold each other's values are taken out and put back together; and what is
 * still refused then waits for another transaction, as long as the batch has patience. What stands
 * before it in its partition is committed meanwhile: the source wrote its records in an order that
 * no key refused, so of all lanes the one with the oldest record always gets on.
 */
#ifndef BLOCKED_H
#define BLOCKED_H

#include "sink/postgres/write/steps.h"

struct pending {
    struct group *group; /* NULL: loose */
    uint32_t index;      /* of the row in its group */
    const struct loose *loose;
    uint32_t change; /* the last one of the row */
    bool again;      /* its turn may come later in the same transaction */
    struct error why;
};

enum ods_status blocked_add(struct attempt *attempt, struct group *group, uint32_t index,
                            const struct loose *loose, const struct error *why);

/* May this step's turn come after the steps behind it? */
bool blocked_can_wait(const struct step *step);

/* All steps are done: do what can be done for the pending rows. What is left is set aside, or held
 * back: then the answer is ODS_REJECT, and NEXT_HOLD, and the batch is to be folded again
 * without what batch_reaches() no longer. */
enum ods_status blocked_settle(struct attempt *attempt);

#endif
