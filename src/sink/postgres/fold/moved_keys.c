/* Which changes of moved keys are outdated. See moved_keys.h. */
#include "sink/postgres/fold/moved_keys.h"

#include <string.h>

#include "core/hash.h"
#include "sink/postgres/fold/fold.h"
#include "sink/postgres/fold/moved_store.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/rows/aside.h"
#include "sql/postgres/moved_keys_keep.h"
#include "sql/postgres/moved_keys_unlock.h"

#define KEEP_BYTES ((size_t) 1 << 20)

static bool is_older(const struct moved_keys *moved, const struct moment *a,
                     const struct moment *b)
{
    if (moved->merges)
        return a->record_ms != b->record_ms ? a->record_ms < b->record_ms
                                            : a->sequence < b->sequence;
    if (a->partition == b->partition && strcmp(a->topic, b->topic) == 0)
        return false; /* it comes after the other one in their partition */
    if (a->record_ms != b->record_ms)
        return a->record_ms < b->record_ms;
    return a->sequence && b->sequence && a->sequence < b->sequence;
}

/* The number at the end of a binary log's name: mysql-bin.000042. */
static int64_t file_number(const struct value *file)
{
    uint32_t at = file->length;
    int64_t number = 0, unit = 1;
    for (; at && file->length - at < 18 && file->bytes[at - 1] >= '0' && file->bytes[at - 1] <= '9';
         at--, unit *= 10)
        number += (file->bytes[at - 1] - '0') * unit;
    return number;
}

/* False: the change does not say where it was at its source. */
static bool position_of(const struct change *change, int64_t *first, int64_t *second)
{
    const struct source_position *position = change->position;
    if (!position)
        return false;
    *second = position->order.kind == VALUE_INT ? position->order.integer : 0;
    if (position->lsn.kind == VALUE_INT)
        *first = position->lsn.integer;
    else if (position->scn.kind == VALUE_INT)
        *first = position->scn.integer;
    else if (position->scn.kind == VALUE_TEXT && position->scn.length)
        *first = file_number(&position->scn);
    else if (position->file.kind == VALUE_TEXT && position->pos.kind == VALUE_INT)
        *first = file_number(&position->file);
    else
        return false;
    if (position->file.kind == VALUE_TEXT && position->pos.kind == VALUE_INT)
        *second = position->pos.integer << 20 |
                  (position->row.kind == VALUE_INT ? position->row.integer & 0xfffff : 0);
    return true;
}

/* By the record's time and order, or by the source's position: then two numbers of that. */
static struct moment moment_of(const struct moved_keys *moved, const struct batch *batch,
                               const struct change *change)
{
    const struct record *record = &batch->records[change->record];
    struct moment moment = {.topic = record->topic, .partition = record->partition};
    if (moved->merges && position_of(change, &moment.record_ms, &moment.sequence))
        return moment;
    return (struct moment){.topic = record->topic,
                           .partition = record->partition,
                           .record_ms = record->timestamp_ms,
                           .sequence = change->sequence};
}

/* --- the batch's keys ------------------------------------------------------------------------ */

static uint32_t find_key(struct sorting *sorting, const struct plan *plan)
{
    const char *name = plan->table->quoted;
    size_t name_length = strlen(name);
    const struct buffer *key = &sorting->key;
    uint64_t hash = hash_bytes(key->bytes, key->length, hash_bytes(name, name_length, 0));
    size_t at = hash_index_start(hash);
    struct moving *moving;
    while ((moving = hash_index_next(&sorting->index, hash, &at)))
        if (moving->plan->table == plan->table &&
            moving->length - moving->name_length == key->length &&
            memcmp(moving->bytes + moving->name_length, key->bytes, key->length) == 0)
            return (uint32_t) (moving - sorting->keys);
    char *bytes = arena_alloc(sorting->arena, name_length + key->length);
    if (!bytes || !hash_index_reserve(&sorting->index))
        return NO_KEY;
    memcpy(bytes, name, name_length);
    memcpy(bytes + name_length, key->bytes, key->length);
    moving = &sorting->keys[sorting->count];
    *moving = (struct moving){.plan = plan,
                              .bytes = bytes,
                              .name_length = name_length,
                              .length = name_length + key->length};
    hash_index_add(&sorting->index, hash, moving);
    return sorting->count++;
}

