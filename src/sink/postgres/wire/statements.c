/* Which statements are prepared. See statements.h. */
#include "sink/postgres/wire/statements.h"

#include <stdlib.h>

/* At least so many compiled statements are kept, also where fewer may be prepared. */
#define COMPILED_LEAST 64

void statements_init(struct statements *statements, size_t most)
{
    *statements = (struct statements){.most = most};
}

void statements_done(struct statements *statements)
{
    free(statements->closing);
    *statements = (struct statements){0};
}

void statements_lost(struct statements *statements, unsigned generation)
{
    for (struct prepared *one = statements->newest; one; one = one->older)
        one->generation = 0;
    statements->generation = generation;
    statements->known = statements->closing_count = 0;
}

/* Notes that the statement's name is to be deallocated. When there is no memory to note it, the
 * server keeps it, and it counts, until the connection ends. */
static void close_statement(struct statements *statements, struct prepared *prepared)
{
    if (!prepared->generation)
        return;
    prepared->generation = 0;
    if (statements->closing_count == statements->closing_capacity) {
        size_t larger = statements->closing_capacity ? statements->closing_capacity * 2 : 64;
        uint64_t *moved = realloc(statements->closing, larger * sizeof *moved);
        if (!moved)
            return;
        statements->closing = moved;
        statements->closing_capacity = larger;
    }
    statements->closing[statements->closing_count++] = prepared->number;
}

static void unlink_statement(struct statements *statements, struct prepared *prepared)
{
    *(prepared->newer ? &prepared->newer->older : &statements->newest) = prepared->older;
    *(prepared->older ? &prepared->older->newer : &statements->oldest) = prepared->newer;
    prepared->newer = prepared->older = NULL;
}

static void link_newest(struct statements *statements, struct prepared *prepared)
{
    prepared->older = statements->newest;
    *(statements->newest ? &statements->newest->newer : &statements->oldest) = prepared;
    statements->newest = prepared;
    prepared->used = statements->batch;
}

void statements_add(struct statements *statements, struct prepared *prepared)
{
    prepared->home = statements;
    link_newest(statements, prepared);
    statements->count++;
}

void statements_use(struct prepared *prepared)
{
    if (prepared->home->newest == prepared) {
        prepared->used = prepared->home->batch;
        return;
    }
    unlink_statement(prepared->home, prepared);
    link_newest(prepared->home, prepared);
}

void statements_free(struct prepared **list)
{
    while (*list)
        (*list)->free(*list);
}

void statements_remove(struct prepared *prepared)
{
    struct statements *statements = prepared->home;
    if (!statements)
        return;
    close_statement(statements, prepared);
    unlink_statement(statements, prepared);
    statements->count--;
}

void statements_begin(struct statements *statements, unsigned generation)
{
    size_t most = statements->most > COMPILED_LEAST ? statements->most : COMPILED_LEAST;
    if (statements->generation != generation)
        statements_lost(statements, generation);
    statements->batch++;
    while (statements->count > most)
        statements->oldest->free(statements->oldest);
}

bool statements_have_room(struct statements *statements)
{
    if (statements->known < statements->most)
        return true;
    struct prepared *one = statements->oldest;
    while (one && !one->generation && one->used < statements->batch)
        one = one->newer;
    if (one && one->used < statements->batch)
        close_statement(statements, one);
    return false;
}
