/* Records of queues that the target has already. See delivered.h. */
#include "sink/postgres/fold/delivered.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash_index.h"
#include "core/time.h"
#include "sink/postgres/values/encode.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/delivered_is_there.h"
#include "sql/postgres/delivered_keep.h"
#include "sql/postgres/delivered_look.h"
#include "sql/postgres/delivered_look_counted.h"
#include "sql/postgres/delivered_turn.h"

#define KEEP_BYTES   ((size_t) 1 << 20)
#define TURN_US      INT64_C(10000000)
#define TURNS_A_SLOT 4 /* at most so much of a slot is filled between two thoughts of a turn */

/* --- what records are kept by ----------------------------------------------------------------- */

static bool counts(const struct delivered *delivered, uint32_t record)
{
    return delivered->places[record].chunk != COUNTED_NONE;
}

static bool make_key(struct delivered *delivered, const struct record *record,
                     unsigned char key[COUNTED_DIGEST_BYTES])
{
    return counted_digest(&delivered->counted, record->topic, record->identity,
                          record->identity_length, key);
}

/* Makes the key of a record that does not count. *same: a record before it has the same one. */
static bool add_key(struct delivered *delivered, struct hash_index *index,
                    const struct batch *batch, uint32_t record, bool *same)
{
    unsigned char *key = delivered->keys[record], *other;
    uint64_t hash;
    *same = false;
    if (!make_key(delivered, &batch->records[record], key) || !hash_index_reserve(index))
        return false;
    memcpy(&hash, key, sizeof hash);
    size_t at = hash_index_start(hash);
    while (!*same && (other = hash_index_next(index, hash, &at)))
        *same = memcmp(other, key, COUNTED_DIGEST_BYTES) == 0;
    if (!*same)
        hash_index_add(index, hash, key);
    return true;
}

/* Finds where each record is kept; one that comes for the second time is there. A record without
 * identity is known by nothing, and is never there: it is a dead letter. */