/* Could a change in another partition contradict this one? Only where rows have a key. */
static bool is_in_question(const struct sorting *sorting, uint32_t index)
{
    const struct change *change = &sorting->batch->changes[index];
    const struct plan *plan = sorting->plans[index];
    if (change->rejected || !plan || plan->skip || !plan->table || !plan->key_count ||
        change->op == OP_TRUNCATE || change->shape->history_of)
        return false;
    return sorting->moved->merges ||
           (change->shape->scattered &&
            plan->settings->on_delete != ON_DELETE_IGNORE && /* whose old rows stay anyway */
            sorting->batch->records[change->record].timestamp_ms >= 0);
}

static enum ods_status collect_keys(struct sorting *sorting)
{
    uint32_t count = sorting->batch->change_count;
    struct error ignored; /* the fold meets the same error, and sets the change aside */
    sorting->keys = arena_alloc(sorting->arena, count * sizeof *sorting->keys);
    sorting->of_change = arena_alloc(sorting->arena, count * sizeof *sorting->of_change);
    if (!sorting->keys || !sorting->of_change)
        return error_out_of_memory(sorting->error);
    for (uint32_t i = 0; i < count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        const struct plan *plan = sorting->plans[i];
        sorting->of_change[i] = NO_KEY;
        error_init(&ignored);
        if (!is_in_question(sorting, i))
            continue;
        enum ods_status status =
            fold_key(sorting->moved->encoder, &sorting->key, plan, change, &ignored);
        if (status == ODS_REJECT)
            continue;
        uint32_t key = status == ODS_OK ? find_key(sorting, plan) : NO_KEY;
        if (key == NO_KEY)
            return error_out_of_memory(sorting->error);
        sorting->of_change[i] = key;
        sorting->keys[key].tracked |= change->moved || sorting->moved->merges;
    }
    return ODS_OK;
}

/* --- what is outdated ------------------------------------------------------------------------ */

/* This is now the newest change of the key. Within a partition the clock may go back: then the
 * later time stays. */
static void take(struct moving *moving, const struct moment *moment)
{
    int64_t newest_ms = moving->known ? moving->newest.record_ms : INT64_MIN;
    moving->newest = *moment;
    if (newest_ms > moment->record_ms)
        moving->newest.record_ms = newest_ms;
    moving->known = true;
}

/* A tombstone says no more than the delete before it. */
static bool is_told_before(const struct change *change)
{
    int64_t first, second;
    return change->tombstone && !position_of(change, &first, &second);
}

/* Changes that can't be put in order become dead letters. */
static enum ods_status refuse_unplaced(struct sorting *sorting)
{
    enum ods_status status = ODS_OK;
    int64_t first, second;
    for (uint32_t i = 0; status == ODS_OK && i < sorting->batch->change_count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        struct error why;
        if (!moving_of(sorting, i) || change->rejected || change->tombstone ||
            position_of(change, &first, &second))
            continue;
        error_init(&why);
        error_set(&why, ODS_REJECT,
                  "input.consumers is merged, and the record does not say where in the source's "
                  "log its change stands (lsn, scn, or file and pos)");
        why.fault = FAULT_ROW;
        status = rows_set_aside(sorting->batch, i, &why, sorting->error);
    }
    return status;
}

/* Compares each change, in the batch's order, with the newest one of its key so far. */
static void judge(struct sorting *sorting)
{
    struct moved_keys *moved = sorting->moved;
    for (uint32_t i = 0; i < sorting->batch->change_count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        struct moving *moving = moving_of(sorting, i);
        if (!moving || !moving->tracked || change->rejected)
            continue;
        const struct moment moment = moment_of(moved, sorting->batch, change);
        moved->tracked[i] = true;
        if (moved->merges && is_told_before(change)) {
            moved->outdated[i] = true;
            continue;
        }
        moved->outdated[i] = moving->known ? is_older(moved, &moment, &moving->newest)
                                           : moving->newer && ends_old_key(change);
        if (moved->outdated[i])
            continue;
        take(moving, &moment);
        moving->noted |= change->moved || change->op == OP_CREATE || change->op == OP_READ ||
                         moved->merges;
    }
}

/* --- the batch ------------------------------------------------------------------------------- */

static bool *flags(struct sorting *sorting)
{
    size_t bytes = sorting->batch->change_count * sizeof(bool);
    bool *flags = arena_alloc(sorting->arena, bytes);
    return flags ? memset(flags, 0, bytes) : NULL;
}

