/* See moved_keys.h. */
#include "sink/postgres/fold/moved_keys.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/hash_index.h"
#include "core/time.h"
#include "sink/postgres/fold/fold.h"
#include "sink/postgres/fold/lookup.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/moved_keys_any.h"
#include "sql/postgres/moved_keys_keep.h"
#include "sql/postgres/moved_keys_lock.h"
#include "sql/postgres/moved_keys_lock_shared.h"
#include "sql/postgres/moved_keys_prune.h"
#include "sql/postgres/moved_keys_read.h"

#define KEEP_BYTES ((size_t) 1 << 20)
#define PRUNE_US   INT64_C(600000000)
#define NO_KEY     UINT32_MAX

/* When a change was, as far as changes of different partitions can be compared. */
struct moment {
    const char *topic;
    int32_t partition;
    int64_t record_ms;
    int64_t sequence; /* 0: unknown */
};

/* A key that the batch has changes of. */
struct moving {
    const struct plan *plan;
    const char *bytes; /* of the table's name and the key */
    size_t name_length, length;
    bool tracked; /* it took part in a change of keys */
    bool known;   /* `newest` is */
    bool noted;   /* newest is to be kept */
    bool asks;    /* whether the target's row is newer than the old key's end, */
    uint32_t end; /* which this change is: */
    bool answered;
    bool newer; /* it is */
    struct moment newest;
};

struct sorting {
    struct moved_keys *moved;
    struct batch *batch;
    const struct plan *const *plans; /* by change */
    struct error *error;
    struct arena *arena;
    struct moving *keys;
    uint32_t count;
    uint32_t *of_change; /* NO_KEY: a change that nothing is asked about */
    struct hash_index index; /* of keys */
    struct buffer key, sql;
};

static bool is_older(const struct moment *a, const struct moment *b)
{
    if (a->partition == b->partition && strcmp(a->topic, b->topic) == 0)
        return false; /* it stands behind the other one */
    if (a->record_ms != b->record_ms)
        return a->record_ms < b->record_ms;
    return a->sequence && b->sequence && a->sequence < b->sequence;
}

static struct moment moment_of(const struct batch *batch, const struct change *change)
{
    const struct record *record = &batch->records[change->record];
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

/* A change of a keyed row that another partition's could contradict. */
static bool is_in_question(const struct sorting *sorting, uint32_t index)
{
    const struct change *change = &sorting->batch->changes[index];
    const struct plan *plan = sorting->plans[index];
    return change->shape->scattered && !change->rejected && plan && !plan->skip && plan->table &&
           plan->key_count && change->op != OP_TRUNCATE &&
           plan->settings->on_delete != ON_DELETE_IGNORE && /* whose old rows stay anyway */
           sorting->batch->records[change->record].timestamp_ms >= 0;
}

static enum ods_status collect_keys(struct sorting *sorting)
{
    uint32_t count = sorting->batch->change_count;
    struct error ignored; /* who can't be encoded is found out, and set aside, by the fold */
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
        sorting->keys[key].tracked |= change->moved;
    }
    return ODS_OK;
}

/* NULL: nothing is asked about the change. */
static struct moving *moving_of(const struct sorting *sorting, uint32_t change)
{
    uint32_t key = sorting->of_change[change];
    return key == NO_KEY ? NULL : &sorting->keys[key];
}

/* --- what the target keeps ------------------------------------------------------------------- */

/* Table and key as they are kept, as an element of bytea[]: an integer is the same whatever its
 * column's size is, or becomes. */
static void put_key(struct buffer *list, const struct moving *moving)
{
    static const char padding[2][8] = {{0}, {-1, -1, -1, -1, -1, -1, -1, -1}};
    const struct plan *plan = moving->plan;
    const char *at = moving->bytes + moving->name_length;
    size_t start = list->length;
    encode_put32(list, 0);
    buffer_add(list, moving->bytes, moving->name_length);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        enum encoding encoding = plan->table->columns[plan->key_target[k]].encoding;
        uint32_t length;
        memcpy(&length, at, sizeof length);
        length = be32toh(length);
        at += sizeof length;
        if (encoding >= ENCODE_INT2 && encoding <= ENCODE_INT8)
            buffer_add(list, padding[(int8_t) *at < 0], sizeof *padding - length);
        else
            encode_put32(list, length);
        buffer_add(list, at, length);
        at += length;
    }
    if (list->failed)
        return;
    uint32_t length = htobe32((uint32_t) (list->length - start - sizeof length));
    memcpy(list->bytes + start, &length, sizeof length);
}

