/* Chains into rows, rows into groups. See folding.h. */
#include <string.h>

#include <ods/pipeline.h>

#include "sink/mysql/fold/folding.h"

static bool has_absent(const struct value *image, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (image[i].kind == VALUE_ABSENT)
            return true;
    return false;
}

bool mysql_fold_cell(const struct mysql_row *row, uint32_t column, struct mysql_cell *cell)
{
    if (row->cells) {
        *cell = row->cells[column];
        return cell->source != NULL;
    }
    int32_t source = row->plan->source_of[column];
    if (source < 0 || !row->image)
        return false;
    *cell = (struct mysql_cell){&row->plan->sources[source], &row->image[source], NULL};
    return true;
}

static void set(uint64_t *columns, uint32_t column)
{
    columns[column / 64] |= UINT64_C(1) << (column % 64);
}

/* Could a row without the other columns be inserted? MySQL refuses the statement where a column
 * without a default is left out, also when all of its rows are there. */
static bool can_insert(const struct mysql_table *table, const uint64_t *columns)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct mysql_column *column = &table->columns[i];
        if (!mysql_fold_has(columns, i) && !column->nullable && !column->has_default &&
            !column->auto_increment && !column->generated)
            return false;
    }
    return true;
}

static bool is_fresh(const struct change *change)
{
    return change->op == OP_READ || change->op == OP_CREATE;
}

static struct mysql_group *group_for(struct mysql_folding *folding, struct mysql_work *work,
                                     enum mysql_group_kind kind, const struct mysql_plan *plan,
                                     const uint64_t *columns, bool fresh)
{
    size_t bytes = mysql_fold_words(work->table) * sizeof *columns;
    for (struct mysql_group *group = work->groups[kind]; group; group = group->next)
        if (group->fresh == fresh &&
            (group->columns == columns || memcmp(group->columns, columns, bytes) == 0))
            return group;
    struct mysql_group *group = arena_alloc(folding->arena, sizeof *group);
    if (!group)
        return NULL;
    *group = (struct mysql_group){.kind = kind, .plan = plan, .columns = columns, .fresh = fresh};
    /* Rows that are there come before new ones, which may take a unique value that they give up. */
    struct mysql_group **link = &work->groups[kind];
    while (fresh && *link)
        link = &(*link)->next;
    group->next = *link;
    *link = group;
    return group;
}

static enum ods_status add(struct mysql_folding *folding, struct mysql_work *work,
                           enum mysql_group_kind kind, struct mysql_row *row,
                           const uint64_t *columns)
{
    if (kind == MYSQL_UPSERTS && !can_insert(work->table, columns))
        kind = MYSQL_UPDATES;
    bool fresh = kind == MYSQL_UPSERTS && row->chain == 1 &&
                 is_fresh(&folding->batch->changes[row->last]);
    struct mysql_group *group = group_for(folding, work, kind, row->plan, columns, fresh);
    if (!group || !mysql_folding_add(folding->arena, &group->rows, &group->count,
                                     &group->capacity, row))
        return error_out_of_memory(folding->error);
    return ODS_OK;
}

struct outcome {
    bool erased;  /* a delete is in the chain: the row that the target has must go */
    bool present; /* there is something to write */
    bool deleted; /* soft: the row says 'd' */
};

bool mysql_folding_lacks_values(const struct change *change)
{
    return change->op == OP_CREATE && change->after &&
           has_absent(change->after, change->shape->column_count);
}

void mysql_folding_overlay(const struct mysql_folding *folding, struct mysql_cell *cells,
                           uint32_t change)
{
    const struct mysql_plan *plan = folding->plans[change];
    const struct value *image = folding->batch->changes[change].after;
    const struct mysql_inherited *inherited =
        folding->inherited ? folding->inherited[change] : NULL;
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->target_of[i] >= 0 && image[i].kind != VALUE_ABSENT)
            cells[plan->target_of[i]] = (struct mysql_cell){&plan->sources[i], &image[i], NULL};
    for (; inherited; inherited = inherited->next)
        cells[inherited->target] = inherited->cell;
}

