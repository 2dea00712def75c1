/* The target's store of changed keys: questions and entries. See moved_store.h. */
#include "sink/postgres/fold/moved_store.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/postgres/fold/fold.h"
#include "sink/postgres/fold/lookup.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/rows/aside.h"
#include "sql/postgres/moved_keys_any.h"
#include "sql/postgres/moved_keys_lock.h"
#include "sql/postgres/moved_keys_lock_shared.h"
#include "sql/postgres/moved_keys_prune.h"
#include "sql/postgres/moved_keys_read.h"

#define PRUNE_US INT64_C(600000000)

/* --- what the target keeps ------------------------------------------------------------------- */

/* Appends table and key, in the form in which they are stored, as an element of bytea[]. An integer
 * always has eight bytes there, so that it stays the same when its column is widened. */
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

enum ods_status moved_store_lock(struct sorting *sorting, bool alone)
{
    const char *values[] = {sorting->moved->group};
    enum ods_status status =
        query(sorting, alone ? sql_moved_keys_lock : sql_moved_keys_lock_shared, 1, values, NULL);
    sorting->moved->locked = status == ODS_OK;
    sorting->moved->alone = alone;
    return status;
}

enum ods_status moved_store_has_any(struct sorting *sorting, bool *kept)
{
    const char *values[] = {sorting->moved->group};
    PGresult *rows = NULL;
    enum ods_status status = query(sorting, sql_moved_keys_any, 1, values, &rows);
    *kept = status == ODS_OK && PQntuples(rows) > 0;
    PQclear(rows);
    return status;
}

enum ods_status moved_store_read(struct sorting *sorting)
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

/* --- rows that are newer ---------------------------------------------------------------------- */

/* Sends the question whether there is a row of this key that is newer than the change. The answer
 * is the number of such rows. */
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

/* Reads the answers, which come in the order of the questions. *refused: a key that PostgreSQL
 * can't read, as the error says. */
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

/* Asks all questions that are open, in one round trip. */
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

/* PostgreSQL can't read this key, so no row has it: its changes go to the dead letters. */
static enum ods_status refuse_key(struct sorting *sorting, uint32_t key)
{
    const struct error said = *sorting->error;
    enum ods_status status = ODS_OK;
    error_init(sorting->error);
    sorting->keys[key].answered = true;
    for (uint32_t i = 0; status == ODS_OK && i < sorting->batch->change_count; i++)
        if (sorting->of_change[i] == key && !sorting->batch->changes[i].rejected) {
            struct error why = said;
            fold_hide_redacted_key(sorting->plans[i], &why);
            status = rows_set_aside(sorting->batch, i, &why, sorting->error);
        }
    return status;
}

enum ods_status moved_store_find_newer(struct sorting *sorting)
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

/* --- what is to be kept ---------------------------------------------------------------------- */

enum ods_status moved_store_note(struct sorting *sorting)
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

void moved_store_prune(struct moved_keys *moved)
{
    const char *values[] = {moved->group};
    struct error ignored;
    int64_t now_us = time_monotonic_us();
    /* Where consumers are merged each record keeps its key, and more become old. */
    int64_t every_us = moved->merges ? PRUNE_US / 60 : PRUNE_US;
    if (moved->pruned_us && now_us - moved->pruned_us < every_us)
        return;
    moved->pruned_us = now_us;
    error_init(&ignored);
    own_query(moved->conn, sql_moved_keys_prune, 1, values, NULL, &ignored);
}
