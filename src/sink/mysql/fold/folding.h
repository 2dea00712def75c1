/* One run of mysql_fold_batch(): what fold.c and grouping.c share. Nobody else needs it. */
#ifndef MYSQL_FOLDING_H
#define MYSQL_FOLDING_H

#include <ods/buffer.h>

#include "core/hash_index.h"
#include "sink/mysql/fold/fold.h"

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
    bool parted;        /* one of several changes of a record was set aside */
    struct error *error;
};

/* Appends to a list of rows that grows in the arena. False: memory is out. */
bool mysql_folding_add(struct arena *arena, struct mysql_row ***rows, uint32_t *count,
                       uint32_t *capacity, struct mysql_row *row);

/* The rows of a table into groups of one statement's kind. */
enum ods_status mysql_grouping_of(struct mysql_folding *folding, struct mysql_work *work);

#endif