static void play(struct mysql_folding *folding, struct mysql_row *row, struct mysql_cell *cells,
                 uint32_t index, struct outcome *outcome)
{
    const struct mysql_plan *plan = folding->plans[index];
    const struct change *change = &folding->batch->changes[index];
    if (change->op != OP_DELETE) {
        mysql_folding_overlay(folding, cells, index);
        outcome->present = true;
        outcome->deleted = false;
        row->stamp = change;
        return;
    }
    switch (plan->settings->on_delete) {
    case ON_DELETE_IGNORE:
        folding->fold->skipped++;
        break;
    case ON_DELETE_SOFT:
        if (!outcome->deleted) /* a second delete, or the tombstone behind one, says nothing new */
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

/* The chain, oldest first. NULL: memory is out. */
static const uint32_t *chain_of(struct mysql_folding *folding, const struct mysql_row *row)
{
    uint32_t *chain = arena_alloc(folding->arena, row->chain * sizeof *chain);
    uint32_t at = row->last;
    for (uint32_t i = row->chain; chain && i-- > 0; at = folding->previous[at])
        chain[i] = at;
    return chain;
}

static void set_stamps(uint64_t *columns, const struct mysql_plan *plan)
{
    if (plan->operation_column >= 0)
        set(columns, (uint32_t) plan->operation_column);
    if (plan->timestamp_column >= 0)
        set(columns, (uint32_t) plan->timestamp_column);
}

static uint64_t *no_columns(struct mysql_folding *folding, const struct mysql_table *table)
{
    size_t bytes = mysql_fold_words(table) * sizeof(uint64_t);
    uint64_t *columns = arena_alloc(folding->arena, bytes);
    return columns ? memset(columns, 0, bytes) : NULL;
}

/* A row whose chain has a delete, several shapes or missing values: change by change. */
static enum ods_status settle(struct mysql_folding *folding, struct mysql_work *work,
                              struct mysql_row *row)
{
    const uint32_t *chain = chain_of(folding, row);
    size_t bytes = work->table->column_count * sizeof(struct mysql_cell);
    struct mysql_cell *cells = arena_alloc(folding->arena, bytes);
    uint64_t *columns = no_columns(folding, work->table);
    struct outcome outcome = {0};
    enum ods_status status = ODS_OK;
    if (!chain || !cells || !columns)
        return error_out_of_memory(folding->error);
    memset(cells, 0, bytes);
    for (uint32_t i = 0; i < row->chain && !folding->inherited && status == ODS_OK; i++)
        if (mysql_folding_lacks_values(&folding->batch->changes[chain[i]]))
            status = mysql_inherit(folding);
    if (status != ODS_OK)
        return status;
    for (uint32_t i = 0; i < row->chain; i++)
        play(folding, row, cells, chain[i], &outcome);
    row->cells = cells;
    for (uint32_t i = 0; i < work->table->column_count; i++)
        if (cells[i].source)
            set(columns, i);
    set_stamps(columns, row->plan);
    row->returns = outcome.erased && outcome.present;
    folding->fold->folded += row->chain - 1;
    if (outcome.erased)
        status = add(folding, work, MYSQL_DELETES, row, columns);
    if (status == ODS_OK && outcome.present)
        status = add(folding, work, MYSQL_UPSERTS, row, columns);
    else if (status == ODS_OK && outcome.deleted)
        status = add(folding, work, MYSQL_SOFT_DELETES, row, columns);
    return status;
}

/* The usual case: the last change is a whole row, and nothing before it matters. */
static bool is_whole(const struct mysql_folding *folding, const struct mysql_row *row)
{
    const struct change *change = &folding->batch->changes[row->last];
    uint32_t at = row->last;
    if (!change->after || has_absent(change->after, change->shape->column_count))
        return false;
    for (uint32_t i = 1; i < row->chain; i++) {
        at = folding->previous[at];
        if (folding->plans[at] != row->plan || folding->batch->changes[at].op == OP_DELETE)
            return false;
    }
    return true;
}

static const uint64_t *whole_columns(struct mysql_folding *folding, const struct mysql_plan *plan)
{
    uint64_t *columns = no_columns(folding, plan->table);
    for (uint32_t i = 0; columns && i < plan->table->column_count; i++)
        if (plan->source_of[i] >= 0)
            set(columns, i);
    if (columns)
        set_stamps(columns, plan);
    return columns;
}

enum ods_status mysql_grouping_of(struct mysql_folding *folding, struct mysql_work *work)
{
    const struct mysql_plan *plan = NULL; /* of which `columns` are those */
    const uint64_t *columns = NULL;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < work->row_count; i++) {
        struct mysql_row *row = work->rows[i];
        if (!is_whole(folding, row)) {
            status = settle(folding, work, row);
            continue;
        }
        if (row->plan != plan) {
            plan = row->plan;
            columns = whole_columns(folding, plan);
        }
        if (!columns)
            return error_out_of_memory(folding->error);
        row->image = folding->batch->changes[row->last].after;
        row->stamp = &folding->batch->changes[row->last];
        folding->fold->folded += row->chain - 1;
        status = add(folding, work, MYSQL_UPSERTS, row, columns);
    }
    return status;
}
