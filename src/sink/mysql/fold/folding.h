/* One run of mysql_fold_batch(): what the files of this room share. Nobody else needs it. */
#ifndef MYSQL_FOLDING_H
#define MYSQL_FOLDING_H

#include <ods/buffer.h>

#include "core/hash_index.h"
#include "sink/mysql/fold/fold.h"

/* A value that a changed key takes along. */
struct mysql_inherited {
    uint32_t target; /* the table's column */
    struct mysql_cell cell;
    struct mysql_inherited *next;
};

struct mysql_folding {
    struct mysql_fold *fold;
    struct mysql_section *section;       /* the last one */
    struct mysql_work **tail;            /* of its works */
    struct arena *arena;
    struct batch *batch;
    const struct mysql_plan *const *plans;
    struct mysql_encoding *encoding;
    struct buffer identity, coarse;
    struct hash_index rows;   /* of the section, by table and key */
    struct hash_index coarsely; /* the same by what a collation can't tell apart */
    struct hash_index works;
    uint32_t *previous; /* change -> the one before it of the same key; UINT32_MAX: none */
    struct mysql_conn *conn; /* reads old rows */
    struct mysql_inherited **inherited; /* by change; NULL: it was not needed yet */
    bool parted;        /* one of several changes of a record was set aside */
    struct error *error;
};

/* Appends to a list of rows that grows in the arena. False: memory is out. */
bool mysql_folding_add(struct arena *arena, struct mysql_row ***rows, uint32_t *count,
                       uint32_t *capacity, struct mysql_row *row);

/* The key of a change's row, in the order of the plan's. ODS_REJECT: *why says what is wrong. */
enum ods_status mysql_folding_key(struct mysql_folding *folding, const struct mysql_plan *plan,
                                  const struct change *change, struct mysql_out *key,
                                  struct error *why);

/* A create that does not carry all values of its row. */
bool mysql_folding_lacks_values(const struct change *change);

/* A change's values, and those that it has inherited, over those before it. */
void mysql_folding_overlay(const struct mysql_folding *folding, struct mysql_cell *cells,
                           uint32_t change);

/* Looks for the values that the batch's creates lack, in the rows whose keys were changed into
 * theirs. */
enum ods_status mysql_inherit(struct mysql_folding *folding);

/* The rows of a table into groups of one statement's kind. */
enum ods_status mysql_grouping_of(struct mysql_folding *folding, struct mysql_work *work);

#endif
