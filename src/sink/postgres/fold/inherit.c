/* Values that a key change takes along. See inherit.h.
 *
 * The header __debezium.oldkey of a create names the row it was. Its last values are those of the
 * changes of that key in this batch, up to the delete that is the other half of the key change (in
 * whatever order the two came: their keys differ, and so may their partitions), and before them the
 * target's row. Where neither shows that the row has come to its end, what made it so may still be
 * in the old key's partition: the create is given back, to come again later (batch_await()). A row
 * of that key which is younger than the key change is another one; where that can't be told the
 * value is given up, which means NULL, and counted.
 */
#include "sink/postgres/fold/inherit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/base64.h"
#include "core/hash.h"
#include "sink/postgres/fold/lookup.h"
#include "sink/rows/aside.h"
#include "sink/rows/old_row.h"

#define HEADERS_MAX 64

struct entry {
    uint64_t hash;
    uint32_t change;
};

struct search {
    struct inheritance *inheritance;
    struct arena *arena;
    struct batch *batch;
    const struct plan *const *plans;
    struct conn *conn;
    struct encoder *encoder;
    struct entry *index; /* changes by the hash of table and key; made when first needed */
    uint32_t index_count;
    struct buffer key, other, sql; /* scratch */
    struct error *error;
};

/* --- the old key ---------------------------------------------------------------------------- */

static bool old_key_header(const struct search *search, const struct change *change,
                           struct header *found)
{
    struct header headers[HEADERS_MAX];
    if (!search->batch->headers)
        return false;
    size_t count =
        search->batch->headers(&search->batch->records[change->record], headers, HEADERS_MAX);
    for (size_t i = 0; i < count && i < HEADERS_MAX; i++)
        if (strcmp(headers[i].name, "__debezium.oldkey") == 0 && headers[i].value) {
            *found = headers[i];
            return true;
        }
    return false;
}

static bool key_number(const char *text, size_t length, struct value *value)
{
    char *end;
    *value = (struct value){.kind = VALUE_INT, .integer = strtoll(text, &end, 10)};
    bool whole = end == text + length && length < 19;
    if (!whole)
        *value = (struct value){.kind = VALUE_NUMBER, .length = (uint32_t) length, .bytes = text};
    return true;
}

/* A member of the header's object as the decoder would have read it from the record's key. */
static bool key_value(struct search *search, const struct column *column, yyjson_val *member,
                      struct value *value)
{
    bool bytes =
        column->type == SEM_BYTES || column->type == SEM_BITS || column->type == SEM_DECIMAL;
    const char *text = yyjson_get_str(member);
    size_t length = yyjson_get_len(member);
    if (yyjson_is_raw(member))
        return key_number(yyjson_get_raw(member), length, value);
    if (yyjson_is_bool(member)) {
        *value = (struct value){.kind = VALUE_BOOL, .integer = yyjson_get_bool(member)};
        return true;
    }
    if (!text)
        return false;
    *value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t) length, .bytes = text};
    if (!bytes)
        return true;
    char *decoded = arena_alloc(search->arena, BASE64_DECODED_MAX(length) + 1);
    if (!decoded || !base64_decode(text, length, (unsigned char *) decoded, &length))
        return false;
    *value = (struct value){.kind = VALUE_BYTES, .length = (uint32_t) length, .bytes = decoded};
    return true;
}

/* The old key in the target's own form, into search->key. False: the header can't be read. */
static bool encode_old_key(struct search *search, const struct plan *plan,
                           const struct header *header)
{
    bool good = false;
    struct error ignored;
    yyjson_read_flag flags = YYJSON_READ_NUMBER_AS_RAW;
    yyjson_doc *document = yyjson_read(header->value, header->length, flags);
    yyjson_val *root = yyjson_doc_get_root(document), *payload = yyjson_obj_get(root, "payload");
    if (yyjson_is_obj(payload) && yyjson_obj_get(root, "schema"))
        root = payload;
    buffer_reset(&search->key);
    error_init(&ignored);
    good = yyjson_is_obj(root);
    for (uint32_t k = 0; good && k < plan->key_count; k++) {
        const struct source_column *source = &plan->sources[plan->key_source[k]];
        struct value value;
        good =
            key_value(search, &source->column, yyjson_obj_get(root, source->column.name), &value) &&
            encode_value(search->encoder, &search->key, &plan->table->columns[plan->key_target[k]],
                         source, &value, &ignored) == ODS_OK;
    }
    good = good && !search->key.failed;
    yyjson_doc_free(document);
    return good;
}

