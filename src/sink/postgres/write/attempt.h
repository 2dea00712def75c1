/* One attempt at a batch, and what it puts into the connection's pipeline.
 *
 * apply.c decides the order; attempt.c encodes, sends, and matches results with what was sent.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "sink/postgres/write/apply.h"

/* The state of the server's transaction, once the pipeline is read. */
enum transaction {
    TRANSACTION_NONE,
    TRANSACTION_OPEN,
    TRANSACTION_BROKEN, /* usable again after "rollback to" the savepoint */
};

/* What is to be done next with the batch. While an attempt runs, its functions ask for one of
 * these, and the more urgent one is kept (attempt_demand()). When the attempt is over, apply.c
 * decides. */
enum next {
    NEXT_COMMIT,   /* nothing has failed so far */
    NEXT_FOLD,     /* fold again without what was set aside, on which other changes were based */
    NEXT_HOLD,     /* apply the records before the rows that wait for another transaction */
    NEXT_VALIDATE, /* fold again, and encode each change by itself: one can't be encoded */
    NEXT_REREAD,   /* read the catalog again: by PostgreSQL's answer a table has changed */
    /* These are known only when the attempt is over. */
    NEXT_ASK,      /* PostgreSQL is to read texts of the batch */
    NEXT_DISTRUST, /* take the next step of enum caution */
    NEXT_GO_ON,    /* a part is committed, and the rest only waited for that */
    NEXT_ANSWER,   /* nothing: the caller gets the status */
};

/* How carefully a batch is tried, the fastest way first. Each step includes those before it. */
enum caution {
    CAUTION_NONE,
    CAUTION_CAREFUL,   /* no guesses about the target's rows, no COPY, and a savepoint before each
                          run of steps */
    CAUTION_IMMEDIATE, /* deferred constraints are checked with each statement */
    CAUTION_DOUBTFUL,  /* an outage came so often that a row may be the cause: see apply.c */
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
    /* What earlier attempts at the batch have shown to be necessary. */
    bool validates; /* while folding, each change is encoded by itself */
    bool asks;      /* texts of the batch are for PostgreSQL to read */
    unsigned overtaken; /* how often another writer has applied a record of it meanwhile */
    bool reread;    /* the catalog was read again, which is done once */
    /* Results of the attempt. */
    bool part_waits; /* until the records before it are applied, as they use another key */
    bool blamed;     /* a row was found to be the cause of what looked like an outage */
    /* The state of the transaction. */
    bool divided; /* a step was refused: a savepoint comes before each run of steps */
    bool awaited; /* rows were sent that may have to be sent again after the answer */
    bool commit_sent;
    enum transaction transaction;
    bool marked;                        /* the transaction has a savepoint */
    bool mark_sent;                     /* or will have one, once the pipeline is read */
    uint32_t mark;                      /* the first step after the savepoint */
    struct apply_result begun, at_mark; /* the result at the beginning and at the savepoint */
    uint32_t step;                      /* the step that is being sent, or NO_STEP */
    uint32_t refused;                   /* the step whose statement was refused, or NO_STEP */
    uint32_t suspect;                   /* the row of its group that COPY names, or NO_STEP */
    struct error why;                   /* the reason of the refusal */
    struct pending *pending; /* rows that were refused for a unique or foreign key: blocked.h */
    uint32_t pending_count, pending_capacity;
    uint64_t kept; /* changes that the guard kept out since this was last set to 0 */
    struct sent *sent, **sent_tail;
};

/* A command in the pipeline, to be matched with its result. */
struct sent {
    struct sent *next;
    unsigned commands; /* 2: prepare and execute */
    struct statement *statement;
    const struct group *group; /* the group of its rows, */
    uint32_t first, last;      /* and which of them */
    enum group_kind kind;
    uint32_t step;
    uint32_t rows;
    const struct pg_table *table; /* the rows' table; NULL: it has no rows */
    bool ours;                    /* uses only the sink's own tables, which have no triggers */
    bool loose;                   /* an update or a delete of a row without a key */
    bool missed;                  /* some of the rows that should exist were not found */
    struct losses losses;
    bool counts; /* its row count goes into the result */
    bool marks;  /* the savepoint before its step */
    bool truncates;
    bool closes; /* deallocates a name */
};

static inline void attempt_demand(struct attempt *attempt, enum next next)
{
    if (attempt->next < next)
        attempt->next = next;
}

/* The attempt is to end now, whatever would become of its other rows. */
static inline bool attempt_is_void(const struct attempt *attempt)
{
    return attempt->next >= NEXT_VALIDATE;
}

/* When PostgreSQL's answer shows that a table may have changed, the catalog is read again. */
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

/* When the batch has several changes of a key, one that can't be encoded must be set aside before
 * another takes values over from it. So the next fold encodes each by itself. */
static inline bool attempt_folds_again(const struct attempt *attempt)
{
    return attempt->fold.folded && !attempt->validates;
}

enum ods_status attempt_begin(struct attempt *attempt);
enum ods_status attempt_send(struct attempt *attempt, const char *sql);
/* The same of a statement that writes the sink's own tables alone. */
enum ods_status attempt_send_own(struct attempt *attempt, const char *sql,
                                 const struct conn_params *params);
/* Sends what the transaction needs before the next statement: begin and the move of the offsets, or
 * the return to the savepoint. */
enum ods_status attempt_resume(struct attempt *attempt);
/* Moves the savepoint to the present place in the pipeline, before a step. */
enum ods_status attempt_mark(struct attempt *attempt, uint32_t step);
/* Begins a pipeline at a savepoint. */
enum ods_status attempt_begin_marked(struct attempt *attempt);
/* Makes a broken transaction usable again. Called outside a pipeline. */
enum ods_status attempt_mend(struct attempt *attempt);
/* Encodes and sends rows [first, last) of a group. A row that can't be encoded is set aside; or,
 * where other changes may have taken values over from it, the answer is ODS_REJECT with
 * NEXT_VALIDATE. */
enum ods_status attempt_rows(struct attempt *attempt, struct group *group, uint32_t first,
                             uint32_t last);
/* Closes the pipeline and reads it, and then writes the rows that updates did not find. */
enum ods_status attempt_settle(struct attempt *attempt);
enum ods_status attempt_truncate(struct attempt *attempt, const struct table_work *work);
/* Sends a change of a table without key that is no plain insert. */
enum ods_status attempt_loose(struct attempt *attempt, const struct loose *loose);
/* Marks a change as refused for this reason. ODS_FATAL: the settings say to stop for it. */
enum ods_status attempt_refuse(struct attempt *attempt, uint32_t change, const struct error *why);
/* Sets a change aside for this reason. Asks for NEXT_FOLD where other changes depend on it: those
 * of its record, or of a key whose newest change is stored. */
enum ods_status attempt_reject(struct attempt *attempt, uint32_t change, const struct error *why);
/* Sets aside the row's last change. */
enum ods_status attempt_set_aside(struct attempt *attempt, struct row *row,
                                  const struct error *why);
/* Closes the pipeline and reads it, also when filling it has failed: `sending` is the status of
 * that. */
enum ods_status attempt_end(struct attempt *attempt, enum ods_status sending);
void attempt_roll_back(struct attempt *attempt);

#endif