static enum ods_status sort_out(struct sorting *sorting, bool kept)
{
    struct moved_keys *moved = sorting->moved;
    enum ods_status status = collect_keys(sorting);
    moved->outdated = flags(sorting);
    moved->tracked = flags(sorting);
    if (status == ODS_OK && (!moved->outdated || !moved->tracked))
        status = error_out_of_memory(sorting->error);
    if (status == ODS_OK && moved->merges)
        status = refuse_unplaced(sorting);
    if (status == ODS_OK && kept && sorting->count)
        status = moved_store_read(sorting);
    if (status == ODS_OK && !moved->merges)
        status = moved_store_find_newer(sorting);
    if (status != ODS_OK)
        return status;
    judge(sorting);
    return moved_store_note(sorting);
}

static enum ods_status find_out(struct sorting *sorting, bool any_moved)
{
    struct moved_keys *moved = sorting->moved;
    enum ods_status status = ODS_OK;
    bool kept = false;
    arena_reset(&moved->arena, KEEP_BYTES);
    moved->noted = false;
    moved->outdated = moved->tracked = NULL;
    buffer_init(&sorting->key);
    buffer_init(&sorting->sql);
    if (moved->generation != moved->conn->generation)
        status = own_schema_prepare_table(moved->conn, "moved_keys", sorting->error);
    if (status == ODS_OK) {
        moved->generation = moved->conn->generation;
        status = moved->locked ? ODS_OK : moved_store_lock(sorting, any_moved);
    }
    if (status == ODS_OK)
        status = moved_store_has_any(sorting, &kept);
    if (status == ODS_OK && (kept || any_moved))
        status = sort_out(sorting, kept);
    hash_index_done(&sorting->index);
    buffer_done(&sorting->key);
    buffer_done(&sorting->sql);
    moved->known = status == ODS_OK;
    return status;
}

enum ods_status moved_keys_sort_out(struct moved_keys *moved, struct batch *batch,
                                    const struct plan **plans, uint64_t *outdated,
                                    struct error *error)
{
    struct sorting sorting = {
        .moved = moved, .batch = batch, .plans = plans, .error = error, .arena = &moved->arena};
    bool scattered = false, any_moved = moved->merges;
    *outdated = 0;
    for (uint32_t i = 0; i < batch->change_count; i++) {
        scattered |= (batch->changes[i].shape->scattered || moved->merges) && plans[i] &&
                     plans[i]->key_count;
        any_moved |= batch->changes[i].moved;
    }
    if (!scattered || batch->apart)
        return ODS_OK;
    if (!moved->known) {
        enum ods_status status = find_out(&sorting, any_moved);
        if (status != ODS_OK)
            return status;
    }
    for (uint32_t i = 0; moved->outdated && i < batch->change_count; i++)
        if (moved->outdated[i] && plans[i] && !batch->changes[i].rejected) {
            plans[i] = NULL;
            ++*outdated;
        }
    return ODS_OK;
}

enum ods_status moved_keys_send(struct moved_keys *moved, struct error *error)
{
    static const Oid types[] = {OID_TEXT,       OID_BYTEA_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY,
                                OID_INT4_ARRAY, OID_INT8_ARRAY,  OID_INT8_ARRAY};
    return own_send_params(moved->conn, sql_moved_keys_keep, types, moved->notes, 7, error);
}

/* --- the struct ------------------------------------------------------------------------------ */

void moved_keys_init(struct moved_keys *moved, struct conn *conn, struct encoder *encoder,
                     const char *group)
{
    *moved = (struct moved_keys){.conn = conn, .encoder = encoder, .group = group};
    arena_init(&moved->arena);
}

void moved_keys_done(struct moved_keys *moved)
{
    arena_done(&moved->arena);
    for (size_t i = 0; i < sizeof moved->notes / sizeof *moved->notes; i++)
        buffer_done(&moved->notes[i]);
}

void moved_keys_begin(struct moved_keys *moved)
{
    moved->known = moved->locked = moved->noted = false;
    moved->outdated = moved->tracked = NULL;
}

void moved_keys_release(struct moved_keys *moved)
{
    struct error ignored; /* a connection that breaks gives its locks up */
    bool locked = moved->locked;
    moved->locked = false;
    if (!locked || !moved->conn->pg)
        return;
    error_init(&ignored);
    const char *values[] = {moved->group, moved->alone ? "t" : "f"};
    if (conn_query(moved->conn, sql_moved_keys_unlock, 2, values, NULL, &ignored) != ODS_OK) {
        conn_close(moved->conn); /* and with it the lock */
        return;
    }
    if (moved->outdated)
        moved_store_prune(moved);
}
