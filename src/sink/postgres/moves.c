/* See moves.h. */
#include "sink/postgres/moves.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/time.h"
#include "sink/postgres/lookup.h"
#include "sink/postgres/offsets.h"

#define KEEP_BYTES ((size_t) 1 << 20)
#define PRUNE_US   INT64_C(600000000)
#define NO_KEY     UINT32_MAX

/* When a change was, as far as changes of different partitions can be compared. */
struct moment {
    int64_t record_ms;
    int64_t sequence; /* 0: unknown */
};

/* A key that the batch has changes of. */
struct moving {
    const struct plan *plan;
    const char *bytes; /* of the table's name and the key */
    size_t name_length, length;
    uint64_t hash;
    bool tracked; /* it took part in a change of keys */
    bool known;   /* `newest` is */
    bool noted;   /* newest is to be kept */
    struct moment newest;
    uint32_t next; /* with the same bucket, NO_KEY: none */
};

struct sorting {
    struct attempt *attempt;
    struct batch *batch;
    struct arena *arena;
    struct moving *keys;
    uint32_t count, capacity;
    uint32_t *of_change; /* NO_KEY: a change that nothing is asked about */
    uint32_t *buckets;
    size_t mask;
    struct buffer key, sql;
};

static bool is_older(const struct moment *a, const struct moment *b)
{
    if (a->record_ms != b->record_ms)
        return a->record_ms < b->record_ms;
    return a->sequence && b->sequence && a->sequence < b->sequence;
}

static struct moment moment_of(const struct batch *batch, const struct change *change)
{
    return (struct moment){batch->records[change->record].timestamp_ms, change->sequence};
}

/* --- the batch's keys ------------------------------------------------------------------------ */

static uint32_t find_key(struct sorting *sorting, const struct plan *plan)
{
    const char *name = plan->table->quoted;
    size_t name_length = strlen(name);
    const struct buffer *key = &sorting->key;
    uint64_t hash = hash_bytes(key->bytes, key->length, hash_bytes(name, name_length, 0));
    uint32_t *bucket = &sorting->buckets[hash & sorting->mask];
    for (uint32_t at = *bucket; at != NO_KEY; at = sorting->keys[at].next) {
        const struct moving *moving = &sorting->keys[at];
        if (moving->hash == hash && moving->plan->table == plan->table &&
            moving->length - moving->name_length == key->length &&
            memcmp(moving->bytes + moving->name_length, key->bytes, key->length) == 0)
            return at;
    }
    char *bytes = arena_alloc(sorting->arena, name_length + key->length);
    if (!bytes)
        return NO_KEY;
    memcpy(bytes, name, name_length);
    memcpy(bytes + name_length, key->bytes, key->length);
    sorting->keys[sorting->count] = (struct moving){.plan = plan,
                                                    .bytes = bytes,
                                                    .name_length = name_length,
                                                    .length = name_length + key->length,
                                                    .hash = hash,
                                                    .next = *bucket};
    return *bucket = sorting->count++;
}

/* A change of a keyed row that another partition's could contradict. */
static bool is_in_question(const struct sorting *sorting, uint32_t index)
{
    const struct change *change = &sorting->batch->changes[index];
    const struct plan *plan = sorting->attempt->postgres->change_plans[index];
    return change->shape->scattered && !change->rejected && plan && !plan->skip && plan->table &&
           plan->key_count && change->op != OP_TRUNCATE &&
           sorting->batch->records[change->record].timestamp_ms >= 0;
}

