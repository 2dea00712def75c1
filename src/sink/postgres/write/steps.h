/* A batch's rows as steps of one transaction, and the search for the rows of a refused step. */
#ifndef STEPS_H
#define STEPS_H

#include "sink/postgres/write/attempt.h"

/* A unit that is undone and repeated as a whole: a truncate, some rows of a group, or one change of
 * a table without key. */
struct step {
    const struct table_work *truncate;
    struct group *group;
    uint32_t first, last; /* rows of the group */
    const struct loose *loose;
    bool postponed; /* refused once for lack of another row: tried again after the other steps */
};

struct steps {
    struct step *items;
    uint32_t count, capacity;
};

/* Sends the result of the fold in one transaction, and commits it unless something was set aside or
 * is pending; attempt->transaction says which. Changes that PostgreSQL refuses are set aside, or
 * pending where another row may be missing. ODS_REJECT: no single step is at fault, or the batch is
 * to be folded again. */
enum ods_status steps_run(struct attempt *attempt);

/* Tries rows [first, last) after a savepoint of their own, in one round trip. */
enum ods_status steps_try(struct attempt *attempt, struct group *group, uint32_t first,
                          uint32_t last);

#endif