static enum ods_status make_keys(struct delivered *delivered, const struct batch *batch,
                                 struct error *error)
{
    struct counted *counted = &delivered->counted;
    struct hash_index index = {0};
    bool good = counted_begin(counted, &delivered->arena, batch->record_count);
    for (uint32_t i = 0; good && i < batch->record_count; i++) {
        struct counted_place *place = &delivered->places[i];
        place->chunk = COUNTED_NONE;
        if (!batch->records[i].identity_length)
            continue;
        good = counted_place(counted, &delivered->arena, &batch->records[i], place);
        if (good && counts(delivered, i)) {
            delivered->there[i] = counted_has(counted, *place);
            counted_set(counted, *place);
        } else if (good) {
            good = add_key(delivered, &index, batch, i, &delivered->there[i]);
        }
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

/* Records whose keys are looked for: those that do not count, or, as an earlier version kept them,
 * those that do. */
static bool is_looked_for(const struct delivered *delivered, const struct batch *batch,
                          uint32_t record, bool former)
{
    return is_asked_about(delivered, batch, record) && counts(delivered, record) == former;
}

/* Asks for the slot that is written, and for what is there. The slot of a batch is that of its
 * first look: when it has turned since, that shows as the batch is kept. */
static enum ods_status ask(struct delivered *delivered, const char *sql, const Oid *types,
                           int count, PGresult **rows, struct error *error)
{
    enum ods_status status = own_query_params(delivered->conn, sql, types, delivered->params,
                                              count, rows, error);
    if (status != ODS_OK)
        return status;
    if (!PQntuples(*rows))
        return error_set(error, ODS_FATAL,
                         "the table delivered_slot of the sink's own schema has no row: "
                         "run " OWN_SCHEMA_FILE);
    if (delivered->slot < 0)
        delivered->slot = strtoll(PQgetvalue(*rows, 0, 0), NULL, 10);
    return ODS_OK;
}

/* The rows of the answer name records by their place among those that were asked about. */
static enum ods_status look_for_keys(struct delivered *delivered, const struct batch *batch,
                                     bool former, struct error *error)
{
    static const Oid types[] = {OID_BYTEA_ARRAY};
    struct buffer *list = &delivered->params[0];
    uint32_t *asked = arena_alloc(&delivered->arena, batch->record_count * sizeof *asked);
    uint32_t count = 0;
    PGresult *rows = NULL;
    if (!asked)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (is_looked_for(delivered, batch, i, former))
            asked[count++] = i;
    if (!count)
        return ODS_OK;
    encode_array_begin(list, OID_BYTEA, count);
    for (uint32_t i = 0; i < count; i++)
        encode_put_bytes(list, delivered->keys[asked[i]], COUNTED_DIGEST_BYTES);
    enum ods_status status = ask(delivered, sql_delivered_look, types, 1, &rows, error);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++)
        if (!PQgetisnull(rows, i, 1))
            delivered->there[asked[strtoul(PQgetvalue(rows, i, 1), NULL, 10)]] = true;
    PQclear(rows);
    return status;
}

static void put_topics(const struct batch *batch, struct buffer *list)
{
    encode_array_begin(list, OID_TEXT, batch->delivery_count);
    for (uint32_t i = 0; i < batch->delivery_count; i++)
        encode_put_bytes(list, batch->deliveries[i].topic, strlen(batch->deliveries[i].topic));
}

/* The rows of the answer name chunks by their places. */
static void take_bits(struct delivered *delivered, const struct batch *batch, const PGresult *rows)
{
    struct counted *counted = &delivered->counted;
    counted_clear(counted);
    for (int i = 0; i < PQntuples(rows); i++)
        if (!PQgetisnull(rows, i, 2))
            counted_read_bits(counted, (uint32_t) strtoul(PQgetvalue(rows, i, 2), NULL, 10),
                              PQgetvalue(rows, i, 3));
    for (uint32_t i = 0; i < batch->record_count; i++)
        delivered->there[i] |=
            counts(delivered, i) && counted_has(counted, delivered->places[i]);
}

static enum ods_status look_for_chunks(struct delivered *delivered, const struct batch *batch,
                                       struct error *error)
{
    static const Oid types[] = {OID_BYTEA_ARRAY, OID_TEXT, OID_TEXT_ARRAY};
    struct buffer *params = delivered->params;
    PGresult *rows = NULL;
    if (!delivered->counted.count)
        return ODS_OK;
    counted_put_keys(&delivered->counted, false, &params[0]);
    buffer_reset(&params[1]);
    buffer_puts(&params[1], delivered->group);
    put_topics(batch, &params[2]);
    enum ods_status status = ask(delivered, sql_delivered_look_counted, types, 3, &rows, error);
    if (status == ODS_OK) {
        delivered->former = PQgetvalue(rows, 0, 1)[0] == 't';
        take_bits(delivered, batch, rows);
    }
    PQclear(rows);
    return status;
}

/* An earlier version kept the records that count by their keys too. */
static enum ods_status look_for_former(struct delivered *delivered, const struct batch *batch,
                                       struct error *error)
{
    if (!delivered->former)
        return ODS_OK;
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (is_looked_for(delivered, batch, i, true) &&
            !make_key(delivered, &batch->records[i], delivered->keys[i]))
            return error_out_of_memory(error);
    return look_for_keys(delivered, batch, true, error);
}

static enum ods_status prepare(struct delivered *delivered, const struct batch *batch,
                               struct error *error)
{
    uint32_t count = batch->record_count;
    delivered->slot = -1;
    delivered->former = false;
    arena_reset(&delivered->arena, KEEP_BYTES);
    delivered->keys = arena_alloc(&delivered->arena, count * sizeof *delivered->keys);
    delivered->places = arena_alloc(&delivered->arena, count * sizeof *delivered->places);
    delivered->there = arena_alloc(&delivered->arena, count * sizeof *delivered->there);
    if (!delivered->keys || !delivered->places || !delivered->there)
        return error_out_of_memory(error);
    memset(delivered->there, 0, count * sizeof *delivered->there);
    if (delivered->generation == delivered->conn->generation)
        return ODS_OK;
    enum ods_status status =
        own_schema_prepare_for(delivered->conn, sql_delivered_is_there, error);
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
        status = look_for_keys(delivered, batch, false, error);
    if (status == ODS_OK)
        status = look_for_chunks(delivered, batch, error);
    if (status == ODS_OK)
        status = look_for_former(delivered, batch, error);
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

static bool is_to_keep(const struct delivered *delivered, const struct batch *batch,
                       const struct claim *run, uint32_t record)
{
    return is_asked_about(delivered, batch, record) && is_of(&batch->records[record], run);
}

/* An array of the keys of the run's records: those that do not count, or, as an earlier version
 * kept them, those that do. */
static void put_keys(const struct delivered *delivered, const struct batch *batch,
                     const struct claim *run, bool former, struct buffer *list)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->record_count; i++)
        count += is_to_keep(delivered, batch, run, i) && counts(delivered, i) == former;
    encode_array_begin(list, OID_BYTEA, count);
    for (uint32_t i = 0; count && i < batch->record_count; i++)
        if (is_to_keep(delivered, batch, run, i) && counts(delivered, i) == former)
            encode_put_bytes(list, delivered->keys[i], COUNTED_DIGEST_BYTES);
}

enum ods_status delivered_send(struct delivered *delivered, const struct batch *batch,
                               const struct claim *run, bool *sent, struct error *error)
{
    static const Oid types[] = {OID_TEXT,        OID_TEXT,        OID_INT8,      OID_INT8,
                                OID_BYTEA_ARRAY, OID_BYTEA_ARRAY, OID_BIT_ARRAY, OID_BYTEA_ARRAY};
    struct buffer *params = delivered->params;
    uint64_t count = 0;
    counted_clear(&delivered->counted);
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (is_to_keep(delivered, batch, run, i)) {
            count++;
            if (counts(delivered, i))
                counted_set(&delivered->counted, delivered->places[i]);
        }
    *sent = count > 0;
    if (!count)
        return ODS_OK;
    for (size_t i = 0; i < 4; i++)
        buffer_reset(&params[i]);
    buffer_puts(&params[0], delivered->group);
    buffer_puts(&params[1], run->topic);
    encode_put64(&params[2], (uint64_t) delivered->slot);
    encode_put64(&params[3], count);
    put_keys(delivered, batch, run, false, &params[4]);
    counted_put_keys(&delivered->counted, true, &params[5]);
    counted_put_bits(&delivered->counted, &params[6]);
    if (delivered->former)
        put_keys(delivered, batch, run, true, &params[7]);
    else
        encode_array_begin(&params[7], OID_BYTEA, 0);
    delivered->kept += count;
    return own_send_params(delivered->conn, sql_delivered_keep, types, params, 8, error);
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
    counted_init(&delivered->counted, group);
}

void delivered_done(struct delivered *delivered)
{
    arena_done(&delivered->arena);
    for (size_t i = 0; i < sizeof delivered->params / sizeof *delivered->params; i++)
        buffer_done(&delivered->params[i]);
    counted_done(&delivered->counted);
}