static void put_group(struct sorting *sorting)
{
    struct buffer *group = &sorting->moved->notes[0];
    buffer_reset(group);
    buffer_puts(group, sorting->moved->group);
}

static enum ods_status query(struct sorting *sorting, const char *sql, int count,
                             const char *const *values, PGresult **rows)
{
    return own_query(sorting->moved->conn, sql, count, values, rows, sorting->error);
}

/* Alone, or with others that have no changed key in their batches. */
static enum ods_status lock(struct sorting *sorting, bool alone)
{
    const char *values[] = {sorting->moved->group};
    enum ods_status status =
        query(sorting, alone ? sql_moved_keys_lock : sql_moved_keys_lock_shared, 1, values, NULL);
    sorting->moved->locked = status == ODS_OK;
    return status;
}

static enum ods_status anything_is_kept(struct sorting *sorting, bool *kept)
{
    const char *values[] = {sorting->moved->group};
    PGresult *rows = NULL;
    enum ods_status status = query(sorting, sql_moved_keys_any, 1, values, &rows);
    *kept = status == ODS_OK && PQntuples(rows) > 0;
    PQclear(rows);
    return status;
}

static enum ods_status read_kept(struct sorting *sorting)
{
    static const Oid types[] = {OID_TEXT, OID_BYTEA_ARRAY};
    struct moved_keys *moved = sorting->moved;
    PGresult *rows = NULL;
    put_group(sorting);
    encode_array_begin(&moved->notes[1], OID_BYTEA, sorting->count);
    for (uint32_t i = 0; i < sorting->count; i++)
        put_key(&moved->notes[1], &sorting->keys[i]);
    enum ods_status status =
        own_query_params(moved->conn, sql_moved_keys_read, types, moved->notes, 2, &rows,
                         sorting->error);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++) {
        struct moving *moving = &sorting->keys[strtoul(PQgetvalue(rows, i, 0), NULL, 10)];
        moving->tracked = moving->known = true;
        moving->newest =
            (struct moment){.record_ms = strtoll(PQgetvalue(rows, i, 1), NULL, 10),
                            .sequence = strtoll(PQgetvalue(rows, i, 2), NULL, 10),
                            .partition = (int32_t) strtol(PQgetvalue(rows, i, 3), NULL, 10),
                            .topic = arena_strndup(sorting->arena, PQgetvalue(rows, i, 4),
                                                   (size_t) PQgetlength(rows, i, 4))};
        if (!moving->newest.topic)
            status = error_out_of_memory(sorting->error);
    }
    PQclear(rows);
    return status;
}

/* --- what is outdated ------------------------------------------------------------------------ */

static bool ends_old_key(const struct change *change)
{
    return change->moved && change->op == OP_DELETE;
}

/* Is there a row of this key that is younger than the change? As a count of rows. */
static enum ods_status ask(struct sorting *sorting, const struct moving *moving,
                           const struct change *change)
{
    const struct plan *plan = moving->plan;
    struct buffer *sql = &sorting->sql;
    const int64_t source_us = (int64_t) htobe64((uint64_t) change->source_us);
    struct lookup_params lookup;
    buffer_reset(sql);
    buffer_printf(sql, "select 1 from %s where ", plan->table->quoted);
    lookup_where(sql, plan);
    lookup_params(&lookup, plan, moving->bytes + moving->name_length);
    lookup.types[lookup.count] = OID_INT8;
    lookup.values[lookup.count] = (const char *) &source_us;
    lookup.lengths[lookup.count] = sizeof source_us;
    buffer_printf(sql, " and extract(epoch from %s) * 1000000 > $%d",
                  plan->table->columns[plan->timestamp_column].quoted, ++lookup.count);
    const struct conn_params params = lookup_conn_params(&lookup);
    return sql->failed ? error_out_of_memory(sorting->error)
                       : conn_send_params(sorting->moved->conn, buffer_text(sql), &params,
                                          sorting->error);
}

