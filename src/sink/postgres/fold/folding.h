/* One run of fold_batch(): what fold.c and grouping.c share. Nobody else needs it. */
#ifndef FOLDING_H
#define FOLDING_H

#include "core/hash_index.h"
#include "sink/postgres/fold/fold.h"

struct folding {
    struct fold *fold;
    struct table_work **tail; /* of fold->tables */
    struct arena *arena;
    struct batch *batch;
    const struct plan *const *plans;
    struct inherited *const *inherited;
    const uint32_t *first; /* of spelling_ask() */
    struct encoder *encoder;
    unsigned flags;
    struct buffer key, reduced;
    struct hash_index rows;  /* by table and key; those that a truncate ended stay, `gone` */
    struct hash_index works; /* by table */
    uint32_t *previous; /* change -> the one before it of the same key, UINT32_MAX: none */
    bool parted;        /* a record of several changes was set aside */
    struct error *error;
};

/* Appends to a list of rows that grows in the arena. False when memory is out. */
bool folding_add_row(struct arena *arena, struct row ***rows, uint32_t *count, uint32_t *capacity,
                     struct row *row);

#endif