/* --- in the batch --------------------------------------------------------------------------- */

static bool encode_key_of(struct search *search, uint32_t index, struct buffer *out)
{
    const struct change *change = &search->batch->changes[index];
    const struct plan *plan = search->plans[index];
    struct error ignored;
    error_init(&ignored);
    if (change->rejected || !plan || plan->skip || !plan->table || !plan->key_count)
        return false;
    return fold_key(search->encoder, out, plan, change, &ignored) == ODS_OK;
}

static uint64_t hash_of(const struct pg_table *table, const struct buffer *key)
{
    return hash_bytes(key->bytes, key->length, (uint64_t) (uintptr_t) table);
}

static int by_hash(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->change < b->change ? -1 : 1;
}

static enum ods_status make_index(struct search *search)
{
    uint32_t count = search->batch->change_count;
    search->index = arena_alloc(search->arena, count * sizeof *search->index);
    if (!search->index)
        return error_out_of_memory(search->error);
    for (uint32_t i = 0; i < count; i++)
        if (encode_key_of(search, i, &search->other))
            search->index[search->index_count++] =
                (struct entry){hash_of(search->plans[i]->table, &search->other), i};
    qsort(search->index, search->index_count, sizeof *search->index, by_hash);
    return ODS_OK;
}

static bool is_old_row(struct search *search, const struct plan *plan, uint32_t index)
{
    return search->plans[index]->table == plan->table &&
           encode_key_of(search, index, &search->other) &&
           search->other.length == search->key.length &&
           memcmp(search->other.bytes, search->key.bytes, search->key.length) == 0;
}

/* Fills the cells, by table column, with what the changes of the old key in this batch leave.
 * *erased: one of them deleted the row, so the target's row has nothing to give. *ended: the delete
 * that belongs to this key change is in the batch. *passed: a younger change of that key is, so no
 * older one is still to come. */
static void play_old_row(struct search *search, const struct plan *plan,
                         const struct change *create, struct cell *cells, bool *erased, bool *ended,
                         bool *passed)
{
    uint64_t hash = hash_of(plan->table, &search->key);
    uint32_t at = 0, end = search->index_count;
    while (at < end) {
        uint32_t middle = at + (end - at) / 2;
        if (search->index[middle].hash < hash)
            at = middle + 1;
        else
            end = middle;
    }
    for (; !*ended && at < search->index_count && search->index[at].hash == hash; at++) {
        uint32_t index = search->index[at].change;
        const struct change *change = &search->batch->changes[index];
        const struct plan *its = search->plans[index];
        if (!is_old_row(search, plan, index))
            continue;
        bool known = change->source_us != INT64_MIN && create->source_us != INT64_MIN;
        if (known && change->source_us > create->source_us) {
            *passed = true;
            return;
        }
        if (!change->after) {
            *ended = known && change->source_us == create->source_us;
            *erased |= !*ended;
            if (!*ended)
                memset(cells, 0, plan->table->column_count * sizeof *cells);
            continue;
        }
        for (uint32_t i = 0; i < its->shape->column_count; i++)
            if (its->target_of[i] >= 0 && change->after[i].kind != VALUE_ABSENT)
                cells[its->target_of[i]] = (struct cell){&its->sources[i], &change->after[i]};
        for (const struct inherited *its_own = search->inheritance->of[index]; its_own;
             its_own = its_own->next)
            cells[its_own->target] = its_own->cell;
    }
}

