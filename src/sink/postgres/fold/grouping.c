/* Chains into rows, rows into groups. See grouping.h. */
#include "sink/postgres/fold/grouping.h"

#include <string.h>

#include "sink/postgres/fold/guess.h"

static bool has_absent(const struct value *image, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (image[i].kind == VALUE_ABSENT)
            return true;
    return false;
}

static bool bits_cover(const uint64_t *larger, const uint64_t *smaller, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (smaller[i] & ~larger[i])
            return false;
    return true;
}

struct outcome {
    bool erased;  /* a hard delete is in the chain: the row that the target has must go */
    bool present; /* there is something to write */
    bool deleted; /* soft: the row says 'd' */
};

/* Lay a change's image over the cells. */
static void overlay(struct cell *cells, const struct plan *plan, const struct value *image)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        int32_t target = plan->target_of[i];
        if (target >= 0 && image[i].kind != VALUE_ABSENT)
            cells[target] = (struct cell){.column = &plan->sources[i], .value = &image[i]};
    }
}

static void play(struct folding *folding, struct row *row, struct cell *cells, uint32_t index,
                 struct outcome *outcome)
{
    const struct plan *plan = folding->plans[index];
    const struct change *change = &folding->batch->changes[index];
    if (change->op != OP_DELETE) {
        overlay(cells, plan, change->after);
        for (const struct inherited *taken = folding->inherited ? folding->inherited[index] : NULL;
             taken; taken = taken->next)
            cells[taken->target] = taken->cell;
        outcome->present = true;
        outcome->deleted = false;
        row->stamp = change;
        return;
    }
    switch (plan->settings->on_delete) {
    case ON_DELETE_IGNORE:
        break;
    case ON_DELETE_SOFT:
        /* A second delete, or the tombstone behind one, says nothing new. */
        if (!outcome->deleted)
            row->stamp = change;
        outcome->deleted = true;
        break;
    case ON_DELETE_HARD:
        memset(cells, 0, plan->table->column_count * sizeof *cells);
        outcome->erased = true;
        outcome->present = false;
        row->stamp = change;
        break;
    }
}

/* The chain, oldest first. NULL when memory is out. */
static const uint32_t *chain_of(struct folding *folding, const struct row *row)
{
    uint32_t *chain = arena_alloc(folding->arena, row->chain * sizeof *chain);
    uint32_t at = row->last;
    for (uint32_t i = row->chain; chain && i-- > 0; at = folding->previous[at])
        chain[i] = at;
    return chain;
}

static struct group *group_for(struct folding *folding, struct table_work *work,
                               enum group_kind kind, enum guess guess, bool compares,
                               const struct plan *plan, const uint64_t *columns)
{
    size_t bytes = plan_words(work->table) * sizeof *columns;
    struct group **link = &work->groups[kind];
    for (; *link; link = &(*link)->next)
        if ((*link)->guess == guess && (*link)->compares == compares &&
            ((*link)->columns == columns || memcmp((*link)->columns, columns, bytes) == 0) &&
            (*link)->plan->key_count == plan->key_count &&
            memcmp((*link)->plan->key_target, plan->key_target,
                   plan->key_count * sizeof *plan->key_target) == 0)
            return *link;
    struct group *group = arena_alloc(folding->arena, sizeof *group);
    if (!group)
        return NULL;
    *group = (struct group){
        .kind = kind, .guess = guess, .compares = compares, .plan = plan, .columns = columns};
    /* Updates come before new rows: a new row may take a unique value that an update gives up. */
    if (guess == GUESS_THERE)
        link = &work->groups[kind];
    group->next = *link;
    *link = group;
    return group;
}

static enum guess guess_about(const struct folding *folding, const struct table_work *work,
                              enum group_kind kind, const struct row *row)
{
    uint32_t at = row->last;
    if (kind != GROUP_UPSERT && kind != GROUP_PARTIAL)
        return GUESS_NONE;
    for (uint32_t i = 1; i < row->chain; i++) {
        at = folding->previous[at];
        if (folding->batch->changes[at].op == OP_DELETE)
            return GUESS_NONE;
    }
    enum guess guess = guess_for(folding->batch->changes[at].op);
    if (guess == GUESS_NEW && kind == GROUP_PARTIAL)
        return GUESS_NONE;
    return work->guesses[guess] ? guess : GUESS_NONE;
}