static bool is_open(const struct moving *moving)
{
    return moving->asks && !moving->answered;
}

/* In the order of the questions. *refused: the key that PostgreSQL can't read, by the answer's
 * error. */
static enum ods_status read_answers(struct sorting *sorting, uint32_t *refused)
{
    struct conn *conn = sorting->moved->conn;
    enum ods_status first = ODS_OK;
    for (uint32_t i = 0; i < sorting->count; i++) {
        struct moving *moving = &sorting->keys[i];
        struct error why;
        uint64_t rows = 0;
        bool aborted;
        if (!is_open(moving))
            continue;
        error_init(&why);
        enum ods_status status = conn_read(conn, &rows, &aborted, &why);
        moving->answered = status == ODS_OK;
        moving->newer = status == ODS_OK && rows;
        if (status != ODS_OK && first == ODS_OK) {
            first = status;
            *sorting->error = why;
            if (status == ODS_REJECT && !sqlstate_is_stale_catalog(why.code))
                *refused = i;
        }
        if (!conn->pg)
            break;
    }
    return first;
}

/* One round trip. */
static enum ods_status ask_all(struct sorting *sorting, uint32_t *refused)
{
    struct conn *conn = sorting->moved->conn;
    enum ods_status status = conn_pipeline_begin(conn, sorting->error);
    for (uint32_t i = 0; status == ODS_OK && i < sorting->count; i++) {
        const struct moving *moving = &sorting->keys[i];
        if (is_open(moving))
            status = ask(sorting, moving, &sorting->batch->changes[moving->end]);
    }
    if (!conn->pg)
        return status;
    enum ods_status ended = conn_pipeline_sync(conn, status == ODS_OK ? sorting->error : NULL);
    if (ended == ODS_OK && status == ODS_OK)
        ended = read_answers(sorting, refused);
    if (conn->pg)
        conn_pipeline_end(conn, NULL);
    return status == ODS_OK ? ended : status;
}

/* No row can have such a key: its changes go to the dead letters. */
static enum ods_status refuse_key(struct sorting *sorting, uint32_t key)
{
    const struct error why = *sorting->error;
    enum ods_status status = ODS_OK;
    error_init(sorting->error);
    sorting->keys[key].answered = true;
    for (uint32_t i = 0; status == ODS_OK && i < sorting->batch->change_count; i++)
        if (sorting->of_change[i] == key && !sorting->batch->changes[i].rejected)
            status = fold_reject(sorting->batch, i, &why, sorting->error);
    return status;
}

/* Old keys of changed ones, of which nothing is kept: has a row of theirs come anew already? Only
 * the time that it shows can tell. */
static enum ods_status ask_for_newer_rows(struct sorting *sorting)
{
    enum ods_status status = ODS_OK;
    uint32_t refused = NO_KEY;
    bool any = false;
    for (uint32_t i = 0; i < sorting->batch->change_count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        struct moving *moving = moving_of(sorting, i);
        if (!moving || moving->known || moving->asks || !ends_old_key(change) ||
            moving->plan->timestamp_column < 0 || change->source_us == INT64_MIN)
            continue;
        moving->asks = any = true;
        moving->end = i;
    }
    while (any) {
        refused = NO_KEY;
        status = ask_all(sorting, &refused);
        if (refused == NO_KEY || !sorting->moved->conn->pg)
            break;
        status = refuse_key(sorting, refused);
        any = status == ODS_OK;
    }
    return status;
}

/* The newest change of a key is this one; its clock may have gone back in its partition. */
static void take(struct moving *moving, const struct moment *moment)
{
    int64_t newest_ms = moving->known ? moving->newest.record_ms : INT64_MIN;
    moving->newest = *moment;
    if (newest_ms > moment->record_ms)
        moving->newest.record_ms = newest_ms;
    moving->known = true;
}

