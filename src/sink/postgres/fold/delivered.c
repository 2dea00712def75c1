/* Records of queues that the target has already. See delivered.h. */
#include "sink/postgres/fold/delivered.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "core/hash_index.h"
#include "core/time.h"
#include "sink/postgres/values/encode.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/delivered_keep.h"
#include "sql/postgres/delivered_look.h"
#include "sql/postgres/delivered_turn.h"

#define KEEP_BYTES   ((size_t) 1 << 20)
#define TURN_US      INT64_C(10000000)
#define TURNS_A_SLOT 4 /* at most so much of a slot is filled between two thoughts of a turn */

/* --- keys ------------------------------------------------------------------------------------ */

static void put_part(struct buffer *out, const char *bytes, size_t length)
{
    encode_put32(out, (uint32_t) length);
    buffer_add(out, bytes, length);
}

static bool make_key(struct delivered *delivered, const struct record *record,
                     unsigned char key[DELIVERED_KEY_BYTES])
{
    struct buffer *identified = &delivered->identified;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    buffer_reset(identified);
    put_part(identified, delivered->group, strlen(delivered->group));
    put_part(identified, record->topic, strlen(record->topic));
    buffer_add(identified, record->identity, record->identity_length);
    if (identified->failed)
        return false;
    SHA256((const unsigned char *) identified->bytes, identified->length, digest);
    memcpy(key, digest, DELIVERED_KEY_BYTES);
    return true;
}

/* Keys of all records; one that comes for the second time is there. A record without identity is
 * known by nothing, and is never there: it is a dead letter. */
static enum ods_status make_keys(struct delivered *delivered, const struct batch *batch,
                                 struct error *error)
{
    struct hash_index index = {0};
    bool good = true;
    for (uint32_t i = 0; good && i < batch->record_count; i++) {
        unsigned char *key = delivered->keys[i], *same;
        uint64_t hash;
        if (!batch->records[i].identity_length)
            continue;
        good = make_key(delivered, &batch->records[i], key) && hash_index_reserve(&index);
        if (!good)
            break;
        memcpy(&hash, key, sizeof hash);
        size_t at = hash_index_start(hash);
        while ((same = hash_index_next(&index, hash, &at)))
            if (memcmp(same, key, DELIVERED_KEY_BYTES) == 0)
                break;
        delivered->there[i] = same != NULL;
        if (!same)
            hash_index_add(&index, hash, key);
    }
    hash_index_done(&index);
    return good ? ODS_OK : error_out_of_memory(error);
}

/* --- what is there ---------------------------------------------------------------------------- */

static bool is_asked_about(const struct delivered *delivered, const struct batch *batch,
                           uint32_t record)
{
    return batch->records[record].identity_length && !delivered->there[record];
}

/* The rows of the answer name records by their place among those that were asked about. */
static void take_answer(struct delivered *delivered, const struct batch *batch,
                        const PGresult *rows, const uint32_t *asked)
{
    delivered->slot = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    for (int i = 0; i < PQntuples(rows); i++)
        if (!PQgetisnull(rows, i, 1))
            delivered->there[asked[strtoul(PQgetvalue(rows, i, 1), NULL, 10)]] = true;
}

static enum ods_status look(struct delivered *delivered, const struct batch *batch,
                            struct error *error)
{
    static const Oid types[] = {OID_BYTEA_ARRAY};
    struct buffer *list = &delivered->params[0];
    uint32_t *asked = arena_alloc(&delivered->arena, batch->record_count * sizeof *asked);
    uint32_t count = 0;
    PGresult *rows = NULL;
    if (!asked)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (is_asked_about(delivered, batch, i))
            asked[count++] = i;
    encode_array_begin(list, OID_BYTEA, count);
    for (uint32_t i = 0; i < count; i++)
        encode_put_bytes(list, (const char *) delivered->keys[asked[i]], DELIVERED_KEY_BYTES);
    enum ods_status status = own_query_params(delivered->conn, sql_delivered_look, types,
                                              delivered->params, 1, &rows, error);
    if (status == ODS_OK && !PQntuples(rows))
        status = error_set(error, ODS_FATAL,
                           "the table delivered_slot of the sink's own schema has no row: run "
                           "sql/ods_sink.sql");
    if (status == ODS_OK)
        take_answer(delivered, batch, rows, asked);
    PQclear(rows);
    return status;
}

static enum ods_status prepare(struct delivered *delivered, const struct batch *batch,
                               struct error *error)
{
    uint32_t count = batch->record_count;
    arena_reset(&delivered->arena, KEEP_BYTES);
    delivered->keys = arena_alloc(&delivered->arena, count * sizeof *delivered->keys);
    delivered->there = arena_alloc(&delivered->arena, count * sizeof *delivered->there);
    if (!delivered->keys || !delivered->there)
        return error_out_of_memory(error);
    memset(delivered->there, 0, count * sizeof *delivered->there);
    if (delivered->generation == delivered->conn->generation)
        return ODS_OK;
    enum ods_status status = own_schema_prepare_table(delivered->conn, "delivered_slot", error);
    if (status == ODS_OK)
        delivered->generation = delivered->conn->generation;
    return status;
}

