/* Last change per key. See fold.h. */
#include "sink/postgres/fold/fold.h"

#include <string.h>

#include "core/hash.h"
#include "sink/postgres/fold/folding.h"
#include "sink/postgres/fold/grouping.h"
#include "sink/postgres/fold/spelling.h"
#include "sink/rows/aside.h"

static bool is_redacted(const struct plan *plan, const char *target_column)
{
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (plan->names[i] && strcmp(plan->names[i], target_column) == 0 &&
            strings_contain(&plan->settings->redact, plan->shape->columns[i].name))
            return true;
    return false;
}

void fold_hide_redacted(const struct plan *plan, struct error *why)
{
    char column[sizeof why->column];
    if (!plan->settings->redact.count || !*why->column || !is_redacted(plan, why->column))
        return;
    memcpy(column, why->column, sizeof column);
    error_set(why, ODS_REJECT, "column \"%s\": does not take the value, which is redacted",
              column);
}

void fold_hide_redacted_key(const struct plan *plan, struct error *why)
{
    bool redacted = false;
    for (uint32_t k = 0; k < plan->key_count; k++)
        redacted |= strings_contain(&plan->settings->redact,
                                    plan->shape->columns[plan->key_source[k]].name);
    if (redacted)
        error_set(why, ODS_REJECT,
                  "the key can't be read as the table's, and a column of it is redacted");
    else
        fold_hide_redacted(plan, why);
}

/* While the batch is folded. Other changes of the record may be folded already: then the batch has
 * to be folded again. */
static enum ods_status reject(struct folding *folding, uint32_t change, struct error *why)
{
    fold_hide_redacted(folding->plans[change], why);
    folding->parted |= rows_is_part(folding->batch, change);
    return rows_set_aside(folding->batch, change, why, folding->error);
}

bool folding_add_row(struct arena *arena, struct row ***rows, uint32_t *count, uint32_t *capacity,
                     struct row *row)
{
    if (*count == *capacity) {
        uint32_t larger = *capacity ? *capacity * 2 : 16;
        struct row **moved = arena_alloc(arena, larger * sizeof *moved);
        if (!moved)
            return false;
        if (*count)
            memcpy(moved, *rows, *count * sizeof *moved);
        *rows = moved;
        *capacity = larger;
    }
    (*rows)[(*count)++] = row;
    return true;
}

static struct table_work *work_for(struct folding *folding, struct pg_table *table)
{
    uint64_t hash = hash_bytes(&table, sizeof table, 0);
    size_t at = hash_index_start(hash);
    struct table_work *work;
    while ((work = hash_index_next(&folding->works, hash, &at)))
        if (work->table == table)
            return work;
    work = arena_alloc(folding->arena, sizeof *work);
    if (!work || !hash_index_reserve(&folding->works))
        return NULL;
    *work = (struct table_work){.table = table, .loose_tail = &work->loose};
    hash_index_add(&folding->works, hash, work);
    *folding->tail = work;
    folding->tail = &work->next;
    return work;
}

static const struct value *image_of(const struct change *change)
{
    return change->after ? change->after : change->before;
}

enum ods_status fold_key(struct encoder *encoder, struct buffer *out, const struct plan *plan,
                         const struct change *change, struct error *why)
{
    const struct value *image = image_of(change);
    buffer_reset(out);
    if (!image)
        return error_set(why, ODS_REJECT, "the change carries no row");
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const struct pg_column *target = &plan->table->columns[plan->key_target[k]];
        const struct value *value = &image[plan->key_source[k]];
        if (value->kind == VALUE_NULL || value->kind == VALUE_ABSENT)
            return encode_refuse(target, "23502", "the key is NULL or missing", why);
        enum ods_status status =
            encode_value(encoder, out, target, &plan->sources[plan->key_source[k]], value, why);
        if (status != ODS_OK)
            return status;
    }
    return out->failed ? error_out_of_memory(why) : ODS_OK;
}

/* The bytes that are the same for all keys which the target calls equal, of the key in
 * folding->key. */
static const struct buffer *identity_of(struct folding *folding, const struct plan *plan,
                                        uint32_t index)
{
    if (!plan->spelt)
        return &folding->key;
    if (plan->asks && folding->first) {
        buffer_reset(&folding->reduced);
        buffer_add(&folding->reduced, &folding->first[index], sizeof *folding->first);
    } else {
        spelling_reduce(plan, &folding->key, &folding->reduced);
    }
    return &folding->reduced;
}