/* --- in the target -------------------------------------------------------------------------- */

/* A value as PostgreSQL writes it: its own input function, or the encoder, reads it back. */
static const struct source_column text_source = {.column = {.name = "", .type = SEM_STRING}};
static const struct source_column hex_source = {.column = {.name = "", .type = SEM_BYTES},
                                                .coding = CODING_HEX};

static void put_old_row_query(struct search *search, const struct plan *plan,
                              const uint32_t *wanted, uint32_t count)
{
    struct buffer *sql = &search->sql;
    buffer_reset(sql);
    buffer_puts(sql, "select ");
    if (plan->timestamp_column >= 0)
        buffer_printf(sql, "(extract(epoch from %s) * 1000000)::bigint, ",
                      plan->table->columns[plan->timestamp_column].quoted);
    else
        buffer_puts(sql, "null, ");
    if (plan->operation_column >= 0)
        buffer_puts(sql, plan->table->columns[plan->operation_column].quoted);
    else
        buffer_puts(sql, "null");
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_column *column = &plan->table->columns[wanted[i]];
        bool bytes = column->encoding == ENCODE_BYTEA;
        buffer_printf(sql, bytes ? ", encode(%s, 'hex')" : ", %s::text", column->quoted);
    }
    buffer_printf(sql, " from %s where ", plan->table->quoted);
    lookup_where(sql, plan);
}

static enum ods_status query_old_row(struct search *search, const struct plan *plan,
                                     const uint32_t *wanted, uint32_t count, PGresult **rows)
{
    put_old_row_query(search, plan, wanted, count);
    if (search->sql.failed)
        return error_out_of_memory(search->error);
    struct lookup_params lookup;
    lookup_params(&lookup, plan, search->key.bytes);
    const struct conn_params params = lookup_conn_params(&lookup);
    return conn_query_params(search->conn, buffer_text(&search->sql), &params, rows, search->error);
}

static const char *text_of(const PGresult *rows, int field)
{
    return PQgetisnull(rows, 0, field) ? NULL : PQgetvalue(rows, 0, field);
}

/* Does the table keep rows that are deleted, with the time of that? */
static bool marks_deletes(const struct plan *plan)
{
    return plan->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0 &&
           plan->timestamp_column >= 0;
}

static enum ods_status read_old_row(struct search *search, const struct plan *plan,
                                    const struct change *create, bool ended, bool passed,
                                    struct cell *cells, const uint32_t *wanted, uint32_t count)
{
    PGresult *rows = NULL;
    enum ods_status status = query_old_row(search, plan, wanted, count, &rows);
    struct old_row row = {0};
    if (status == ODS_OK && PQntuples(rows) > 0)
        row = old_row_read(text_of(rows, 0), text_of(rows, 1));
    if (status == ODS_OK && !ended && !passed)
        status =
            old_row_await(&row, marks_deletes(plan), search->batch, create, search->error);
    bool usable = status == ODS_OK && PQntuples(rows) == 1 && old_row_moved(&row, create, ended);
    for (uint32_t i = 0; usable && status == ODS_OK && i < count; i++) {
        int field = (int) i + 2;
        size_t length = (size_t) PQgetlength(rows, 0, field);
        struct value *value = arena_alloc(search->arena, sizeof *value);
        char *bytes = arena_strndup(search->arena, PQgetvalue(rows, 0, field), length);
        if (!value || !bytes) {
            status = error_out_of_memory(search->error);
            break;
        }
        *value = (struct value){.kind = PQgetisnull(rows, 0, field) ? VALUE_NULL : VALUE_TEXT,
                                .length = (uint32_t) length,
                                .bytes = bytes};
        bool hex = plan->table->columns[wanted[i]].encoding == ENCODE_BYTEA;
        cells[wanted[i]] = (struct cell){hex ? &hex_source : &text_source, value};
    }
    PQclear(rows);
    return status;
}

/* --- a change ------------------------------------------------------------------------------- */