enum ods_status delivered_sort_out(struct delivered *delivered, struct batch *batch,
                                   struct error *error)
{
    if (!batch->delivers || delivered->known)
        return ODS_OK;
    enum ods_status status = prepare(delivered, batch, error);
    if (status == ODS_OK)
        status = make_keys(delivered, batch, error);
    if (status == ODS_OK)
        status = look(delivered, batch, error);
    if (status != ODS_OK)
        return status;
    delivered->known = true;
    batch_drop(batch, delivered->there);
    return ODS_OK;
}

bool delivered_all(const struct delivered *delivered, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (!delivered->there[i] && batch_reaches(batch, &batch->records[i]))
            return false;
    return true;
}

uint64_t delivered_count(const struct delivered *delivered, const struct batch *batch)
{
    uint64_t count = 0;
    for (uint32_t i = 0; batch->delivers && i < batch->change_count; i++) {
        uint32_t record = batch->changes[i].record;
        count += delivered->there[record] && batch_reaches(batch, &batch->records[record]);
    }
    return count;
}

/* --- what is kept ----------------------------------------------------------------------------- */

static bool is_of(const struct record *record, const struct claim *run)
{
    return record->partition == run->partition && record->offset >= run->from &&
           record->offset < claim_end(run) &&
           (record->topic == run->topic || strcmp(record->topic, run->topic) == 0);
}

enum ods_status delivered_send(struct delivered *delivered, const struct batch *batch,
                               const struct claim *run, bool *sent, struct error *error)
{
    static const Oid types[] = {OID_TEXT, OID_TEXT, OID_INT8, OID_BYTEA_ARRAY};
    struct buffer *params = delivered->params;
    uint64_t slot = htobe64((uint64_t) delivered->slot);
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->record_count; i++)
        count += is_asked_about(delivered, batch, i) && is_of(&batch->records[i], run);
    *sent = count > 0;
    if (!count)
        return ODS_OK;
    for (size_t i = 0; i < 3; i++)
        buffer_reset(&params[i]);
    buffer_puts(&params[0], delivered->group);
    buffer_puts(&params[1], run->topic);
    buffer_add(&params[2], (const char *) &slot, sizeof slot);
    encode_array_begin(&params[3], OID_BYTEA, count);
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (is_asked_about(delivered, batch, i) && is_of(&batch->records[i], run))
            encode_put_bytes(&params[3], (const char *) delivered->keys[i], DELIVERED_KEY_BYTES);
    delivered->kept += count;
    return own_send_params(delivered->conn, sql_delivered_keep, types, params, 4, error);
}

/* --- turns ------------------------------------------------------------------------------------ */

static bool is_due(const struct delivered *delivered, int64_t now_us)
{
    uint64_t slot = (uint64_t) delivered->settings->most / 4;
    return now_us - delivered->turned_us >= TURN_US || delivered->kept >= slot / TURNS_A_SLOT;
}

/* Once is enough: the number is as it is, and so is a right that is not there. */
static void tell(struct delivered *delivered, void (*notice)(void *context, const char *text),
                 void *context, const char *text)
{
    if (notice && !delivered->told)
        notice(context, text);
    delivered->told = true;
}

static void tell_early(struct delivered *delivered, const char *age_ms,
                       void (*notice)(void *context, const char *text), void *context)
{
    char text[256];
    snprintf(text, sizeof text,
             "more than %" PRId64 " records come within delivered.keep_ms, so those of the last "
             "%lld ms or so are known when they are delivered again: raise delivered.max_records",
             delivered->settings->most, 3 * strtoll(age_ms, NULL, 10));
    tell(delivered, notice, context, text);
}

/* That it fails is no reason to do without the rows: locks pass. */
void delivered_turn(struct delivered *delivered,
                    void (*notice)(void *context, const char *text), void *context)
{
    char keep_ms[24], most[24];
    const char *values[] = {keep_ms, most};
    int64_t now_us = time_monotonic_us();
    PGresult *rows = NULL;
    struct error error;
    if (!is_due(delivered, now_us))
        return;
    delivered->turned_us = now_us;
    delivered->kept = 0;
    error_init(&error);
    snprintf(keep_ms, sizeof keep_ms, "%" PRId64, delivered->settings->keep_ms);
    snprintf(most, sizeof most, "%" PRId64, delivered->settings->most);
    enum ods_status status =
        own_query(delivered->conn, sql_delivered_turn, 2, values, &rows, &error);
    if (status == ODS_OK && !PQgetisnull(rows, 0, 0))
        tell_early(delivered, PQgetvalue(rows, 0, 0), notice, context);
    if (status == ODS_FATAL) {
        error_prefix(&error, "old records can't be let go (is TRUNCATE on the tables of the sink's "
                             "own schema granted?): ");
        tell(delivered, notice, context, error.text);
    }
    PQclear(rows);
}

/* --- a lane's --------------------------------------------------------------------------------- */

void delivered_init(struct delivered *delivered, struct conn *conn, const char *group,
                    const struct delivered_settings *settings)
{
    *delivered = (struct delivered){.conn = conn, .group = group, .settings = settings};
    arena_init(&delivered->arena);
}

void delivered_done(struct delivered *delivered)
{
    arena_done(&delivered->arena);
    for (size_t i = 0; i < sizeof delivered->params / sizeof *delivered->params; i++)
        buffer_done(&delivered->params[i]);
    buffer_done(&delivered->identified);
}