static struct row *find_row(struct folding *folding, const struct plan *plan,
                            const struct buffer *identity, uint64_t hash)
{
    size_t at = hash_index_start(hash);
    struct row *row;
    while ((row = hash_index_next(&folding->rows, hash, &at)))
        if (!row->gone && row->plan->table == plan->table &&
            row->identity_bytes == identity->length &&
            memcmp(row->identity, identity->bytes, row->identity_bytes) == 0 &&
            plan_same_key(row->plan, plan))
            return row;
    return NULL;
}

static const char *keep_bytes(struct folding *folding, const struct buffer *bytes)
{
    char *kept = arena_alloc(folding->arena, bytes->length);
    return kept ? memcpy(kept, bytes->bytes, bytes->length) : NULL;
}

static struct row *new_row(struct folding *folding, const struct plan *plan,
                           const struct buffer *identity, uint64_t hash)
{
    struct row *row = arena_alloc(folding->arena, sizeof *row);
    const char *kept = keep_bytes(folding, identity);
    if (!row || !kept)
        return NULL;
    *row = (struct row){.plan = plan,
                        .key = kept,
                        .identity = kept,
                        .identity_bytes = (uint32_t) identity->length};
    hash_index_add(&folding->rows, hash, row);
    return row;
}

static enum ods_status add_keyed(struct folding *folding, struct table_work *work, uint32_t index)
{
    const struct plan *plan = folding->plans[index];
    struct error why;
    error_init(&why);
    enum ods_status status =
        fold_key(folding->encoder, &folding->key, plan, &folding->batch->changes[index], &why);
    if (status == ODS_REJECT)
        return reject(folding, index, &why);
    if (status != ODS_OK)
        return error_set(folding->error, status, "%s", why.text);
    const struct buffer *identity = identity_of(folding, plan, index);
    if (identity->failed)
        return error_out_of_memory(folding->error);
    uint64_t hash =
        hash_bytes(identity->bytes, identity->length, (uint64_t) (uintptr_t) plan->table);
    struct row *row = find_row(folding, plan, identity, hash);
    folding->previous[index] = row ? row->last : UINT32_MAX;
    if (!row) {
        row = new_row(folding, plan, identity, hash);
        if (!row || !folding_add_row(folding->arena, &work->rows, &work->row_count,
                                     &work->row_capacity, row))
            return error_out_of_memory(folding->error);
    }
    if (plan->spelt && !(row->key = keep_bytes(folding, &folding->key)))
        return error_out_of_memory(folding->error);
    row->plan = plan;
    row->last = index;
    row->chain++;
    return ODS_OK;
}

/* A row of a history: no other has its key, so there is nothing to look for. */
static enum ods_status add_kept(struct folding *folding, struct table_work *work, uint32_t index)
{
    struct row *row = arena_alloc(folding->arena, sizeof *row);
    if (!row || !folding_add_row(folding->arena, &work->rows, &work->row_count,
                                 &work->row_capacity, row))
        return error_out_of_memory(folding->error);
    *row = (struct row){.plan = folding->plans[index], .last = index, .chain = 1};
    folding->previous[index] = UINT32_MAX;
    return ODS_OK;
}

static enum ods_status add_loose(struct folding *folding, struct table_work *work, uint32_t index)
{
    struct loose *loose = arena_alloc(folding->arena, sizeof *loose);
    if (!loose)
        return error_out_of_memory(folding->error);
    *loose = (struct loose){.plan = folding->plans[index], .change = index};
    *work->loose_tail = loose;
    work->loose_tail = &loose->next;
    return ODS_OK;
}

/* A truncate removes all that stands before it in its table. */
static void apply_truncate(struct folding *folding, struct table_work *work, uint32_t index)
{
    for (uint32_t i = 0; i < work->row_count; i++) {
        work->rows[i]->gone = true;
        folding->fold->folded += work->rows[i]->chain;
    }
    for (struct loose *loose = work->loose; loose; loose = loose->next)
        folding->fold->folded++;
    work->row_count = 0;
    work->loose = NULL;
    work->loose_tail = &work->loose;
    work->truncate = true;
    work->truncated_by = &folding->batch->changes[index];
    work->truncate_plan = folding->plans[index];
}

bool fold_cell(const struct row *row, uint32_t column, struct cell *cell)
{
    if (row->cells) {
        *cell = row->cells[column];
        return cell->column != NULL;
    }
    int32_t source = row->plan->source_of[column];
    if (source < 0)
        return false;
    cell->column = &row->plan->sources[source];
    cell->value = &row->image[source];
    return true;
}

