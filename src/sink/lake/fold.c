/* Last change for each key. See fold.h. */
#include "sink/lake/fold.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/time.h"
#include "sink/rows/aside.h"

#define NONE UINT32_MAX

void lake_fold_init(struct lake_fold *fold)
{
    *fold = (struct lake_fold){0};
    buffer_init(&fold->key);
}

void lake_fold_reset(struct lake_fold *fold)
{
    for (struct lake_work *work = fold->works; work; work = work->next)
        for (uint32_t i = 0; i < work->array_count; i++)
            lake_array_done(&work->arrays[i]);
    fold->works = NULL;
    fold->tail = &fold->works;
}

void lake_fold_done(struct lake_fold *fold)
{
    lake_fold_reset(fold);
    hash_index_done(&fold->rows);
    hash_index_done(&fold->by_table);
    buffer_done(&fold->key);
}

/* --- what is set aside ------------------------------------------------------------------------ */

/* The reason may quote the value, which a redacted column keeps to itself. */
static void hide(const struct lake_plan *plan, struct error *why)
{
    for (uint32_t i = 0; plan && *why->column && i < plan->shape->column_count; i++)
        if (plan->names && plan->names[i] && strcmp(plan->names[i], why->column) == 0 &&
            strings_contain(&plan->settings->redact, plan->shape->columns[i].name))
            error_set(why, ODS_REJECT, "column \"%s\": does not take the value, which is redacted",
                      why->column);
}

enum ods_status lake_fold_refuse(struct lake_fold *fold, uint32_t change, const struct error *why)
{
    struct batch *batch = fold->batch;
    struct error shown = *why;
    if (batch->changes[change].rejected) /* with another change of its record */
        return ODS_OK;
    hide(fold->plans[change], &shown);
    fold->again |= rows_is_part(batch, change);
    return rows_set_aside(batch, change, &shown, fold->error);
}

/* --- tables and keys -------------------------------------------------------------------------- */

static struct lake_work *work_for(struct lake_fold *fold, const struct lake_plan *plan)
{
    uint64_t hash = hash_bytes(&plan->table, sizeof plan->table, 0);
    size_t at = hash_index_start(hash);
    struct lake_work *work;
    while ((work = hash_index_next(&fold->by_table, hash, &at)))
        if (work->table == plan->table)
            return work;
    work = arena_alloc(fold->arena, sizeof *work);
    bool *moves = arena_alloc(fold->arena, fold->batch->claim_count + 1u);
    if (!work || !moves || !hash_index_reserve(&fold->by_table))
        return NULL;
    memset(moves, 0, fold->batch->claim_count + 1u);
    *work = (struct lake_work){.table = plan->table,
                               .appends = plan->table->appends,
                               .moves = moves,
                               .claim = NONE};
    hash_index_add(&fold->by_table, hash, work);
    *fold->tail = work;
    fold->tail = &work->next;
    return work;
}

/* Equal keys are equal bytes. */
static enum ods_status put_key(struct lake_fold *fold, const struct lake_plan *plan,
                               const struct value *value, uint32_t column, struct error *why)
{
    struct lake_encoder encoder = {.encoding = fold->encoding,
                                   .name = plan->names[column],
                                   .source = &plan->sources[column].column,
                                   .value = value,
                                   .error = why};
    const char *text;
    size_t length;
    char kind = (char) value->kind;
    if (value->kind == VALUE_ABSENT)
        return error_set(why, ODS_REJECT, "column \"%s\": the record does not carry the key",
                         plan->names[column]);
    buffer_add(&fold->key, &kind, 1);
    if (value->kind == VALUE_NULL)
        return ODS_OK;
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL) {
        buffer_add(&fold->key, &value->integer, sizeof value->integer);
        return ODS_OK;
    }
    enum ods_status status = lake_text(&encoder, &text, &length);
    if (status == ODS_OK) {
        buffer_add(&fold->key, &length, sizeof length);
        buffer_add(&fold->key, text, length);
    }
    return status;
}

static enum ods_status identify(struct lake_fold *fold, const struct lake_plan *plan,
                                const struct change *change, struct error *why)
{
    const struct value *image = change->after ? change->after : change->before;
    enum ods_status status = ODS_OK;
    if (!image)
        return error_set(why, ODS_REJECT, "the change carries no row");
    buffer_reset(&fold->key);
    for (uint32_t k = 0; status == ODS_OK && k < plan->key_count; k++)
        status = put_key(fold, plan, &image[plan->key[k]], plan->key[k], why);
    return status;
}

