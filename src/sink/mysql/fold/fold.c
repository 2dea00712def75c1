/* Last change for each key. See fold.h. */
#include "sink/mysql/fold/fold.h"

#include <string.h>

#include <ods/pipeline.h>

#include "core/hash.h"
#include "sink/mysql/fold/folding.h"
#include "sink/rows/aside.h"

/* --- what is set aside ----------------------------------------------------------------------- */

static bool is_redacted(const struct mysql_plan *plan, const char *column)
{
    for (uint32_t i = 0; plan->table && i < plan->shape->column_count; i++)
        if (plan->target_of[i] >= 0 &&
            strcmp(plan->table->columns[plan->target_of[i]].name, column) == 0 &&
            strings_contain(&plan->settings->redact, plan->shape->columns[i].name))
            return true;
    return false;
}

/* What the server says may quote any value of the row, and without a column's name nobody knows
 * whose. */
void mysql_fold_hide(const struct mysql_plan *plan, struct error *why)
{
    if (!plan || !plan->settings->redact.count || (*why->column && !is_redacted(plan, why->column)))
        return;
    if (*why->column)
        error_set(why, ODS_REJECT, "column \"%s\": does not take the value, which is redacted",
                  why->column);
    else if (*why->code)
        error_set(why, ODS_REJECT,
                  "MySQL's error %s for a row of table %s; its words are left out, since the table "
                  "has redacted columns",
                  why->code, plan->name);
}

enum ods_status mysql_fold_refuse(struct batch *batch, const struct mysql_plan *plan,
                                  uint32_t change, const struct error *why, struct error *error)
{
    struct error shown = *why;
    mysql_fold_hide(plan, &shown);
    return rows_set_aside(batch, change, &shown, error);
}

static enum ods_status refuse(struct mysql_folding *folding, uint32_t change,
                              const struct error *why)
{
    folding->parted |= rows_is_part(folding->batch, change);
    return mysql_fold_refuse(folding->batch, folding->plans[change], change, why, folding->error);
}

/* --- sections and tables --------------------------------------------------------------------- */