/* Encodes each column of a change, only to see whether that can be done. */
static enum ods_status try_encode(struct folding *folding, const struct plan *plan,
                                  const struct change *change, struct error *why)
{
    for (uint32_t i = 0; change->after && i < change->shape->column_count; i++) {
        int32_t target = plan->target_of[i];
        if (target < 0 || change->after[i].kind == VALUE_ABSENT)
            continue;
        buffer_reset(&folding->key);
        enum ods_status status =
            encode_value(folding->encoder, &folding->key, &plan->table->columns[target],
                         &plan->sources[i], &change->after[i], why);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

/* A delete from a table that the target does not have. Where the sink would make the table with its
 * first row, there is no row to delete. Otherwise the row may be in another table, and nobody can
 * tell in which. */
static enum ods_status fold_nowhere(struct folding *folding, uint32_t index)
{
    const struct change *change = &folding->batch->changes[index];
    const struct plan *plan = folding->plans[index];
    const char *topic = folding->batch->records[change->record].topic;
    struct error why;
    if (plan->settings->on_delete == ON_DELETE_IGNORE) {
        folding->fold->skipped++;
        return ODS_OK;
    }
    if (!change->derived && plan->settings->create_tables) {
        folding->fold->missing++;
        return ODS_OK;
    }
    error_init(&why);
    if (change->derived)
        error_set(&why, ODS_REJECT,
                  "a tombstone of topic %.150s: the target has no table %.63s.%.63s, which the "
                  "topic or the key's schema is named after, so the table of this delete can't be "
                  "told; name the topic in the table's entry of tables.yaml (topics: [%.150s]), or "
                  "have tombstones passed over (on_tombstone: ignore)",
                  topic, plan->schema, plan->name, topic);
    else
        error_set(&why, ODS_REJECT,
                  "a delete of table %.63s: the target has no table %.63s.%.63s, and create_tables "
                  "is false: make it, name another with target:, or set skip: true",
                  change->shape->table, plan->schema, plan->name);
    return reject(folding, index, &why);
}

static enum ods_status fold_change(struct folding *folding, uint32_t index)
{
    const struct change *change = &folding->batch->changes[index];
    const struct plan *plan = folding->plans[index];
    const struct batch *batch = folding->batch;
    if (change->rejected ||
        (batch->partial && !batch_reaches(batch, &batch->records[change->record])))
        return ODS_OK;
    if (plan && !plan->skip && !plan->table && (change->op == OP_DELETE || change->derived))
        return fold_nowhere(folding, index);
    if (!plan || plan->skip || !plan->table) {
        folding->fold->skipped++;
        return ODS_OK;
    }
    struct table_work *work = work_for(folding, plan->table);
    if (!work)
        return error_out_of_memory(folding->error);
    if (change->op == OP_TRUNCATE) {
        if (plan->settings->on_truncate == ON_TRUNCATE_APPLY)
            apply_truncate(folding, work, index);
        else
            folding->fold->skipped++;
        return ODS_OK;
    }
    struct error why;
    error_init(&why);
    bool validate = folding->flags & FOLD_VALIDATE;
    enum ods_status status = validate ? try_encode(folding, plan, change, &why) : ODS_OK;
    if (status == ODS_REJECT)
        return reject(folding, index, &why);
    if (status != ODS_OK)
        return error_set(folding->error, status, "%s", why.text);
    if (plan->shape->history_of)
        return add_kept(folding, work, index);
    return plan->key_count ? add_keyed(folding, work, index) : add_loose(folding, work, index);
}

enum ods_status fold_batch(struct fold *fold, struct arena *arena, struct batch *batch,
                           const struct plan *const *plans, struct inherited *const *inherited,
                           const uint32_t *first, struct encoder *encoder, unsigned flags,
                           struct error *error)
{
    struct folding folding = {.fold = fold,
                              .arena = arena,
                              .batch = batch,
                              .plans = plans,
                              .inherited = inherited,
                              .first = first,
                              .encoder = encoder,
                              .flags = flags,
                              .tail = &fold->tables,
                              .error = error};
    enum ods_status status = ODS_OK;
    *fold = (struct fold){0};
    buffer_init(&folding.key);
    folding.previous = arena_alloc(arena, (batch->change_count + 1) * sizeof *folding.previous);
    if (!folding.previous || !hash_index_reserve_many(&folding.rows, batch->change_count))
        return error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++)
        status = fold_change(&folding, i);
    for (struct table_work *work = fold->tables; status == ODS_OK && work; work = work->next)
        status = grouping_of(&folding, work);
    hash_index_done(&folding.rows);
    hash_index_done(&folding.works);
    buffer_done(&folding.key);
    buffer_done(&folding.reduced);
    if (status == ODS_OK && folding.parted)
        status = error_set(error, ODS_REJECT, "a record of several changes was set aside");
    return status;
}
