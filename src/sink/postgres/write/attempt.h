/* One attempt at a batch, and what it puts into the connection's pipeline.
 *
 * apply.c says in which order; attempt.c encodes, sends, and matches results with what was sent.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "sink/postgres/write/apply.h"

/* Where the server's transaction stands, once the pipeline is read. */
enum transaction {
    TRANSACTION_NONE,
    TRANSACTION_OPEN,
    TRANSACTION_BROKEN, /* good again after "rollback to" the savepoint */
};

#define NO_STEP UINT32_MAX

/* One attempt at a batch. */
struct attempt {
    struct postgres *postgres;
    struct batch *batch;
    const struct apply_hooks *hooks;
    struct apply_result *result;
    struct fold fold;
    struct error *error;
    bool validate;    /* try to encode each change by itself while folding */
    bool careful;     /* nothing is guessed about the rows that are there, nothing copied */
    bool divided;     /* a savepoint before each run of steps: a step was refused */
    bool immediate;   /* deferred constraints are checked with each statement */
    bool ask;         /* texts of the batch are for PostgreSQL to read */
    bool refreshed;   /* the catalog was read again once */
    bool stale;       /* PostgreSQL says a table is not what we think */
    bool unencodable; /* a row can't be encoded: fold again, and look at each change */
    bool refold;      /* a row that stood for several changes was refused: fold without it */
    bool awaited;     /* rows were sent whose answer decides what else must be */
    bool key_changes; /* a part of the batch waits until what stands before it is applied */
    bool goes_on;     /* and now it is */
    bool held;        /* a part of the batch is to wait for another transaction */
    bool doubted;     /* an outage came so often that a row may be at fault: see apply.c */
    bool blamed;      /* and one was */
    bool commit_sent;
    enum transaction transaction;
    bool marked;                        /* the transaction has a savepoint */
    bool mark_sent;                     /* or will have, once the pipeline is read */
    uint32_t mark;                      /* the first step behind it */
    struct apply_result begun, at_mark; /* what the result was there */
    uint32_t step;                      /* that is being sent, or NO_STEP */
    uint32_t refused;                   /* the step whose statement was, or NO_STEP */
    uint32_t suspect;                   /* the row of its group that COPY names, or NO_STEP */
    struct error why;                   /* for what */
    struct pending *pending; /* rows that a unique or foreign key refuses; see blocked.h */
    uint32_t pending_count, pending_capacity;
    uint64_t kept; /* changes that the guard kept out since this was last set to 0 */
    struct sent *sent, **sent_tail;
};

/* A command in the pipeline, to be matched with its result. */
struct sent {
    struct sent *next;
    unsigned commands; /* 2: prepare and execute */
    struct statement *statement;
    const struct group *group; /* of rows */
    uint32_t first, last;      /* of its rows */
    enum group_kind kind;
    uint32_t step;
    uint32_t rows;
    const struct pg_table *table; /* that the rows go into; NULL: none do */
    bool ours;                    /* of the sink's own tables: no function of the target's */
    bool loose;                   /* an update or a delete of a row without a key */
    bool missed;                  /* rows that should be there are not */
    struct losses losses;
    bool counts; /* its row count goes into the result */
    bool marks;  /* the savepoint before its step */
    bool truncates;
    bool closes; /* a name that the server is to forget */
};

static inline void attempt_count_losses(struct attempt *attempt, const struct losses *losses)
{
    attempt->result->nul_stripped += losses->stripped;
    attempt->result->values_rounded += losses->rounded;
    attempt->result->zero_dates += losses->zeroed;
}

/* Where the batch has several changes of a key, one that can't be encoded has to go before another
 * inherits from it: the next fold looks at each by itself. */
static inline bool attempt_folds_again(const struct attempt *attempt)
{
    return attempt->fold.folded && !attempt->validate;
}

enum ods_status attempt_begin(struct attempt *attempt);
enum ods_status attempt_send(struct attempt *attempt, const char *sql);
/* Whatever the transaction needs before the next statement: begin and the move of the offsets, or
 * back to the savepoint. */
enum ods_status attempt_resume(struct attempt *attempt);
/* The savepoint moves to where the pipeline stands, before a step. */
enum ods_status attempt_mark(struct attempt *attempt, uint32_t step);
/* A pipeline that begins at a savepoint. */
enum ods_status attempt_begin_marked(struct attempt *attempt);
/* Outside a pipeline: make a broken transaction good. */
enum ods_status attempt_mend(struct attempt *attempt);
/* Encode and send rows [first, last) of a group. A row that can't be encoded is set aside, or,
 * where other changes may have inherited from it, the answer is ODS_REJECT, with `unencodable` set.
 */
enum ods_status attempt_rows(struct attempt *attempt, struct group *group, uint32_t first,
                             uint32_t last);
/* Close the pipeline and read it, and write after all what updates did not find. */
enum ods_status attempt_settle(struct attempt *attempt);
enum ods_status attempt_truncate(struct attempt *attempt, const struct table_work *work);
/* A change of a table without key that is no plain insert. */
enum ods_status attempt_loose(struct attempt *attempt, const struct loose *loose);
/* Mark a change as refused for this reason; ODS_FATAL where the table is to stop for it. */
enum ods_status attempt_refuse(struct attempt *attempt, uint32_t change, const struct error *why);
/* Set a change aside for this reason. `refold` is set where others have to be looked at again: of
 * its record, or of a key that is kept. */
enum ods_status attempt_reject(struct attempt *attempt, uint32_t change, const struct error *why);
/* The row's last change. */
enum ods_status attempt_set_aside(struct attempt *attempt, struct row *row,
                                  const struct error *why);
/* Close the pipeline and read it, whatever happened while filling it: `sending` is how that ended.
 */
enum ods_status attempt_end(struct attempt *attempt, enum ods_status sending);
void attempt_roll_back(struct attempt *attempt);

#endif
