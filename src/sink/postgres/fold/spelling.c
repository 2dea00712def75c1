/* Equal keys in several spellings. See spelling.h. */
#include "sink/postgres/fold/spelling.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/hash_index.h"
#include "sink/postgres/fold/fold.h"
#include "sink/postgres/fold/lookup.h"

#define NONE       UINT32_MAX

/* --- what the bytes can tell ----------------------------------------------------------------- */

/* numeric_send: number of digits, weight, sign, digits shown after the point, digits. The encoder
 * writes no digits that are zeros at either end. */
static void reduce_numeric(char *bytes, uint32_t length)
{
    static const char none[2] = {0, 0};
    if (length < 8 || (bytes[4] & 0x80)) /* NaN and infinities */
        return;
    memset(bytes + 6, 0, 2);
    if (memcmp(bytes, none, sizeof none) == 0)
        memset(bytes, 0, 8);
}

static void reduce_float(char *bytes, uint32_t length)
{
    uint64_t other = 0;
    memcpy(&other, bytes + 1, length < 8 ? length - 1 : 7);
    if (!other && ((uint8_t) *bytes & 0x7f) == 0)
        *bytes = 0;
}

/* Reduces the buffer's last element, whose length stands at `at`. The buffer ends with it, also
 * when it gets shorter. */
static void reduce_value(struct buffer *reduced, size_t at, enum spelling spelling)
{
    char *bytes = reduced->bytes + at + sizeof(uint32_t);
    uint32_t length = (uint32_t) (reduced->length - at - sizeof length);
    if (spelling == SPELLING_ZEROS)
        reduce_numeric(bytes, length);
    else if (spelling == SPELLING_SIGN && length)
        reduce_float(bytes, length);
    else if (spelling == SPELLING_BLANKS)
        while (length && bytes[length - 1] == ' ')
            length--;
    reduced->length = at + sizeof length + length;
    length = htobe32(length);
    memcpy(reduced->bytes + at, &length, sizeof length);
}

void spelling_reduce(const struct plan *plan, const struct buffer *key, struct buffer *reduced)
{
    const char *from = key->bytes;
    buffer_reset(reduced);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        size_t at = reduced->length;
        uint32_t length;
        memcpy(&length, from, sizeof length);
        length = be32toh(length) + (uint32_t) sizeof length;
        buffer_add(reduced, from, length);
        from += length;
        if (reduced->failed)
            return;
        reduce_value(reduced, at, plan->table->columns[plan->key_target[k]].spelling);
    }
}

/* --- the keys of one table ------------------------------------------------------------------- */

struct entry {
    const char *key; /* as the source spells it */
    const char *reduced;
    uint32_t key_bytes, reduced_bytes;
    uint32_t first; /* change */
};

struct asking {
    struct arena *arena;
    const struct batch *batch;
    const struct plan *const *plans;
    struct conn *conn;
    struct encoder *encoder;
    uint32_t *first;
    struct error *error;
    const struct plan *plan; /* one of the table's */
    struct entry *entries;
    uint32_t count;
    struct hash_index index; /* of entries, by their reduced form */
    uint32_t *readable; /* entries that the target's type can read */
    uint32_t readable_count;
    struct buffer key, reduced, sql, arrays[PLAN_MAX_KEY];
};

static bool is_asked_about(const struct asking *asking, uint32_t index)
{
    const struct change *change = &asking->batch->changes[index];
    const struct plan *plan = asking->plans[index];
    return plan && plan->asks && !plan->skip && plan->table && !change->rejected &&
           change->op != OP_TRUNCATE;
}

static bool is_of_table(const struct asking *asking, uint32_t index)
{
    const struct plan *plan = asking->plans[index];
    return is_asked_about(asking, index) && plan->table == asking->plan->table &&
           plan_same_key(plan, asking->plan);
}

/* The number of the entry for the key in asking->key, made when it is new. NONE: memory is out. */
static uint32_t entry_of(struct asking *asking, uint32_t change)
{
    const struct buffer *reduced = &asking->reduced;
    uint64_t hash = hash_bytes(reduced->bytes, reduced->length, 0);
    size_t at = hash_index_start(hash);
    struct entry *entry;
    while ((entry = hash_index_next(&asking->index, hash, &at)))
        if (entry->reduced_bytes == reduced->length &&
            memcmp(entry->reduced, reduced->bytes, reduced->length) == 0)
            return (uint32_t) (entry - asking->entries);
    char *bytes = arena_alloc(asking->arena, reduced->length + asking->key.length);
    if (!bytes || !hash_index_reserve(&asking->index))
        return NONE;
    memcpy(bytes, reduced->bytes, reduced->length);
    memcpy(bytes + reduced->length, asking->key.bytes, asking->key.length);
    entry = &asking->entries[asking->count];
    *entry = (struct entry){.key = bytes + reduced->length,
                            .key_bytes = (uint32_t) asking->key.length,
                            .reduced = bytes,
                            .reduced_bytes = (uint32_t) reduced->length,
                            .first = change};
    hash_index_add(&asking->index, hash, entry);
    return asking->count++;
}