bool mysql_folding_add(struct arena *arena, struct mysql_row ***rows, uint32_t *count,
                       uint32_t *capacity, struct mysql_row *row)
{
    if (*count == *capacity) {
        uint32_t larger = *capacity ? *capacity * 2 : 16;
        struct mysql_row **moved = arena_alloc(arena, larger * sizeof *moved);
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

static enum ods_status begin_section(struct mysql_folding *folding)
{
    struct mysql_section *section = arena_alloc(folding->arena, sizeof *section);
    if (!section)
        return error_out_of_memory(folding->error);
    *section = (struct mysql_section){0};
    if (folding->section)
        folding->section->next = section;
    else
        folding->fold->sections = section;
    folding->section = section;
    folding->tail = &section->works;
    hash_index_done(&folding->rows);
    hash_index_done(&folding->coarsely);
    hash_index_done(&folding->works);
    return ODS_OK;
}

static struct mysql_work *work_for(struct mysql_folding *folding, const struct mysql_plan *plan)
{
    uint64_t hash = hash_bytes(&plan->table, sizeof plan->table, 0);
    size_t at = hash_index_start(hash);
    struct mysql_work *work;
    while ((work = hash_index_next(&folding->works, hash, &at)))
        if (work->table == plan->table)
            return work;
    work = arena_alloc(folding->arena, sizeof *work);
    if (!work || !hash_index_reserve(&folding->works))
        return NULL;
    *work = (struct mysql_work){.table = plan->table, .plan = plan, .loose_tail = &work->loose};
    hash_index_add(&folding->works, hash, work);
    *folding->tail = work;
    folding->tail = &work->next;
    return work;
}

static bool same_key(const struct mysql_plan *one, const struct mysql_plan *other)
{
    return one == other || (one->key_count == other->key_count &&
                            memcmp(one->key_target, other->key_target,
                                   one->key_count * sizeof *one->key_target) == 0);
}

/* --- keys ------------------------------------------------------------------------------------ */

static const struct value *image_of(const struct change *change)
{
    return change->after ? change->after : change->before;
}

enum ods_status mysql_folding_key(struct mysql_folding *folding, const struct mysql_plan *plan,
                                  const struct change *change, struct mysql_out *key,
                                  struct error *why)
{
    const struct value *image = image_of(change);
    if (!image)
        return error_set(why, ODS_REJECT, "the change carries no row");
    folding->encoding->table = plan->settings;
    folding->encoding->key = true;
    enum ods_status status = ODS_OK;
    for (uint32_t k = 0; status == ODS_OK && k < plan->key_count; k++) {
        const struct mysql_column *target = &plan->table->columns[plan->key_target[k]];
        const struct source_column *source = &plan->sources[plan->key_source[k]];
        const struct value *value = &image[plan->key_source[k]];
        if (value->kind == VALUE_ABSENT || value->kind == VALUE_NULL)
            key[k].form = MYSQL_NULL;
        else
            status = mysql_encode(folding->encoding, target, source, value, folding->arena, &key[k],
                                  why);
        if (status == ODS_OK && key[k].form == MYSQL_NULL)
            status = error_set(why, ODS_REJECT, "column \"%s\": the key is NULL or missing",
                               target->name);
    }
    folding->encoding->key = false;
    return status;
}

/* Texts that a collation may take for equal have the same coarse form. *foreign: only the server
 * knows it. */
static void put_coarse(struct buffer *out, const struct mysql_out *key, bool *foreign)
{
    uint32_t length = key->length;
    while (length && key->bytes[length - 1] == ' ')
        length--;
    char *at = buffer_take(out, length);
    for (uint32_t i = 0; at && i < length; i++) {
        unsigned char byte = (unsigned char) key->bytes[i];
        *foreign |= byte >= 0x80 || byte < 0x20;
        at[i] = (char) (byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
    }
}

static void identify(struct mysql_folding *folding, const struct mysql_plan *plan,
                     const struct mysql_out *key, bool *foreign)
{
    *foreign = false;
    buffer_reset(&folding->identity);
    buffer_reset(&folding->coarse);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        buffer_add(&folding->identity, &key[k].length, sizeof key[k].length);
        buffer_add(&folding->identity, key[k].bytes, key[k].length);
        if (!plan->spelt)
            continue;
        if (plan->table->columns[plan->key_target[k]].collated)
            put_coarse(&folding->coarse, &key[k], foreign);
        else
            buffer_add(&folding->coarse, key[k].bytes, key[k].length);
        buffer_add(&folding->coarse, "", 1);
    }
}

static struct mysql_row *find_row(struct mysql_folding *folding, const struct mysql_work *work,
                                  uint64_t hash)
{
    size_t at = hash_index_start(hash);
    struct mysql_row *row;
    while ((row = hash_index_next(&folding->rows, hash, &at)))
        if (!row->gone && row->plan->table == work->table &&
            row->identity_bytes == folding->identity.length &&
            memcmp(row->identity, folding->identity.bytes, row->identity_bytes) == 0)
            return row;
    return NULL;
}

static bool meets_another(struct mysql_folding *folding, const struct mysql_work *work,
                          uint64_t coarse, bool foreign)
{
    size_t at = hash_index_start(coarse);
    if (!work->row_count)
        return false;
    return foreign || work->foreign || hash_index_next(&folding->coarsely, coarse, &at);
}

static enum ods_status new_row(struct mysql_folding *folding, struct mysql_work *work,
                               const struct mysql_plan *plan, uint64_t hash, uint64_t coarse,
                               struct mysql_row **row)
{
    char *kept = arena_strndup(folding->arena, folding->identity.bytes, folding->identity.length);
    *row = arena_alloc(folding->arena, sizeof **row);
    if (!*row || !kept || !hash_index_reserve(&folding->rows) ||
        !hash_index_reserve(&folding->coarsely))
        return error_out_of_memory(folding->error);
    **row = (struct mysql_row){.plan = plan,
                               .identity = kept,
                               .identity_bytes = (uint32_t) folding->identity.length};
    hash_index_add(&folding->rows, hash, *row);
    if (plan->spelt)
        hash_index_add(&folding->coarsely, coarse, *row);
    return mysql_folding_add(folding->arena, &work->rows, &work->row_count, &work->row_capacity,
                             *row)
               ? ODS_OK
               : error_out_of_memory(folding->error);
}

static enum ods_status add_keyed(struct mysql_folding *folding, struct mysql_work *work,
                                 uint32_t index)
{
    const struct mysql_plan *plan = folding->plans[index];
    struct mysql_out *key = arena_alloc(folding->arena, plan->key_count * sizeof *key);
    struct error why;
    bool foreign;
    error_init(&why);
    if (!key)
        return error_out_of_memory(folding->error);
    enum ods_status status =
        mysql_folding_key(folding, plan, &folding->batch->changes[index], key, &why);
    if (status == ODS_REJECT)
        return refuse(folding, index, &why);
    if (status != ODS_OK)
        return error_set(folding->error, status, "%s", why.text);
    identify(folding, plan, key, &foreign);
    uint64_t seed = (uint64_t) (uintptr_t) plan->table;
    uint64_t hash = hash_bytes(folding->identity.bytes, folding->identity.length, seed);
    uint64_t coarse =
        plan->spelt ? hash_bytes(folding->coarse.bytes, folding->coarse.length, seed) : 0;
    struct mysql_row *row = find_row(folding, work, hash);
    if (!same_key(work->plan, plan) ||
        (!row && plan->spelt && meets_another(folding, work, coarse, foreign))) {
        status = begin_section(folding);
        work = status == ODS_OK ? work_for(folding, plan) : NULL;
        row = NULL;
    }
    if (!work || folding->identity.failed || folding->coarse.failed)
        return error_out_of_memory(folding->error);
    folding->previous[index] = row ? row->last : UINT32_MAX;
    if (!row)
        status = new_row(folding, work, plan, hash, coarse, &row);
    if (status != ODS_OK)
        return status;
    work->foreign |= foreign;
    row->plan = plan;
    row->key = key;
    row->last = index;
    row->chain++;
    return ODS_OK;
}

static enum ods_status add_loose(struct mysql_folding *folding, struct mysql_work *work,
                                 uint32_t index)
{
    struct mysql_loose *loose = arena_alloc(folding->arena, sizeof *loose);
    if (!loose)
        return error_out_of_memory(folding->error);
    *loose = (struct mysql_loose){.plan = folding->plans[index], .change = index};
    *work->loose_tail = loose;
    work->loose_tail = &loose->next;
    return ODS_OK;
}

/* All that stands before it in its table is gone. */
static enum ods_status truncate(struct mysql_folding *folding, struct mysql_work *work,
                                uint32_t index)
{
    for (uint32_t i = 0; i < work->row_count; i++) {
        work->rows[i]->gone = true;
        folding->fold->folded += work->rows[i]->chain;
    }
    for (struct mysql_loose *loose = work->loose; loose; loose = loose->next)
        folding->fold->folded++;
    work->row_count = 0;
    work->loose = NULL;
    work->loose_tail = &work->loose;
    work->foreign = false;
    work->truncate = true;
    work->truncated_by = index;
    return ODS_OK;
}

/* A delete from a table that is not there. Where the sink would make it with its first row, there
 * is nothing to delete; else the row may be in another table, and nobody can tell in which. */
static enum ods_status fold_nowhere(struct mysql_folding *folding, uint32_t index)
{
    const struct change *change = &folding->batch->changes[index];
    const struct mysql_plan *plan = folding->plans[index];
    struct error why;
    if (plan->settings->on_delete == ON_DELETE_IGNORE || change->op == OP_TRUNCATE) {
        folding->fold->skipped++;
        return ODS_OK;
    }
    if (!change->derived && plan->settings->create_tables) {
        folding->fold->missing++;
        return ODS_OK;
    }
    error_init(&why);
    error_set(&why, ODS_REJECT,
              "a delete of table %.63s: the target has no table %.63s.%.63s: make it, name another "
              "with target:, name the topic in the table's entry (topics:), or set skip: true",
              change->shape->table, plan->schema, plan->name);
    return refuse(folding, index, &why);
}

static enum ods_status fold_change(struct mysql_folding *folding, uint32_t index)
{
    const struct batch *batch = folding->batch;
    const struct change *change = &batch->changes[index];
    const struct mysql_plan *plan = folding->plans[index];
    if (change->rejected ||
        (batch->partial && !batch_reaches(batch, &batch->records[change->record])))
        return ODS_OK;
    if (!plan || plan->skip) {
        folding->fold->skipped++;
        return ODS_OK;
    }
    if (plan->refusal)
        return refuse(folding, index, plan->refusal);
    if (!plan->table)
        return fold_nowhere(folding, index);
    struct mysql_work *work = work_for(folding, plan);
    if (!work)
        return error_out_of_memory(folding->error);
    if (change->op == OP_TRUNCATE && plan->settings->on_truncate == ON_TRUNCATE_APPLY)
        return truncate(folding, work, index);
    if (change->op == OP_TRUNCATE) {
        folding->fold->skipped++;
        return ODS_OK;
    }
    return plan->key_count ? add_keyed(folding, work, index) : add_loose(folding, work, index);
}

enum ods_status mysql_fold_batch(struct mysql_fold *fold, struct arena *arena, struct batch *batch,
                                 const struct mysql_plan *const *plans,
                                 struct mysql_encoding *encoding, struct mysql_conn *conn,
                                 struct error *error)
{
    struct mysql_folding folding = {.fold = fold,
                                    .arena = arena,
                                    .batch = batch,
                                    .plans = plans,
                                    .encoding = encoding,
                                    .conn = conn,
                                    .error = error};
    *fold = (struct mysql_fold){0};
    buffer_init(&folding.identity);
    buffer_init(&folding.coarse);
    folding.previous = arena_alloc(arena, (batch->change_count + 1) * sizeof *folding.previous);
    enum ods_status status =
        folding.previous ? begin_section(&folding) : error_out_of_memory(error);
    if (status == ODS_OK && !hash_index_reserve_many(&folding.rows, batch->change_count))
        status = error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++)
        status = fold_change(&folding, i);
    for (struct mysql_section *section = fold->sections; status == ODS_OK && section;
         section = section->next)
        for (struct mysql_work *work = section->works; status == ODS_OK && work; work = work->next)
            status = mysql_grouping_of(&folding, work);
    hash_index_done(&folding.rows);
    hash_index_done(&folding.coarsely);
    hash_index_done(&folding.works);
    buffer_done(&folding.identity);
    buffer_done(&folding.coarse);
    if (status == ODS_OK && folding.parted)
        status = error_set(error, ODS_REJECT, "a record of several changes was set aside");
    return status;
}