/* Is it worth it to look for the row's large values in the target before they are written? */
static bool compares(const struct folding *folding, const struct table_work *work,
                     enum group_kind kind, enum guess guess, const struct row *row)
{
    const struct change *change = &folding->batch->changes[row->last];
    if ((kind != GROUP_UPSERT && kind != GROUP_PARTIAL) || guess == GUESS_NEW ||
        work->table->is_view)
        return false;
    switch (row->plan->settings->skip_unchanged) {
    case SKIP_UNCHANGED_AUTO:
        return change->repeats;
    case SKIP_UNCHANGED_ALWAYS:
        return change->op == OP_UPDATE;
    case SKIP_UNCHANGED_NEVER:
        break;
    }
    return false;
}

static enum ods_status add_to_group(struct folding *folding, struct table_work *work,
                                    enum group_kind kind, struct row *row, const uint64_t *columns)
{
    /* A view has no unique index that "on conflict" could name. */
    if (kind == GROUP_UPSERT && work->table->is_view)
        kind = GROUP_PARTIAL;
    enum guess guess = guess_about(folding, work, kind, row);
    bool compared = compares(folding, work, kind, guess, row);
    struct group *group =
        group_for(folding, work, kind, guess, compared, row->plan, columns);
    if (!group ||
        !folding_add_row(folding->arena, &group->rows, &group->count, &group->capacity, row))
        return error_out_of_memory(folding->error);
    return ODS_OK;
}

/* For rows whose chain has a delete, several shapes or missing values: plays it change by
 * change. */
static enum ods_status settle_chain(struct folding *folding, struct table_work *work,
                                    struct row *row)
{
    const struct plan *plan = row->plan;
    size_t words = plan_words(work->table);
    const uint32_t *chain = chain_of(folding, row);
    struct cell *cells = arena_alloc(folding->arena, work->table->column_count * sizeof *cells);
    uint64_t *columns = arena_alloc(folding->arena, words * sizeof *columns);
    if (!chain || !cells || !columns)
        return error_out_of_memory(folding->error);
    memset(cells, 0, work->table->column_count * sizeof *cells);
    memset(columns, 0, words * sizeof *columns);
    struct outcome outcome = {0};
    for (uint32_t i = 0; i < row->chain; i++)
        play(folding, row, cells, chain[i], &outcome);
    row->cells = cells;
    for (uint32_t i = 0; i < work->table->column_count; i++)
        if (cells[i].column || (int) i == plan->operation_column ||
            (int) i == plan->timestamp_column)
            columns[i / 64] |= UINT64_C(1) << (i % 64);
    enum ods_status status = ODS_OK;
    row->returns = outcome.erased && outcome.present;
    if (outcome.erased)
        status = add_to_group(folding, work, GROUP_DELETE, row, plan->columns);
    if (status == ODS_OK && outcome.present)
        status = add_to_group(
            folding, work, bits_cover(columns, plan->columns, words) ? GROUP_UPSERT : GROUP_PARTIAL,
            row, columns);
    else if (status == ODS_OK && outcome.deleted)
        status = add_to_group(folding, work, GROUP_SOFT_DELETE, row, plan->columns);
    folding->fold->folded += row->chain - 1;
    return status;
}

/* The common case: the last change is a whole row and nothing before it matters. */
static bool is_whole(const struct folding *folding, const struct row *row)
{
    const struct change *change = &folding->batch->changes[row->last];
    if (!change->after || has_absent(change->after, change->shape->column_count))
        return false;
    uint32_t at = row->last;
    for (uint32_t i = 1; i < row->chain; i++) {
        at = folding->previous[at];
        /* Another shape may carry columns that this one lacks; a delete may have erased the row. */
        if (folding->plans[at] != row->plan || folding->batch->changes[at].op == OP_DELETE)
            return false;
    }
    return true;
}

static void choose_guesses(const struct folding *folding, struct table_work *work)
{
    if (!(folding->flags & FOLD_GUESS) || work->row_count < GUESS_MIN_ROWS || work->table->is_view)
        return;
    for (enum guess guess = GUESS_NEW; guess < GUESS_COUNT; guess++)
        work->guesses[guess] = guess_is_on(work->table, guess);
}

enum ods_status grouping_of(struct folding *folding, struct table_work *work)
{
    choose_guesses(folding, work);
    for (uint32_t i = 0; i < work->row_count; i++) {
        struct row *row = work->rows[i];
        enum ods_status status;
        if (is_whole(folding, row)) {
            row->image = folding->batch->changes[row->last].after;
            row->stamp = &folding->batch->changes[row->last];
            folding->fold->folded += row->chain - 1;
            status = add_to_group(folding, work, GROUP_UPSERT, row, row->plan->columns);
        } else {
            status = settle_chain(folding, work, row);
        }
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}
