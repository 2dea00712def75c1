/* Stored offsets. See offsets.h and sql/ods_sink.sql. */
#include "sink/postgres/write/offsets.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/values/encode.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/end_stalled.h"
#include "sql/postgres/offsets_advance.h"
#include "sql/postgres/offsets_read.h"

/* --- moving offsets -------------------------------------------------------------------------- */

/* A claim that is held from its first record on does not move its offset. (A claim that ends where
 * it begins is for a topic that was made again and was just as long before: its offset is stored
 * with a new time.) */
static bool moves(const struct claim *claim)
{
    return !claim->holds || claim->held_from != claim->from;
}

/* As PostgreSQL has it, microseconds since 2000; "-infinity" where it is not known: of a claim that
 * is held in its middle the first part does not tell. */
static int64_t complete_to(const struct claim *claim)
{
    const int64_t epoch_us = POSTGRES_EPOCH_DAYS * INT64_C(86400000000);
    return claim->holds || !claim->complete_us ? INT64_MIN : claim->complete_us - epoch_us;
}

enum ods_status offsets_send(struct conn *conn, const char *group, const struct batch *batch,
                             struct buffer scratch[OFFSETS_PARAMS], struct error *error)
{
    static const Oid types[OFFSETS_PARAMS] = {OID_TEXT,       OID_TEXT_ARRAY, OID_INT4_ARRAY,
                                              OID_INT8_ARRAY, OID_INT8_ARRAY,
                                              OID_TIMESTAMPTZ_ARRAY, OID_TEXT};
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->claim_count; i++)
        count += moves(&batch->claims[i]);
    buffer_reset(&scratch[0]);
    buffer_puts(&scratch[0], group);
    buffer_reset(&scratch[6]);
    buffer_puts(&scratch[6], batch->cluster);
    encode_array_begin(&scratch[1], OID_TEXT, count);
    encode_array_begin(&scratch[2], OID_INT4, count);
    encode_array_begin(&scratch[3], OID_INT8, count);
    encode_array_begin(&scratch[4], OID_INT8, count);
    encode_array_begin(&scratch[5], OID_TIMESTAMPTZ, count);
    for (uint32_t i = 0; i < batch->claim_count; i++) {
        const struct claim *claim = &batch->claims[i];
        if (!moves(claim))
            continue;
        encode_put_bytes(&scratch[1], claim->topic, strlen(claim->topic));
        encode_put_int4(&scratch[2], claim->partition);
        encode_put_int8(&scratch[3], claim->from);
        encode_put_int8(&scratch[4], claim_end(claim));
        encode_put_int8(&scratch[5], complete_to(claim));
    }
    return own_send_params(conn, sql_offsets_advance, types, scratch, OFFSETS_PARAMS, error);
}

/* --- reading back --------------------------------------------------------------------------- */

static int compare_positions(const void *left, const void *right)
{
    const struct position *a = *(struct position *const *) left;
    const struct position *b = *(struct position *const *) right;
    int order = strcmp(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Finds the position of a row among sorted pointers. */
static struct position *find(struct position **sorted, size_t count, const char *topic,
                             int32_t partition)
{
    const struct position wanted = {.topic = topic, .partition = partition};
    const struct position *key = &wanted;
    struct position **found = bsearch(&key, sorted, count, sizeof *sorted, compare_positions);
    return found ? *found : NULL;
}

static void forget(struct position *position)
{
    position->offset = OFFSET_NONE;
    position->stored_us = 0;
    position->cluster[0] = '\0';
}

enum ods_status offsets_read(struct conn *conn, const char *group, struct position *positions,
                             size_t count, struct error *error)
{
    PGresult *rows = NULL;
    const char *values[] = {group};
    struct position **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return error_set(error, ODS_RETRY, "out of memory");
    enum ods_status status = own_query(conn, sql_offsets_read, 1, values, &rows, error);
    for (size_t i = 0; i < count; i++) {
        forget(&positions[i]);
        sorted[i] = &positions[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_positions);
    for (int row = 0; status == ODS_OK && row < PQntuples(rows); row++) {
        struct position *position = find(sorted, count, PQgetvalue(rows, row, 0),
                                         (int32_t) strtol(PQgetvalue(rows, row, 1), NULL, 10));
        if (!position)
            continue;
        position->offset = strtoll(PQgetvalue(rows, row, 2), NULL, 10);
        position->stored_us = strtoll(PQgetvalue(rows, row, 3), NULL, 10);
        snprintf(position->cluster, sizeof position->cluster, "%s", PQgetvalue(rows, row, 4));
    }
    PQclear(rows);
    free(sorted);
    return status;
}

enum ods_status offsets_peek(struct conn *conn, const char *group, struct position *positions,
                             size_t count, struct error *error)
{
    bool there;
    enum ods_status status = own_table_is_there(conn, "offsets", &there, error);
    if (status == ODS_OK && there)
        return offsets_read(conn, group, positions, count, error);
    for (size_t i = 0; i < count; i++)
        forget(&positions[i]);
    return status;
}

enum ods_status offsets_settle(struct conn *conn, const char *group, const struct batch *batch,
                               bool *happened, struct error *error)
{
    size_t after = 0, before = 0;
    struct position *positions = calloc(batch->claim_count + 1u, sizeof *positions);
    if (!positions)
        return error_set(error, ODS_RETRY, "out of memory");
    for (uint32_t i = 0; i < batch->claim_count; i++)
        positions[i] = (struct position){.topic = batch->claims[i].topic,
                                         .partition = batch->claims[i].partition};
    enum ods_status status = offsets_read(conn, group, positions, batch->claim_count, error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->claim_count; i++) {
        after += positions[i].offset == claim_end(&batch->claims[i]);
        before += positions[i].offset == batch->claims[i].from;
    }
    free(positions);
    /* Both counts are the same where a topic that was made again is as long as the old one. The
     * batch is then applied again, as otherwise it might be lost. */
    *happened = after && after == batch->claim_count && before < after;
    if (status == ODS_OK && !*happened && before != batch->claim_count)
        status = error_set(error, ODS_FENCED,
                           "the stored offsets are neither where this batch "
                           "starts nor where it ends: another writer has the partition");
    return status;
}

/* PostgreSQL itself ends a session that is idle in its transaction. It does not end one whose
 * process stopped when half of a pipeline was sent (for the server it is active and waits for the
 * rest), nor one that stopped with an advisory lock outside its transaction. A failure is no error:
 * the caller may wait for something else. */
void offsets_end_stalled(struct conn *conn)
{
    char limit_ms[24];
    const char *values[] = {limit_ms};
    PGresult *result = NULL;
    if (!conn->pg || !conn->settings->idle_in_transaction_timeout_ms)
        return;
    snprintf(limit_ms, sizeof limit_ms, "%lld",
             (long long) conn->settings->idle_in_transaction_timeout_ms);
    own_query(conn, sql_end_stalled, 1, values, &result, NULL);
    PQclear(result);
}