static enum ods_status collect_keys(struct sorting *sorting)
{
    struct postgres *postgres = sorting->attempt->postgres;
    uint32_t count = sorting->batch->change_count;
    struct error ignored; /* who can't be encoded is found out, and set aside, by the fold */
    sorting->mask = 64;
    while (sorting->mask < count)
        sorting->mask *= 2;
    sorting->keys = arena_alloc(sorting->arena, count * sizeof *sorting->keys);
    sorting->of_change = arena_alloc(sorting->arena, count * sizeof *sorting->of_change);
    sorting->buckets = arena_alloc(sorting->arena, sorting->mask * sizeof *sorting->buckets);
    if (!sorting->keys || !sorting->of_change || !sorting->buckets)
        return error_out_of_memory(sorting->attempt->error);
    memset(sorting->buckets, 0xff, sorting->mask * sizeof *sorting->buckets);
    sorting->mask--;
    for (uint32_t i = 0; i < count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        const struct plan *plan = postgres->change_plans[i];
        sorting->of_change[i] = NO_KEY;
        error_init(&ignored);
        if (!is_in_question(sorting, i))
            continue;
        enum ods_status status =
            fold_key(&postgres->encoder, &sorting->key, plan, change, &ignored);
        if (status == ODS_REJECT)
            continue;
        uint32_t key = status == ODS_OK ? find_key(sorting, plan) : NO_KEY;
        if (key == NO_KEY)
            return error_out_of_memory(sorting->attempt->error);
        sorting->of_change[i] = key;
        sorting->keys[key].tracked |= change->moved;
    }
    return ODS_OK;
}

/* --- what the target keeps ------------------------------------------------------------------- */

/* An array of text or bytea literals: {"…","…"}. */
static void put_hex(struct buffer *sql, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char *to;
    buffer_puts(sql, "\"\\\\x");
    if (!(to = buffer_take(sql, length * 2)))
        return;
    for (size_t i = 0; i < length; i++) {
        *to++ = digits[(uint8_t) bytes[i] >> 4];
        *to++ = digits[(uint8_t) bytes[i] & 15];
    }
    buffer_puts(sql, "\"");
}

static void put_name(struct buffer *sql, const char *name, size_t length)
{
    buffer_puts(sql, "\"");
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '"' || name[i] == '\\')
            buffer_puts(sql, "\\");
        buffer_add(sql, name + i, 1);
    }
    buffer_puts(sql, "\"");
}

static enum ods_status query(struct sorting *sorting, const char *sql, int count,
                             const char *const *values, PGresult **rows)
{
    return offsets_query(&sorting->attempt->postgres->conn, sql, count, values, rows,
                         sorting->attempt->error);
}

/* Alone, or with others that have no changed key in their batches. */
static enum ods_status lock(struct sorting *sorting, bool alone)
{
    const char *values[] = {sorting->attempt->postgres->config.group};
    enum ods_status status =
        query(sorting,
              alone ? "select pg_catalog.pg_advisory_lock(" OFFSETS_MOVES_LOCK
                      ", pg_catalog.hashtext($1))"
                    : "select pg_catalog.pg_advisory_lock_shared(" OFFSETS_MOVES_LOCK
                      ", pg_catalog.hashtext($1))",
              1, values, NULL);
    sorting->attempt->moves.locked = status == ODS_OK;
    return status;
}

static enum ods_status anything_is_kept(struct sorting *sorting, bool *kept)
{
    const char *values[] = {sorting->attempt->postgres->config.group};
    PGresult *rows = NULL;
    enum ods_status status =
        query(sorting, "select 1 from ods_sink.moved_keys where consumer_group = $1 limit 1", 1,
              values, &rows);
    *kept = status == ODS_OK && PQntuples(rows) > 0;
    PQclear(rows);
    return status;
}

static enum ods_status read_kept(struct sorting *sorting)
{
    static const char sql[] =
        "select k.place - 1, m.record_ms, m.sequence "
        "from unnest($2::bytea[]) with ordinality k (key, place) "
        "join ods_sink.moved_keys m on m.consumer_group = $1 and m.key = sha256(k.key)";
    PGresult *rows = NULL;
    buffer_reset(&sorting->sql);
    buffer_puts(&sorting->sql, "{");
    for (uint32_t i = 0; i < sorting->count; i++) {
        buffer_puts(&sorting->sql, i ? "," : "");
        put_hex(&sorting->sql, sorting->keys[i].bytes, sorting->keys[i].length);
    }
    buffer_puts(&sorting->sql, "}");
    if (sorting->sql.failed)
        return error_out_of_memory(sorting->attempt->error);
    const char *values[] = {sorting->attempt->postgres->config.group, buffer_text(&sorting->sql)};
    enum ods_status status = query(sorting, sql, 2, values, &rows);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++) {
        struct moving *moving = &sorting->keys[strtoul(PQgetvalue(rows, i, 0), NULL, 10)];
        moving->tracked = moving->known = true;
        moving->newest = (struct moment){strtoll(PQgetvalue(rows, i, 1), NULL, 10),
                                         strtoll(PQgetvalue(rows, i, 2), NULL, 10)};
    }
    PQclear(rows);
    return status;
}

