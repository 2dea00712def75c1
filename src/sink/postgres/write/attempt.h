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

/* What is to be done next with the batch. While an attempt runs its functions raise it, the more
 * urgent one winning (attempt_demand()); when it is over apply.c decides. */
enum next {
    NEXT_COMMIT,   /* nothing speaks against it so far */
    NEXT_FOLD,     /* fold again, without what was set aside: other changes stood on it */
    NEXT_HOLD,     /* go as far as the rows that wait for another transaction */
    NEXT_VALIDATE, /* fold again, and look at each change by itself: one can't be encoded */
    NEXT_REREAD,   /* read the catalog again: PostgreSQL says that a table is not what we think */
    /* Known only when it is over. */
    NEXT_ASK,      /* PostgreSQL is to read texts of the batch */
    NEXT_DISTRUST, /* the next step of enum caution */
    NEXT_GO_ON,    /* a part is committed, and the rest waited for that alone */
    NEXT_ANSWER,   /* nothing: the caller gets the status */
};

/* How a batch is tried, from the fastest on. Each includes those before it. */
enum caution {
    CAUTION_NONE,
    CAUTION_CAREFUL,   /* nothing is guessed about the rows that are there, nothing copied, and a
                          savepoint stands before each run of steps */
    CAUTION_IMMEDIATE, /* deferred constraints are checked with each statement */
    CAUTION_DOUBTFUL,  /* an outage came so often that a row may be at fault: see apply.c */
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
    enum next next;
    enum caution caution;
    /* What the batch has shown to be needed, in each attempt from then on. */
    bool validates; /* each change is tried to be encoded by itself while folding */
    bool asks;      /* texts of the batch are for PostgreSQL to read */
    unsigned overtaken; /* how often another writer has applied a record of it meanwhile */
    bool reread;    /* the catalog was read again, which is done once */
    /* What has come of it. */
    bool part_waits; /* for what stands before it to be applied: a row's key is another one there */
    bool blamed;     /* a row is at fault for what looked like an outage */
    /* Of the transaction. */
    bool divided; /* a savepoint before each run of steps: a step was refused */
    bool awaited; /* rows were sent whose answer decides what else must be */
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

static inline void attempt_demand(struct attempt *attempt, enum next next)
{
    if (attempt->next < next)
        attempt->next = next;
}

/* It is over, whatever its other rows would come to. */
static inline bool attempt_is_void(const struct attempt *attempt)
{
    return attempt->next >= NEXT_VALIDATE;
}

/* A table may not be what we think, by this answer of PostgreSQL's. */
static inline void attempt_look_stale(struct attempt *attempt, const struct error *why)
{
    if (!attempt->reread && sqlstate_is_stale_catalog(why->code))
        attempt_demand(attempt, NEXT_REREAD);
}

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
    return attempt->fold.folded && !attempt->validates;
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
 * where other changes may have inherited from it, the answer is ODS_REJECT, and NEXT_VALIDATE. */
enum ods_status attempt_rows(struct attempt *attempt, struct group *group, uint32_t first,
                             uint32_t last);
/* Close the pipeline and read it, and write after all what updates did not find. */
enum ods_status attempt_settle(struct attempt *attempt);
enum ods_status attempt_truncate(struct attempt *attempt, const struct table_work *work);
/* A change of a table without key that is no plain insert. */
enum ods_status attempt_loose(struct attempt *attempt, const struct loose *loose);
/* Mark a change as refused for this reason; ODS_FATAL where the table is to stop for it. */
enum ods_status attempt_refuse(struct attempt *attempt, uint32_t change, const struct error *why);
/* Set a change aside for this reason. NEXT_FOLD where others have to be looked at again: of its
 * record, or of a key that is kept. */
enum ods_status attempt_reject(struct attempt *attempt, uint32_t change, const struct error *why);
/* The row's last change. */
enum ods_status attempt_set_aside(struct attempt *attempt, struct row *row,
                                  const struct error *why);
/* Close the pipeline and read it, whatever happened while filling it: `sending` is how that ended.
 */
enum ods_status attempt_end(struct attempt *attempt, enum ods_status sending);
void attempt_roll_back(struct attempt *attempt);

#endif
