/* A batch's rows as steps of one transaction, and what a refused step costs. */
#ifndef STEPS_H
#define STEPS_H

#include "sink/postgres/write/attempt.h"

/* What is undone and done again together: a truncate, some rows of a group, or one change of a
 * table without key. */
struct step {
    const struct table_work *truncate;
    struct group *group;
    uint32_t first, last; /* rows of the group */
    const struct loose *loose;
    bool postponed; /* refused once for the lack of a partner: tried again behind the others */
};

struct steps {
    struct step *items;
    uint32_t count, capacity;
};

/* Send what the fold amounts to, in one transaction, and commit it unless something was set aside
 * or is pending: attempt->transaction says. Changes that PostgreSQL refuses are set aside, or
 * pending where a partner may be missing. ODS_REJECT: no step is at fault by itself, or the batch
 * is to be folded again. */
enum ods_status steps_run(struct attempt *attempt);

/* Rows [first, last) behind a savepoint of their own, in a round trip. */
enum ods_status steps_try(struct attempt *attempt, struct group *group, uint32_t first,
                          uint32_t last);

#endif