/* Collects each key of the table once. Until the target has answered, first[] of a change holds the
 * number of its key's entry. */
static enum ods_status collect(struct asking *asking, uint32_t from)
{
    uint32_t most = 0;
    for (uint32_t i = from; i < asking->batch->change_count; i++)
        most += is_of_table(asking, i);
    asking->count = 0;
    hash_index_done(&asking->index); /* of the table before it */
    asking->entries = arena_alloc(asking->arena, most * sizeof *asking->entries);
    asking->readable = arena_alloc(asking->arena, most * sizeof *asking->readable);
    if (!asking->entries || !asking->readable)
        return error_out_of_memory(asking->error);
    for (uint32_t i = from; i < asking->batch->change_count; i++) {
        struct error ignored; /* the fold meets the same error, and sets the change aside */
        if (!is_of_table(asking, i))
            continue;
        error_init(&ignored);
        enum ods_status status = fold_key(asking->encoder, &asking->key, asking->plans[i],
                                          &asking->batch->changes[i], &ignored);
        if (status == ODS_REJECT)
            continue;
        if (status == ODS_OK)
            spelling_reduce(asking->plan, &asking->key, &asking->reduced);
        if (status != ODS_OK || asking->reduced.failed ||
            (asking->first[i] = entry_of(asking, i)) == NONE)
            return error_out_of_memory(asking->error);
    }
    return ODS_OK;
}

/* --- the question ---------------------------------------------------------------------------- */

static void put_key_column(struct buffer *sql, const struct pg_column *column, uint32_t k)
{
    buffer_printf(sql, "u.c%u", k);
    if (column->encoding == ENCODE_CAST)
        buffer_printf(sql, "::%s", column->cast);
    else if (column->encoding == ENCODE_TEXT && column->type == OID_BPCHAR)
        buffer_puts(sql, "::pg_catalog.bpchar");
    if (column->collation)
        buffer_printf(sql, " collate %s", column->collation);
}

/* Selects, for each key n that equals an earlier one, the first key that it equals. */
static void put_question(struct asking *asking)
{
    const struct plan *plan = asking->plan;
    struct buffer *sql = &asking->sql;
    buffer_reset(sql);
    buffer_puts(sql, "select n, first from (select u.n, pg_catalog.min(u.n) over (partition by ");
    for (uint32_t k = 0; k < plan->key_count; k++) {
        buffer_puts(sql, k ? ", " : "");
        put_key_column(sql, &plan->table->columns[plan->key_target[k]], k);
    }
    buffer_puts(sql, ") as first from (select ");
    for (uint32_t k = 0; k < plan->key_count; k++)
        buffer_printf(sql, "pg_catalog.unnest($%u) as c%u, ", k + 1, k);
    buffer_puts(sql, "pg_catalog.generate_subscripts($1, 1) as n) as u) as numbered "
                     "where n <> first");
}

/* Arrays of the key's columns, for readable entries [first, last). */
static enum ods_status ask(struct asking *asking, uint32_t first, uint32_t last, PGresult **rows)
{
    const struct plan *plan = asking->plan;
    Oid types[PLAN_MAX_KEY];
    const char *values[PLAN_MAX_KEY];
    int lengths[PLAN_MAX_KEY];
    bool failed = asking->sql.failed;
    for (uint32_t k = 0; k < plan->key_count; k++)
        encode_array_begin(&asking->arrays[k],
                           plan->table->columns[plan->key_target[k]].element_type, last - first);
    for (uint32_t i = first; i < last; i++) {
        const char *at = asking->entries[asking->readable[i]].key;
        for (uint32_t k = 0; k < plan->key_count; k++) {
            uint32_t length;
            memcpy(&length, at, sizeof length);
            length = be32toh(length) + (uint32_t) sizeof length;
            buffer_add(&asking->arrays[k], at, length);
            at += length;
        }
    }
    for (uint32_t k = 0; k < plan->key_count; k++) {
        types[k] = plan->table->columns[plan->key_target[k]].array_type;
        values[k] = asking->arrays[k].bytes;
        lengths[k] = (int) asking->arrays[k].length;
        failed |= asking->arrays[k].failed;
    }
    if (failed)
        return error_out_of_memory(asking->error);
    const struct conn_params params = {
        .count = (int) plan->key_count, .types = types, .values = values, .lengths = lengths};
    return conn_query_params(asking->conn, buffer_text(&asking->sql), &params, rows,
                             asking->error);
}