/* In the batch's order, against the newest so far of each key. */
static void judge(struct sorting *sorting)
{
    struct moved_keys *moved = sorting->moved;
    for (uint32_t i = 0; i < sorting->batch->change_count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        struct moving *moving = moving_of(sorting, i);
        if (!moving || !moving->tracked || change->rejected)
            continue;
        const struct moment moment = moment_of(sorting->batch, change);
        moved->tracked[i] = true;
        moved->outdated[i] = moving->known ? is_older(&moment, &moving->newest)
                                           : moving->newer && ends_old_key(change);
        if (moved->outdated[i])
            continue;
        take(moving, &moment);
        moving->noted |= change->moved || change->op == OP_CREATE || change->op == OP_READ;
    }
}

/* --- what is to be kept ---------------------------------------------------------------------- */

static enum ods_status write_notes(struct sorting *sorting)
{
    static const Oid elements[] = {0, OID_BYTEA, OID_TEXT, OID_TEXT, OID_INT4, OID_INT8, OID_INT8};
    struct buffer *notes = sorting->moved->notes;
    uint32_t count = 0;
    for (uint32_t i = 0; i < sorting->count; i++)
        count += sorting->keys[i].noted;
    if (!count)
        return ODS_OK;
    put_group(sorting);
    for (size_t i = 1; i < sizeof elements / sizeof *elements; i++)
        encode_array_begin(&notes[i], elements[i], count);
    for (uint32_t i = 0; i < sorting->count; i++) {
        const struct moving *moving = &sorting->keys[i];
        const struct moment *newest = &moving->newest;
        if (!moving->noted)
            continue;
        put_key(&notes[1], moving);
        encode_put_bytes(&notes[2], moving->bytes, moving->name_length);
        encode_put_bytes(&notes[3], newest->topic, strlen(newest->topic));
        encode_put_int4(&notes[4], newest->partition);
        encode_put_int8(&notes[5], newest->record_ms);
        encode_put_int8(&notes[6], newest->sequence);
    }
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (notes[i].failed)
            return error_out_of_memory(sorting->error);
    sorting->moved->noted = true;
    return ODS_OK;
}

enum ods_status moved_keys_send(struct moved_keys *moved, struct error *error)
{
    static const Oid types[] = {OID_TEXT,       OID_BYTEA_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY,
                                OID_INT4_ARRAY, OID_INT8_ARRAY,  OID_INT8_ARRAY};
    return own_send_params(moved->conn, sql_moved_keys_keep, types, moved->notes, 7, error);
}

/* --- all ------------------------------------------------------------------------------------- */

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
    if (status == ODS_OK && kept && sorting->count)
        status = read_kept(sorting);
    if (status == ODS_OK)
        status = ask_for_newer_rows(sorting);
    if (status != ODS_OK)
        return status;
    judge(sorting);
    return write_notes(sorting);
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
        status = own_schema_prepare_moved_keys(moved->conn, sorting->error);
    if (status == ODS_OK) {
        moved->generation = moved->conn->generation;
        status = moved->locked ? ODS_OK : lock(sorting, any_moved);
    }
    if (status == ODS_OK)
        status = anything_is_kept(sorting, &kept);
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
    bool scattered = false, any_moved = false;
    *outdated = 0;
    for (uint32_t i = 0; i < batch->change_count; i++) {
        scattered |= batch->changes[i].shape->scattered && plans[i] && plans[i]->key_count;
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

/* --- a lane's -------------------------------------------------------------------------------- */

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

/* A part at a time, and when it suits: that it fails is no reason to do without the rows. */
static void prune(struct moved_keys *moved)
{
    const char *values[] = {moved->group};
    struct error ignored;
    int64_t now_us = time_monotonic_us();
    if (moved->pruned_us && now_us - moved->pruned_us < PRUNE_US)
        return;
    moved->pruned_us = now_us;
    error_init(&ignored);
    own_query(moved->conn, sql_moved_keys_prune, 1, values, NULL, &ignored);
}

void moved_keys_release(struct moved_keys *moved)
{
    struct error ignored; /* a connection that breaks gives its locks up */
    bool locked = moved->locked;
    moved->locked = false;
    if (!locked || !moved->conn->pg)
        return;
    error_init(&ignored);
    if (conn_script(moved->conn, "select pg_catalog.pg_advisory_unlock_all()", &ignored) !=
        ODS_OK) {
        conn_close(moved->conn); /* and with it the lock */
        return;
    }
    if (moved->outdated)
        prune(moved);
}
