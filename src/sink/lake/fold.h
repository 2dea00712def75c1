/* What a batch amounts to: for each table and key the row at the end, as arrays for the engine.
 *
 * The changes of a key form a chain, oldest first; the last word wins, but a value that a later
 * change does not carry is the one of the change before, or what the table has. Records that a
 * table has already, by its own offsets, are passed over. Memory comes from an arena that the
 * caller resets.
 */
#ifndef LAKE_FOLD_H
#define LAKE_FOLD_H

#include "core/hash_index.h"
#include "sink/lake/encode.h"
#include "sink/lake/plan.h"

struct lake_row {
    const struct lake_plan *plan; /* of the last change */
    uint32_t last, chain;         /* the last change, and how many the row stands for */
    const char *key;
    uint32_t key_bytes;
    bool gone; /* a truncate came after it */
};

/* Of one table. */
struct lake_work {
    struct lake_table *table;
    bool appends;
    bool truncates; /* before all of its rows */
    struct lake_row **rows;
    uint32_t row_count, row_capacity;
    const char **names;        /* of the arrays */
    struct lake_array *arrays; /* the table's columns, then operations and what is kept */
    uint32_t array_count;
    uint32_t *changes; /* by row of the arrays */
    int64_t length;    /* rows of the arrays */
    bool *moves;       /* by claim: the batch has records of it for the table */
    uint32_t claim;    /* whose stored offset was looked up last, */
    int64_t stored;    /* which is this; changes of one partition follow one another */
    uint64_t upserted, deleted, folded, truncated;
    struct lake_work *next;
};

struct lake_fold {
    struct lake_work *works, **tail;
    struct arena *arena;
    struct batch *batch;
    const struct lake_plan **plans; /* by change; NULL: passed over */
    struct lake_encoding *encoding;
    const struct apply_hooks *hooks;
    uint32_t *previous; /* change -> the one before it of the same key; UINT32_MAX: none */
    uint32_t *claims;   /* change -> its claim; UINT32_MAX: none */
    struct hash_index rows, by_table;
    struct buffer key;
    bool again; /* a record was set aside of which something is folded */
    uint64_t skipped, missing;
    int64_t now_us; /* one moment for all of the batch, which one commit brings */
    struct error *error;
};

void lake_fold_init(struct lake_fold *fold);
void lake_fold_done(struct lake_fold *fold);
/* Frees what is in the arena's works, which comes before the arena is reset. */
void lake_fold_reset(struct lake_fold *fold);

/* Folds and encodes. The store's mutex is held. A change that can't be applied is set aside with
 * its record. */
enum ods_status lake_fold_batch(struct lake_fold *fold, struct arena *arena, struct batch *batch,
                                const struct lake_plan **plans, struct lake_encoding *encoding,
                                const struct apply_hooks *hooks, struct error *error);

/* Sets the change's record aside; the reason quotes no redacted column. */
enum ods_status lake_fold_refuse(struct lake_fold *fold, uint32_t change, const struct error *why);

/* rows.c: the rows of a table into its arrays. */
enum ods_status lake_fold_rows(struct lake_fold *fold, struct lake_work *work);

#endif