/* Leaves out of [first, last) the keys that the column's type can't read: a row with such a key is
 * refused later, by itself. *kept: where the next readable one goes. */
static enum ods_status leave_out_unreadable(struct asking *asking, uint32_t first, uint32_t last,
                                            uint32_t *kept)
{
    PGresult *rows = NULL;
    enum ods_status status = ask(asking, first, last, &rows);
    PQclear(rows);
    if (status == ODS_OK) {
        for (uint32_t i = first; i < last; i++)
            asking->readable[(*kept)++] = asking->readable[i];
        return ODS_OK;
    }
    if (status != ODS_REJECT)
        return status;
    error_init(asking->error);
    if (last - first == 1)
        return ODS_OK;
    uint32_t middle = first + (last - first) / 2;
    status = leave_out_unreadable(asking, first, middle, kept);
    return status == ODS_OK ? leave_out_unreadable(asking, middle, last, kept) : status;
}

static enum ods_status ask_readable(struct asking *asking, PGresult **rows)
{
    uint32_t kept = 0;
    enum ods_status status = ask(asking, 0, asking->readable_count, rows);
    if (status != ODS_REJECT)
        return status;
    error_init(asking->error);
    status = leave_out_unreadable(asking, 0, asking->readable_count, &kept);
    asking->readable_count = kept;
    return status == ODS_OK && kept > 1 ? ask(asking, 0, kept, rows) : status;
}

static enum ods_status ask_about_table(struct asking *asking, uint32_t from)
{
    PGresult *rows = NULL;
    asking->plan = asking->plans[from];
    enum ods_status status = collect(asking, from);
    asking->readable_count = asking->count;
    for (uint32_t i = 0; i < asking->count; i++)
        asking->readable[i] = i;
    put_question(asking);
    if (status == ODS_OK && asking->count > 1)
        status = ask_readable(asking, &rows);
    if (status == ODS_FATAL) { /* a view's column of a type without order: the bytes decide then */
        error_init(asking->error);
        status = ODS_OK;
    }
    for (int row = 0; rows && row < PQntuples(rows); row++) {
        unsigned long n = strtoul(PQgetvalue(rows, row, 0), NULL, 10);
        unsigned long first = strtoul(PQgetvalue(rows, row, 1), NULL, 10);
        asking->entries[asking->readable[n - 1]].first =
            asking->entries[asking->readable[first - 1]].first;
    }
    PQclear(rows);
    for (uint32_t i = from; status == ODS_OK && i < asking->batch->change_count; i++)
        if (is_of_table(asking, i))
            asking->first[i] =
                asking->first[i] == NONE ? i : asking->entries[asking->first[i]].first;
    return status;
}

enum ods_status spelling_ask(struct arena *arena, const struct batch *batch,
                             const struct plan *const *plans, struct conn *conn,
                             struct encoder *encoder, const uint32_t **first, struct error *error)
{
    struct asking asking = {.arena = arena,
                            .batch = batch,
                            .plans = plans,
                            .conn = conn,
                            .encoder = encoder,
                            .error = error};
    enum ods_status status = ODS_OK;
    *first = NULL;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        if (!is_asked_about(&asking, i) || (asking.first && asking.first[i] != NONE))
            continue;
        if (!asking.first) {
            size_t bytes = batch->change_count * sizeof *asking.first;
            asking.first = arena_alloc(arena, bytes);
            if (!asking.first)
                return error_out_of_memory(error);
            memset(asking.first, 0xff, bytes);
        }
        status = ask_about_table(&asking, i);
    }
    *first = asking.first;
    hash_index_done(&asking.index);
    buffer_done(&asking.key);
    buffer_done(&asking.reduced);
    buffer_done(&asking.sql);
    for (size_t k = 0; k < PLAN_MAX_KEY; k++)
        buffer_done(&asking.arrays[k]);
    return status;
}