/* --- what is outdated ------------------------------------------------------------------------ */

/* The old key of a changed one, of which nothing is kept: has its row come anew already? Only the
 * time that the target's row shows can tell. */
static enum ods_status row_is_newer(struct sorting *sorting, const struct moving *moving,
                                    const struct change *change, bool *newer)
{
    const struct plan *plan = moving->plan;
    struct buffer *sql = &sorting->sql;
    PGresult *rows = NULL;
    *newer = false;
    if (plan->timestamp_column < 0 || change->source_us == INT64_MIN)
        return ODS_OK;
    const char *column = plan->table->columns[plan->timestamp_column].quoted;
    buffer_reset(sql);
    buffer_printf(sql, "select (extract(epoch from %s) * 1000000)::bigint from %s where ", column,
                  plan->table->quoted);
    lookup_where(sql, plan);
    buffer_reset(&sorting->key);
    buffer_add(&sorting->key, moving->bytes + moving->name_length,
               moving->length - moving->name_length);
    if (sql->failed || sorting->key.failed)
        return error_out_of_memory(sorting->attempt->error);
    enum ods_status status = lookup_row(&sorting->attempt->postgres->conn, buffer_text(sql), plan,
                                        &sorting->key, &rows, sorting->attempt->error);
    if (status == ODS_OK && PQntuples(rows) && !PQgetisnull(rows, 0, 0))
        *newer = strtoll(PQgetvalue(rows, 0, 0), NULL, 10) > change->source_us;
    PQclear(rows);
    return status;
}

/* In the batch's order, against the newest so far of each key. */
static enum ods_status judge(struct sorting *sorting)
{
    struct moves *moves = &sorting->attempt->moves;
    uint32_t count = sorting->batch->change_count;
    moves->outdated = arena_alloc(sorting->arena, count * sizeof *moves->outdated);
    if (!moves->outdated)
        return error_out_of_memory(sorting->attempt->error);
    memset(moves->outdated, 0, count * sizeof *moves->outdated);
    for (uint32_t i = 0; i < count; i++) {
        const struct change *change = &sorting->batch->changes[i];
        uint32_t key = sorting->of_change[i];
        struct moving *moving = key == NO_KEY ? NULL : &sorting->keys[key];
        if (!moving || !moving->tracked)
            continue;
        const struct moment moment = moment_of(sorting->batch, change);
        bool old = moving->known && is_older(&moment, &moving->newest);
        if (!moving->known && change->moved && change->op == OP_DELETE) {
            enum ods_status status = row_is_newer(sorting, moving, change, &old);
            if (status != ODS_OK)
                return status;
        }
        moves->outdated[i] = old;
        if (old)
            continue;
        moving->known = true;
        moving->newest = moment;
        moving->noted |= change->moved || change->op == OP_CREATE || change->op == OP_READ;
    }
    return ODS_OK;
}

/* --- what is to be kept ---------------------------------------------------------------------- */

static enum ods_status prune(struct sorting *sorting)
{
    struct postgres *postgres = sorting->attempt->postgres;
    const char *values[] = {postgres->config.group};
    int64_t now_us = time_monotonic_us();
    if (postgres->moves_pruned_us && now_us - postgres->moves_pruned_us < PRUNE_US)
        return ODS_OK;
    postgres->moves_pruned_us = now_us;
    return query(sorting,
                 "delete from ods_sink.moved_keys where consumer_group = $1 and "
                 "noted_at < clock_timestamp() - interval '7 days'",
                 1, values, NULL);
}