static enum ods_status keep(struct search *search, uint32_t index, const struct cell *cells,
                            const uint32_t *missing, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct inherited *inherited = arena_alloc(search->arena, sizeof *inherited);
        if (!inherited)
            return error_out_of_memory(search->error);
        if (!cells[missing[i]].column) {
            search->inheritance->lost++;
            continue;
        }
        *inherited = (struct inherited){.target = missing[i],
                                        .cell = cells[missing[i]],
                                        .next = search->inheritance->of[index]};
        search->inheritance->of[index] = inherited;
    }
    return ODS_OK;
}

static enum ods_status inherit(struct search *search, uint32_t index, const struct header *header)
{
    const struct change *create = &search->batch->changes[index];
    const struct plan *plan = search->plans[index];
    uint32_t columns = plan->table->column_count, count = 0, wanted = 0;
    struct cell *cells = arena_alloc(search->arena, columns * sizeof *cells);
    uint32_t *missing = arena_alloc(search->arena, 2 * columns * sizeof *missing);
    if (!cells || !missing)
        return error_out_of_memory(search->error);
    uint32_t *unknown = missing + columns;
    memset(cells, 0, columns * sizeof *cells);
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->target_of[i] >= 0 && create->after[i].kind == VALUE_ABSENT)
            missing[count++] = (uint32_t) plan->target_of[i];
    enum ods_status status = search->index ? ODS_OK : make_index(search);
    bool erased = false, ended = false, passed = false;
    if (status == ODS_OK && count && encode_old_key(search, plan, header)) {
        play_old_row(search, plan, create, cells, &erased, &ended, &passed);
        for (uint32_t i = 0; i < count; i++)
            if (!cells[missing[i]].column)
                unknown[wanted++] = missing[i];
        if (!erased && (wanted || !(ended || passed)))
            status = read_old_row(search, plan, create, ended, passed, cells, unknown, wanted);
    }
    return status == ODS_OK ? keep(search, index, cells, missing, count) : status;
}

/* PostgreSQL can't read the old key: the change goes to the dead letters, since nobody can tell
 * which values it takes along. */
static enum ods_status refuse(struct search *search, uint32_t index)
{
    struct error why = *search->error;
    error_init(search->error);
    fold_hide_redacted_key(search->plans[index], &why);
    search->inheritance->of[index] = NULL;
    return rows_set_aside(search->batch, index, &why, search->error);
}

static bool lacks_values(const struct search *search, uint32_t index)
{
    const struct change *change = &search->batch->changes[index];
    const struct plan *plan = search->plans[index];
    if (change->op != OP_CREATE || change->rejected || !change->after || !plan || plan->skip ||
        !plan->table || !plan->key_count)
        return false;
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (change->after[i].kind == VALUE_ABSENT)
            return true;
    return false;
}

enum ods_status inherit_values(struct inheritance *inheritance, struct arena *arena,
                               struct batch *batch, const struct plan *const *plans,
                               struct conn *conn, struct encoder *encoder, struct error *error)
{
    struct search search = {.inheritance = inheritance,
                            .arena = arena,
                            .batch = batch,
                            .plans = plans,
                            .conn = conn,
                            .encoder = encoder,
                            .error = error};
    enum ods_status status = ODS_OK;
    *inheritance = (struct inheritance){0};
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        struct header header;
        if (!lacks_values(&search, i) || !old_key_header(&search, &batch->changes[i], &header))
            continue;
        if (!inheritance->of) {
            size_t bytes = batch->change_count * sizeof *inheritance->of;
            inheritance->of = arena_alloc(arena, bytes);
            if (!inheritance->of) {
                status = error_out_of_memory(error);
                break;
            }
            memset(inheritance->of, 0, bytes);
        }
        status = inherit(&search, i, &header);
        if (status == ODS_REJECT && !sqlstate_is_stale_catalog(error->code))
            status = refuse(&search, i);
    }
    buffer_done(&search.key);
    buffer_done(&search.other);
    buffer_done(&search.sql);
    return status;
}
