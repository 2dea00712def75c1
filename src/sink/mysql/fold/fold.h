/* What a batch amounts to: for each table and key the row at the end.
 *
 * The changes of a key form a chain, oldest first; the last word wins, but a value that a later
 * change does not carry is the one of the change before. What can't be told to be of one key or of
 * two without the server's collation, and what stands behind a truncate, goes into a section of its
 * own: sections are written one after the other, in one transaction. Memory comes from an arena
 * that the caller resets after each attempt.
 */
#ifndef MYSQL_FOLD_H
#define MYSQL_FOLD_H

#include <ods/batch.h>

#include "sink/mysql/tables/plan.h"
#include "sink/mysql/values/encode.h"

struct mysql_cell {
    const struct source_column *source; /* NULL: the row carries no value */
    const struct value *value;
    const struct mysql_out *out; /* in place of a value: as the target has it already */
};

struct mysql_row {
    const struct mysql_plan *plan; /* of the last change */
    uint32_t last;                 /* the last change of the chain */
    uint32_t chain;                /* how many changes it stands for */
    const struct value *image;     /* the last change's, where that is the whole row; or NULL */
    const struct mysql_cell *cells; /* by the table's column, where there is no image */
    const struct change *stamp;    /* whose operation and time the row shows */
    const struct mysql_out *key; /* as the last change spells it, in the order of the plan's key */
    const char *identity;          /* the key's bytes */
    uint32_t identity_bytes;
    bool returns; /* the batch deletes it and makes it again */
    bool gone;    /* a truncate came after it */
    bool aside;   /* it was refused, and its change set aside */
};

enum mysql_group_kind {
    MYSQL_DELETES,
    MYSQL_SOFT_DELETES, /* rows stay and say 'd' */
    MYSQL_UPDATES,      /* rows that lack a value without which they can't be inserted */
    MYSQL_UPSERTS,
    MYSQL_INSERTS, /* rows of tables without a key */
    MYSQL_GROUP_KINDS
};

/* Rows of one table that one statement can take: of one kind, with the same columns and key. */
struct mysql_group {
    enum mysql_group_kind kind;
    const struct mysql_plan *plan;
    const uint64_t *columns; /* bit set of the table's columns */
    bool fresh;              /* all of them come from a snapshot or are creates */
    struct mysql_row **rows;
    uint32_t count, capacity;
    struct mysql_group *next;
};

/* A change of a table without a key: by itself, in the source's order. */
struct mysql_loose {
    const struct mysql_plan *plan;
    uint32_t change;
    struct mysql_loose *next;
};

struct mysql_work {
    struct mysql_table *table;
    const struct mysql_plan *plan; /* the first one's; all name rows by one key */
    bool truncate;                 /* before everything else */
    uint32_t truncated_by;         /* the change */
    struct mysql_row **rows;
    uint32_t row_count, row_capacity;
    struct mysql_group *groups[MYSQL_GROUP_KINDS];
    struct mysql_loose *loose, **loose_tail;
    bool foreign; /* a key has characters whose order only the server knows */
    struct mysql_work *next;
};

struct mysql_section {
    struct mysql_work *works; /* in the order of their first change */
    struct mysql_section *next;
};

struct mysql_fold {
    struct mysql_section *sections;
    uint64_t folded, skipped, missing, lost;
};

/* `plans` by change; NULL: passed over. `conn` reads the rows from which changed keys take values
 * along; no transaction is open. A change that can't be folded is set aside with its record.
 * ODS_REJECT: one of several changes of a record was, so the batch has to be folded again. */
enum ods_status mysql_fold_batch(struct mysql_fold *fold, struct arena *arena, struct batch *batch,
                                 const struct mysql_plan *const *plans,
                                 struct mysql_encoding *encoding, struct mysql_conn *conn,
                                 struct error *error);

/* The row's value for a column of the table; false: it has none. */
bool mysql_fold_cell(const struct mysql_row *row, uint32_t column, struct mysql_cell *cell);

/* Takes the words out of a reason that may quote a redacted column. */
void mysql_fold_hide(const struct mysql_plan *plan, struct error *why);
/* Sets the change's record aside; the reason does not quote a redacted column. */
enum ods_status mysql_fold_refuse(struct batch *batch, const struct mysql_plan *plan,
                                  uint32_t change, const struct error *why, struct error *error);

static inline size_t mysql_fold_words(const struct mysql_table *table)
{
    return (table->column_count + 63) / 64;
}

static inline bool mysql_fold_has(const uint64_t *columns, uint32_t column)
{
    return columns[column / 64] >> (column % 64) & 1;
}

#endif