/* Before the rows and for itself: it says what the topic holds, whatever becomes of the batch. */
static enum ods_status keep(struct sorting *sorting)
{
    static const char sql[] =
        "insert into ods_sink.moved_keys as m (consumer_group, key, table_name, record_ms, "
        "sequence) "
        "select $1, sha256(k.key), k.name, k.record_ms, k.sequence "
        "from unnest($2::bytea[], $3::text[], $4::bigint[], $5::bigint[]) "
        "k (key, name, record_ms, sequence) on conflict (consumer_group, key) do update "
        "set record_ms = excluded.record_ms, sequence = excluded.sequence, "
        "noted_at = excluded.noted_at "
        "where (excluded.record_ms, excluded.sequence) > (m.record_ms, m.sequence)";
    struct buffer lists[4];
    const char *values[5] = {sorting->attempt->postgres->config.group};
    bool any = false, failed = false;
    for (size_t i = 0; i < 4; i++) {
        buffer_init(&lists[i]);
        buffer_puts(&lists[i], "{");
    }
    for (uint32_t i = 0; i < sorting->count; i++) {
        const struct moving *moving = &sorting->keys[i];
        if (!moving->noted)
            continue;
        for (size_t k = 0; any && k < 4; k++)
            buffer_puts(&lists[k], ",");
        any = true;
        put_hex(&lists[0], moving->bytes, moving->length);
        put_name(&lists[1], moving->bytes, moving->name_length);
        buffer_printf(&lists[2], "%" PRId64, moving->newest.record_ms);
        buffer_printf(&lists[3], "%" PRId64, moving->newest.sequence);
    }
    for (size_t i = 0; i < 4; i++) {
        buffer_puts(&lists[i], "}");
        failed |= lists[i].failed;
        values[i + 1] = buffer_text(&lists[i]);
    }
    enum ods_status status = failed ? error_out_of_memory(sorting->attempt->error)
                             : any  ? query(sorting, sql, 5, values, NULL)
                                    : ODS_OK;
    for (size_t i = 0; i < 4; i++)
        buffer_done(&lists[i]);
    return status == ODS_OK && any ? prune(sorting) : status;
}

/* --- all ------------------------------------------------------------------------------------- */

static enum ods_status find_out(struct attempt *attempt, bool moved)
{
    struct sorting sorting = {
        .attempt = attempt, .batch = attempt->batch, .arena = &attempt->postgres->moves};
    bool kept = false;
    arena_reset(sorting.arena, KEEP_BYTES);
    buffer_init(&sorting.key);
    buffer_init(&sorting.sql);
    enum ods_status status = lock(&sorting, moved);
    if (status == ODS_OK)
        status = anything_is_kept(&sorting, &kept);
    if (status == ODS_OK && (kept || moved))
        status = collect_keys(&sorting);
    if (status == ODS_OK && kept && sorting.count)
        status = read_kept(&sorting);
    if (status == ODS_OK && sorting.count)
        status = judge(&sorting);
    if (status == ODS_OK && sorting.count)
        status = keep(&sorting);
    buffer_done(&sorting.key);
    buffer_done(&sorting.sql);
    attempt->moves.known = status == ODS_OK;
    return status;
}

enum ods_status moves_sort_out(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    const struct plan **plans = attempt->postgres->change_plans;
    bool scattered = false, moved = false;
    for (uint32_t i = 0; i < batch->change_count; i++) {
        scattered |= batch->changes[i].shape->scattered && batch->changes[i].shape->key_count;
        moved |= batch->changes[i].moved;
    }
    attempt->result->outdated = 0;
    if ((!scattered && !moved) || batch->guard_time) /* which looks at each row by itself */
        return ODS_OK;
    if (!attempt->moves.known) {
        enum ods_status status = find_out(attempt, moved);
        if (status != ODS_OK)
            return status;
    }
    for (uint32_t i = 0; attempt->moves.outdated && i < batch->change_count; i++)
        if (attempt->moves.outdated[i] && plans[i]) {
            plans[i] = NULL;
            attempt->result->outdated++;
        }
    return ODS_OK;
}

void moves_release(struct attempt *attempt)
{
    struct error ignored; /* a connection that breaks gives its locks up */
    if (!attempt->moves.locked || !attempt->postgres->conn.pg)
        return;
    error_init(&ignored);
    conn_script(&attempt->postgres->conn, "select pg_catalog.pg_advisory_unlock_all()", &ignored);
    attempt->moves.locked = false;
}