static bool add_row(struct lake_fold *fold, struct lake_work *work, struct lake_row *row)
{
    if (work->row_count == work->row_capacity) {
        uint32_t larger = work->row_capacity ? work->row_capacity * 2 : 64;
        struct lake_row **moved = arena_alloc(fold->arena, larger * sizeof *moved);
        if (!moved)
            return false;
        if (work->row_count)
            memcpy(moved, work->rows, work->row_count * sizeof *moved);
        work->rows = moved;
        work->row_capacity = larger;
    }
    work->rows[work->row_count++] = row;
    return true;
}

static struct lake_row *new_row(struct lake_fold *fold, struct lake_work *work, uint32_t index)
{
    struct lake_row *row = arena_alloc(fold->arena, sizeof *row);
    if (!row)
        return NULL;
    *row = (struct lake_row){.plan = fold->plans[index], .last = index, .chain = 1};
    fold->previous[index] = NONE;
    return add_row(fold, work, row) ? row : NULL;
}

static enum ods_status add_keyed(struct lake_fold *fold, struct lake_work *work, uint32_t index)
{
    struct error why;
    error_init(&why);
    enum ods_status status = identify(fold, fold->plans[index], &fold->batch->changes[index], &why);
    if (status == ODS_REJECT)
        return lake_fold_refuse(fold, index, &why);
    if (status != ODS_OK || fold->key.failed)
        return error_out_of_memory(fold->error);
    uint64_t hash = hash_bytes(fold->key.bytes, fold->key.length, (uint64_t) (uintptr_t) work);
    size_t at = hash_index_start(hash);
    struct lake_row *row;
    while ((row = hash_index_next(&fold->rows, hash, &at)))
        if (!row->gone && row->plan->table == work->table && row->key_bytes == fold->key.length &&
            memcmp(row->key, fold->key.bytes, fold->key.length) == 0)
            break;
    if (row) {
        fold->previous[index] = row->last;
        row->plan = fold->plans[index];
        row->last = index;
        row->chain++;
        return ODS_OK;
    }
    row = new_row(fold, work, index);
    char *key = row ? arena_alloc(fold->arena, fold->key.length + 1) : NULL;
    if (!key || !hash_index_reserve(&fold->rows))
        return error_out_of_memory(fold->error);
    memcpy(key, fold->key.bytes, fold->key.length);
    row->key = key;
    row->key_bytes = (uint32_t) fold->key.length;
    hash_index_add(&fold->rows, hash, row);
    return ODS_OK;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* The run of records that the change stands in. */
static uint32_t claim_of(const struct batch *batch, const struct record *record)
{
    for (uint32_t i = 0; i < batch->claim_count; i++)
        if (batch->claims[i].partition == record->partition &&
            (batch->claims[i].topic == record->topic ||
             strcmp(batch->claims[i].topic, record->topic) == 0))
            return i;
    return NONE;
}

/* A delete from a table that is not there. */
static enum ods_status fold_nowhere(struct lake_fold *fold, uint32_t index)
{
    const struct change *change = &fold->batch->changes[index];
    const struct lake_plan *plan = fold->plans[index];
    struct error why;
    if (plan->settings->on_delete == ON_DELETE_IGNORE || change->op == OP_TRUNCATE) {
        fold->skipped++;
        return ODS_OK;
    }
    if (!change->derived && plan->settings->create_tables) {
        fold->missing++;
        return ODS_OK;
    }
    error_init(&why);
    error_set(&why, ODS_REJECT,
              "a delete of table %.63s: the target has no table %.63s/%.63s: name another with "
              "target:, name the topic in the table's entry (topics:), or set skip: true",
              change->shape->table, plan->schema, plan->name);
    return lake_fold_refuse(fold, index, &why);
}

static enum ods_status refuse_with(struct lake_fold *fold, uint32_t index, const char *text)
{
    struct error why;
    error_init(&why);
    error_set(&why, ODS_REJECT, "table %.63s: %s", fold->batch->changes[index].shape->table, text);
    return lake_fold_refuse(fold, index, &why);
}

/* A truncate stands in one partition and means the rows of all: of a topic with several, later rows
 * may have been written already and earlier ones may still come. */
static enum ods_status truncate(struct lake_fold *fold, struct lake_work *work, uint32_t index)
{
    const struct change *change = &fold->batch->changes[index];
    const struct apply_hooks *hooks = fold->hooks;
    int32_t count = 1;
    if (fold->plans[index]->settings->on_delete != ON_DELETE_HARD)
        return refuse_with(fold, index,
                           "a truncate is applied to a table of the lake only with "
                           "on_delete: hard");
    if (hooks && hooks->partitions) {
        enum ods_status status = hooks->partitions(
            hooks->context, fold->batch->records[change->record].topic, &count, fold->error);
        if (status != ODS_OK)
            return status;
    }
    if (count > 1)
        return refuse_with(fold, index,
                           "a truncate in one of several partitions is not ordered "
                           "against the rows of the others, and is not applied: "
                           "delete the rows by hand that are older, or give the "
                           "topic a single partition");
    for (uint32_t i = 0; i < work->row_count; i++) {
        work->rows[i]->gone = true;
        work->folded += work->rows[i]->chain;
    }
    work->row_count = 0;
    work->truncates = true;
    work->truncated++;
    return ODS_OK;
}

/* What the table has stored of a record's partition. */
static int64_t stored_of(struct lake_work *work, uint32_t claim, const struct record *record)
{
    if (claim == NONE || work->claim != claim)
        work->stored = lake_table_offset(work->table, record->topic, record->partition);
    work->claim = claim;
    return work->stored;
}

static enum ods_status fold_change(struct lake_fold *fold, uint32_t index)
{
    const struct change *change = &fold->batch->changes[index];
    const struct record *record = &fold->batch->records[change->record];
    const struct lake_plan *plan = fold->plans[index];
    if (change->rejected)
        return ODS_OK;
    if (!plan || plan->skip) {
        fold->skipped++;
        return ODS_OK;
    }
    if (plan->refusal)
        return lake_fold_refuse(fold, index, plan->refusal);
    if (!plan->table)
        return fold_nowhere(fold, index);
    struct lake_work *work = work_for(fold, plan);
    if (!work)
        return error_out_of_memory(fold->error);
    uint32_t claim = index && fold->batch->changes[index - 1].record == change->record
                         ? fold->claims[index - 1]
                         : claim_of(fold->batch, record);
    fold->claims[index] = claim;
    enum lake_has has = lake_table_has(work->table, record, stored_of(work, claim, record));
    if (has == LAKE_HAS)
        return ODS_OK;
    if (has == LAKE_HAS_ANOTHER)
        return refuse_with(fold, index,
                           "it is appended to, and has another record of this topic, partition "
                           "and offset, from before the topic was made anew: give it another name "
                           "(target:; of a history history.name)");
    work->moves[claim == NONE ? fold->batch->claim_count : claim] = true;
    if (change->op == OP_TRUNCATE && plan->settings->on_truncate == ON_TRUNCATE_APPLY)
        return truncate(fold, work, index);
    if (change->op == OP_TRUNCATE ||
        (change->op == OP_DELETE && plan->settings->on_delete == ON_DELETE_IGNORE &&
         !plan->shape->history_of)) {
        fold->skipped++;
        return ODS_OK;
    }
    if (plan->matches && (change->op == OP_UPDATE || change->op == OP_DELETE))
        return refuse_with(fold, index,
                           "an update or delete of a table without a key, whose rows "
                           "nothing finds in the lake: name a key with key:, or set "
                           "keyless: append");
    if (!work->appends)
        return add_keyed(fold, work, index);
    return new_row(fold, work, index) ? ODS_OK : error_out_of_memory(fold->error);
}

static enum ods_status fold_once(struct lake_fold *fold)
{
    enum ods_status status = ODS_OK;
    lake_fold_reset(fold);
    hash_index_done(&fold->rows);
    hash_index_done(&fold->by_table);
    fold->again = false;
    fold->skipped = fold->missing = 0;
    if (!hash_index_reserve_many(&fold->rows, fold->batch->change_count))
        return error_out_of_memory(fold->error);
    for (uint32_t i = 0; status == ODS_OK && i < fold->batch->change_count; i++)
        status = fold_change(fold, i);
    for (struct lake_work *work = fold->works; status == ODS_OK && work; work = work->next)
        status = lake_fold_rows(fold, work);
    return status;
}

enum ods_status lake_fold_batch(struct lake_fold *fold, struct arena *arena, struct batch *batch,
                                const struct lake_plan **plans, struct lake_encoding *encoding,
                                const struct apply_hooks *hooks, struct error *error)
{
    enum ods_status status;
    fold->arena = arena;
    fold->batch = batch;
    fold->plans = plans;
    fold->encoding = encoding;
    fold->hooks = hooks;
    fold->now_us = time_wall_us();
    fold->error = error;
    fold->previous = arena_alloc(arena, (batch->change_count + 1u) * sizeof *fold->previous);
    fold->claims = arena_alloc(arena, (batch->change_count + 1u) * sizeof *fold->claims);
    if (!fold->previous || !fold->claims)
        return error_out_of_memory(error);
    do
        status = fold_once(fold);
    while (status == ODS_OK && fold->again);
    return status;
}
