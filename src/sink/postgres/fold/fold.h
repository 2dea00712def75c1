/* What a batch amounts to: per table and key, one row at the end.
 *
 * The changes of a key form a chain, oldest first; its last word wins, but a value that a later
 * change does not carry (an unchanged TOAST value, a column that went away) is the one of the
 * change before. The outcome is the same as if each change had been applied by itself. Memory comes
 * from an arena that the caller resets after each attempt.
 */
#ifndef FOLD_H
#define FOLD_H

#include <ods/batch.h>
#include "sink/postgres/values/encode.h"
#include "sink/postgres/tables/plan.h"

/* A value for a column of the target. column is NULL where the row carries none. */
struct cell {
    const struct source_column *column;
    const struct value *value;
};

struct row {
    const struct plan *plan; /* of the last change */
    uint32_t last;           /* the last change of the chain */
    uint32_t chain;          /* how many changes it stands for */
    const struct value
        *image;               /* the last change's own image where that is the whole row, or NULL */
    const struct cell *cells; /* by table column, when there is no image */
    const struct change *stamp; /* whose operation and time the row shows */
    const char *key;      /* as the last change spells it; NULL in a history: it is in the image */
    const char *identity; /* equal for equal keys: the key itself, or see spelling.h */
    uint32_t identity_bytes;
    bool returns;     /* the batch deletes it and makes it again */
    bool aside;       /* its change was set aside: not to be sent */
    bool gone;        /* a truncate came after it: a later change of its key begins a new row */
};

enum group_kind {
    GROUP_DELETE,      /* rows leave the table */
    GROUP_SOFT_DELETE, /* rows stay and say 'd' */
    GROUP_UPSERT,      /* whole rows */
    GROUP_PARTIAL,     /* rows that lack a value: the target's value stays */
    GROUP_INSERT,      /* rows without a key, in order */
    /* Rows that hold each other's unique values; see blocked.c. */
    GROUP_PARK,   /* they leave the table for a moment, */
    GROUP_RETURN, /* and come back with their new values; */
    GROUP_STAGE,  /* or their new values are collected elsewhere first */
};

/* Rows that one statement takes: same table, same kind, same guess, same columns, same key. */
struct group {
    enum group_kind kind;
    enum guess guess; /* never NEW for rows that lack a value */
    bool compares;    /* large values that the target has already are not written again */
    const struct plan *plan;
    const uint64_t *columns; /* bit set of table columns */
    struct row **rows;
    uint32_t count, capacity;
    struct group *next;
};

/* A change of a table without key: it is applied by itself, in the source's order. */
struct loose {
    const struct plan *plan;
    uint32_t change;
    struct loose *next;
};

struct table_work {
    struct pg_table *table;
    bool truncate; /* before everything else */
    const struct change *truncated_by;
    const struct plan *truncate_plan;
    struct group *groups[GROUP_INSERT + 1]; /* lists, by kind */
    struct row **rows;
    uint32_t row_count, row_capacity;
    bool guesses[GUESS_COUNT];
    struct loose *loose, **loose_tail; /* after the groups */
    struct table_work *next;
};

struct fold {
    struct table_work *tables; /* in the order of their first change */
    uint64_t folded, skipped;
    uint64_t missing; /* deletes of rows in tables that are yet to be made */
};

/* A value that a row has although its change does not carry it; see inherit.h. */
struct inherited {
    uint32_t target; /* table column */
    struct cell cell;
    struct inherited *next;
};

/* Also encode every change by itself: one that can't be encoded is rejected before it takes the
 * place of an older change. */
#define FOLD_VALIDATE 1u
/* Guess about the rows that changes meet, where the table allows it. */
#define FOLD_GUESS 2u

/* Change index -> plan, filled by the caller; NULL for changes to pass over. A change that can't be
 * folded (a NULL in its key) becomes a reject of the batch. `inherited` is by change, NULL when
 * there is nothing; `first` is spelling_ask()'s. `flags`: FOLD_… ODS_REJECT: a record of several
 * changes was set aside, and the batch is to be folded again without it. */
enum ods_status fold_batch(struct fold *fold, struct arena *arena, struct batch *batch,
                           const struct plan *const *plans, struct inherited *const *inherited,
                           const uint32_t *first, struct encoder *encoder, unsigned flags,
                           struct error *error);

/* The key of a change's row in the target's own binary form, into `out`: equal keys are equal
 * bytes, whatever the shape. ODS_REJECT: it has none, or one that the target can't hold. */
enum ods_status fold_key(struct encoder *encoder, struct buffer *out, const struct plan *plan,
                         const struct change *change, struct error *why);

/* The reason why a value can't be written may quote it: not where its column is redacted. */
void fold_hide_redacted(const struct plan *plan, struct error *why);
/* The same of why a key can't be read, which PostgreSQL says without the column. */
void fold_hide_redacted_key(const struct plan *plan, struct error *why);

/* The row's value for a table column; false: it has none. Not for the cdc columns. */
bool fold_cell(const struct row *row, uint32_t column, struct cell *cell);

#endif
