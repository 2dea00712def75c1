/* Which statements are prepared. See statements.h. */
#include "sink/postgres/write/statements.h"

#include <stdlib.h>

#include "sink/postgres/write/statement.h"

/* Compiled ones are kept for a while also where few or none may be prepared. */
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
    for (struct statement *one = statements->newest; one; one = one->older)
        one->prepared = 0;
    statements->generation = generation;
    statements->known = statements->closing_count = 0;
}

/* Its name is deallocated later. Without memory to note that, it stays where it is, and counts, as
 * long as the connection. */
static void close_statement(struct statements *statements, struct statement *statement)
{
    if (!statement->prepared)
        return;
    statement->prepared = 0;
    if (statements->closing_count == statements->closing_capacity) {
        size_t larger = statements->closing_capacity ? statements->closing_capacity * 2 : 64;
        uint64_t *moved = realloc(statements->closing, larger * sizeof *moved);
        if (!moved)
            return;
        statements->closing = moved;
        statements->closing_capacity = larger;
    }
    statements->closing[statements->closing_count++] = statement->number;
}

static void unlink_statement(struct statements *statements, struct statement *statement)
{
    *(statement->newer ? &statement->newer->older : &statements->newest) = statement->older;
    *(statement->older ? &statement->older->newer : &statements->oldest) = statement->newer;
    statement->newer = statement->older = NULL;
}

static void link_newest(struct statements *statements, struct statement *statement)
{
    statement->older = statements->newest;
    *(statements->newest ? &statements->newest->newer : &statements->oldest) = statement;
    statements->newest = statement;
    statement->used = statements->batch;
}

void statements_add(struct statements *statements, struct statement *statement)
{
    statement->home = statements;
    link_newest(statements, statement);
    statements->count++;
}

void statements_use(struct statement *statement)
{
    if (statement->home->newest == statement) {
        statement->used = statement->home->batch;
        return;
    }
    unlink_statement(statement->home, statement);
    link_newest(statement->home, statement);
}

void statements_remove(struct statement *statement)
{
    struct statements *statements = statement->home;
    if (!statements)
        return;
    close_statement(statements, statement);
    unlink_statement(statements, statement);
    statements->count--;
}

void statements_begin(struct statements *statements, unsigned generation)
{
    size_t most = statements->most > COMPILED_LEAST ? statements->most : COMPILED_LEAST;
    if (statements->generation != generation)
        statements_lost(statements, generation);
    statements->batch++;
    while (statements->count > most)
        statement_free(statements->oldest);
}

bool statements_have_room(struct statements *statements)
{
    if (statements->known < statements->most)
        return true;
    struct statement *one = statements->oldest;
    while (one && !one->prepared && one->used < statements->batch)
        one = one->newer;
    if (one && one->used < statements->batch)
        close_statement(statements, one);
    return false;
}
