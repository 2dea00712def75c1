/* Values that a key change takes along. See folding.h.
 *
 * A changed key arrives as a delete of the old key and a create of the new one, and the create may
 * lack values that the source has not sent. Its header __debezium.oldkey names the row that it was.
 * The last values of that row are those of the changes of its key in this batch, up to the delete
 * that is the other half of the key change, and before them the target's row, which is read before
 * the batch's transaction begins. Where neither shows that the row has come to its end, what made
 * it so may still be in the old key's partition: the create is given back, to come again later
 * (batch_await()). A row of that key which is younger than the key change is another one; where
 * that can't be told the value is given up, which means NULL, and counted.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include <yyjson.h>

#include "core/base64.h"
#include "core/hash.h"
#include "sink/mysql/fold/folding.h"
#include "sink/mysql/wire/conn.h"
#include "sink/rows/old_row.h"

#define HEADERS_MAX 64
#define MOST_BEFORE 64 /* changes between the two halves of a changed key */

struct entry {
    uint64_t hash;
    uint32_t change;
};

struct search {
    struct mysql_folding *folding;
    struct entry *index; /* changes by the hash of table and key; made when first needed */
    uint32_t index_count;
    struct buffer key, other, sql; /* scratch */
    struct mysql_row old;          /* the old key */
};

/* --- the old key ----------------------------------------------------------------------------- */

static bool old_key_header(const struct batch *batch, const struct change *change,
                           struct header *found)
{
    struct header headers[HEADERS_MAX];
    if (!batch->headers)
        return false;
    size_t count = batch->headers(&batch->records[change->record], headers, HEADERS_MAX);
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
    if (end != text + length || length >= 19)
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
    char *decoded = arena_alloc(search->folding->arena, BASE64_DECODED_MAX(length) + 1);
    if (!decoded || !base64_decode(text, length, (unsigned char *) decoded, &length))
        return false;
    *value = (struct value){.kind = VALUE_BYTES, .length = (uint32_t) length, .bytes = decoded};
    return true;
}

static void put_identity(struct buffer *out, const struct mysql_plan *plan,
                         const struct mysql_out *key)
{
    buffer_reset(out);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        buffer_add(out, &key[k].length, sizeof key[k].length);
        buffer_add(out, key[k].bytes, key[k].length);
    }
}

static bool encode_member(struct search *search, const struct mysql_plan *plan, uint32_t k,
                          yyjson_val *root, struct mysql_out *out)
{
    struct mysql_folding *folding = search->folding;
    const struct source_column *source = &plan->sources[plan->key_source[k]];
    struct value value;
    struct error ignored;
    error_init(&ignored);
    folding->encoding->table = plan->settings;
    folding->encoding->key = true;
    bool good = key_value(search, &source->column, yyjson_obj_get(root, source->column.name),
                          &value) &&
                mysql_encode(folding->encoding, &plan->table->columns[plan->key_target[k]], source,
                             &value, folding->arena, out, &ignored) == ODS_OK &&
                out->form != MYSQL_NULL;
    folding->encoding->key = false;
    if (good) /* it may be the document's */
        out->bytes = arena_strndup(folding->arena, out->bytes, out->length);
    return good && out->bytes;
}

/* The old key in the target's own form, into search->old and search->key. False: the header can't
 * be read. */
static bool read_old_key(struct search *search, const struct mysql_plan *plan,
                         const struct header *header)
{
    yyjson_read_flag flags = YYJSON_READ_NUMBER_AS_RAW;
    yyjson_doc *document = yyjson_read(header->value, header->length, flags);
    yyjson_val *root = yyjson_doc_get_root(document), *payload = yyjson_obj_get(root, "payload");
    struct mysql_out *key =
        arena_alloc(search->folding->arena, plan->key_count * sizeof *key);
    if (yyjson_is_obj(payload) && yyjson_obj_get(root, "schema"))
        root = payload;
    bool good = key && yyjson_is_obj(root);
    for (uint32_t k = 0; good && k < plan->key_count; k++)
        good = encode_member(search, plan, k, root, &key[k]);
    yyjson_doc_free(document);
    search->old = (struct mysql_row){.plan = plan, .key = key};
    if (good)
        put_identity(&search->key, plan, key);
    return good && !search->key.failed;
}

/* --- in the batch ---------------------------------------------------------------------------- */

static bool encode_key_of(struct search *search, uint32_t index)
{
    struct mysql_folding *folding = search->folding;
    const struct change *change = &folding->batch->changes[index];
    const struct mysql_plan *plan = folding->plans[index];
    struct mysql_out key[MYSQL_MAX_KEY];
    struct error ignored;
    error_init(&ignored);
    if (change->rejected || change->op == OP_TRUNCATE || !plan || plan->skip || plan->refusal ||
        !plan->table || !plan->key_count ||
        mysql_folding_key(folding, plan, change, key, &ignored) != ODS_OK)
        return false;
    put_identity(&search->other, plan, key);
    return !search->other.failed;
}

static uint64_t hash_of(const struct mysql_table *table, const struct buffer *key)
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
    struct mysql_folding *folding = search->folding;
    uint32_t count = folding->batch->change_count;
    search->index = arena_alloc(folding->arena, count * sizeof *search->index);
    if (!search->index)
        return error_out_of_memory(folding->error);
    for (uint32_t i = 0; i < count; i++) {
        struct arena_mark mark = arena_mark(folding->arena);
        if (encode_key_of(search, i))
            search->index[search->index_count++] =
                (struct entry){hash_of(folding->plans[i]->table, &search->other), i};
        arena_release(folding->arena, mark);
    }
    qsort(search->index, search->index_count, sizeof *search->index, by_hash);
    return ODS_OK;
}

static bool is_old_row(struct search *search, const struct mysql_plan *plan, uint32_t index)
{
    return search->folding->plans[index]->table == plan->table && encode_key_of(search, index) &&
           search->other.length == search->key.length &&
           memcmp(search->other.bytes, search->key.bytes, search->key.length) == 0;
}

static uint32_t first_of(const struct search *search, uint64_t hash)
{
    uint32_t at = 0, end = search->index_count;
    while (at < end) {
        uint32_t middle = at + (end - at) / 2;
        if (search->index[middle].hash < hash)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

/* A delete's image. A large value that is NULL is not left out of a create; so where the image has
 * NULL it may have the key alone (replica identity default). */
static void put_image(const struct mysql_plan *plan, const struct value *image,
                      struct mysql_cell *cells)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->target_of[i] >= 0 && image[i].kind != VALUE_ABSENT &&
            image[i].kind != VALUE_NULL)
            cells[plan->target_of[i]] = (struct mysql_cell){&plan->sources[i], &image[i], NULL};
}

/* Fills the cells with what the changes of the old key in this batch leave. *erased: one of them
 * deleted the row, so the target's row has nothing to give. *ended: the delete that belongs to this
 * key change is in the batch. *passed: a younger change of that key is, so no older one is still to
 * come. */
static void play_old_row(struct search *search, const struct mysql_plan *plan,
                         const struct change *create, struct mysql_cell *cells, bool *erased,
                         bool *ended, bool *passed)
{
    struct mysql_folding *folding = search->folding;
    uint64_t hash = hash_of(plan->table, &search->key);
    for (uint32_t at = first_of(search, hash);
         !*ended && at < search->index_count && search->index[at].hash == hash; at++) {
        uint32_t index = search->index[at].change;
        const struct change *change = &folding->batch->changes[index];
        if (!is_old_row(search, plan, index))
            continue;
        bool known = change->source_us != INT64_MIN && create->source_us != INT64_MIN;
        if (known && change->source_us > create->source_us) {
            *passed = true;
            return;
        }
        if (change->after) {
            mysql_folding_overlay(folding, cells, index);
            continue;
        }
        *ended = known && change->source_us == create->source_us;
        *erased |= !*ended;
        if (!*ended)
            memset(cells, 0, plan->table->column_count * sizeof *cells);
        else if (change->before && folding->plans[index] == plan)
            put_image(plan, change->before, cells);
    }
}

/* Where no header names the old key: the delete right before the create in its partition, since
 * only a changed key makes a create that lacks values. NULL: there is none. */
static const struct change *delete_before(const struct batch *batch, uint32_t index)
{
    const struct change *change = &batch->changes[index];
    const struct record *record = &batch->records[change->record];
    for (uint32_t i = index; i-- > 0 && index - i <= MOST_BEFORE;) {
        const struct change *old = &batch->changes[i];
        const struct record *before = &batch->records[old->record];
        if (before->partition != record->partition || strcmp(before->topic, record->topic) != 0)
            continue;
        if (old->op != OP_DELETE)
            return NULL;
        if (!old->tombstone && old->before && old->shape == change->shape)
            return old;
    }
    return NULL;
}

/* --- in the target --------------------------------------------------------------------------- */

static bool is_raw(const struct mysql_column *column)
{
    return column->type == MYSQL_IS_BIT || column->type == MYSQL_IS_BINARY ||
           column->type == MYSQL_IS_VARBINARY || column->type == MYSQL_IS_BLOB ||
           column->type == MYSQL_IS_GEOMETRY || column->type == MYSQL_IS_VECTOR;
}

/* As the server takes it back. A float shows fewer digits than it has. */
static void put_wanted(struct buffer *sql, const struct mysql_column *column)
{
    buffer_printf(sql, ", %s%s", column->quoted, column->type == MYSQL_IS_FLOAT ? " + 0e0" : "");
}

static void put_key_column(struct buffer *sql, const struct mysql_plan *plan, uint32_t k,
                           const struct mysql_out *out)
{
    const struct mysql_column *column = &plan->table->columns[plan->key_target[k]];
    buffer_printf(sql, "%s%s = ", k ? " and " : "", column->quoted);
    if (out->form == MYSQL_NUMBER)
        buffer_add(sql, out->bytes, out->length);
    else if (out->form == MYSQL_BYTES)
        mysql_put_bytes(sql, out->bytes, out->length);
    else
        mysql_put_text(sql, out->bytes, out->length);
    buffer_puts(sql, column->type == MYSQL_IS_BIT ? " + 0" : "");
}

static void put_query(struct search *search, const struct mysql_plan *plan, const uint32_t *wanted,
                      uint32_t count)
{
    const struct mysql_column *columns = plan->table->columns;
    struct buffer *sql = &search->sql;
    buffer_reset(sql);
    if (plan->timestamp_column >= 0)
        buffer_printf(sql, "select timestampdiff(microsecond, '1970-01-01', %s), ",
                      columns[plan->timestamp_column].quoted);
    else
        buffer_puts(sql, "select null, ");
    if (plan->operation_column >= 0)
        buffer_puts(sql, columns[plan->operation_column].quoted);
    else
        buffer_puts(sql, "null");
    for (uint32_t i = 0; i < count; i++)
        put_wanted(sql, &columns[wanted[i]]);
    buffer_printf(sql, " from %s where ", plan->table->quoted);
    for (uint32_t k = 0; k < plan->key_count; k++)
        put_key_column(sql, plan, k, &search->old.key[k]);
}

/* Does the table keep rows that are deleted, with the time of that? */
static bool marks_deletes(const struct mysql_plan *plan)
{
    return plan->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0 &&
           plan->timestamp_column >= 0;
}

static bool take(struct search *search, const struct mysql_column *column, const char *bytes,
                 size_t length, struct mysql_cell *cell)
{
    struct arena *arena = search->folding->arena;
    struct mysql_out *out = arena_alloc(arena, sizeof *out);
    char *kept = bytes ? arena_strndup(arena, bytes, length) : NULL;
    if (!out || (bytes && !kept))
        return false;
    *out = (struct mysql_out){.form = !bytes            ? MYSQL_NULL
                                      : is_raw(column) ? MYSQL_BYTES
                                                       : MYSQL_TEXT,
                              .length = (uint32_t) length,
                              .bytes = bytes ? kept : ""};
    *cell = (struct mysql_cell){.source = search->old.plan->sources, .out = out};
    return true;
}

static enum ods_status read_old_row(struct search *search, const struct mysql_plan *plan,
                                    const struct change *create, bool ended, bool passed,
                                    struct mysql_cell *cells, const uint32_t *wanted,
                                    uint32_t count)
{
    struct mysql_folding *folding = search->folding;
    MYSQL_RES *rows;
    put_query(search, plan, wanted, count);
    if (search->sql.failed)
        return error_out_of_memory(folding->error);
    enum ods_status status = mysql_conn_query(folding->conn, search->sql.bytes, search->sql.length,
                                              &rows, folding->error);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    const unsigned long *lengths = row ? mysql_fetch_lengths(rows) : NULL;
    const struct old_row old = row ? old_row_read(row[0], row[1]) : (struct old_row){0};
    bool usable = mysql_num_rows(rows) == 1 && old_row_moved(&old, create, ended);
    if (!ended && !passed)
        status = old_row_await(&old, marks_deletes(plan), folding->batch, create, folding->error);
    for (uint32_t i = 0; usable && status == ODS_OK && i < count; i++)
        if (!take(search, &plan->table->columns[wanted[i]], row[i + 2], lengths[i + 2],
                  &cells[wanted[i]]))
            status = error_out_of_memory(folding->error);
    mysql_free_result(rows);
    return status;
}

/* --- a change -------------------------------------------------------------------------------- */

static enum ods_status keep(struct mysql_folding *folding, uint32_t index,
                            const struct mysql_cell *cells, const uint32_t *missing, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!cells[missing[i]].source) {
            folding->fold->lost++;
            continue;
        }
        struct mysql_inherited *inherited = arena_alloc(folding->arena, sizeof *inherited);
        if (!inherited)
            return error_out_of_memory(folding->error);
        *inherited = (struct mysql_inherited){.target = missing[i],
                                              .cell = cells[missing[i]],
                                              .next = folding->inherited[index]};
        folding->inherited[index] = inherited;
    }
    return ODS_OK;
}

static enum ods_status inherit(struct search *search, uint32_t index, const struct header *header)
{
    struct mysql_folding *folding = search->folding;
    const struct change *create = &folding->batch->changes[index];
    const struct mysql_plan *plan = folding->plans[index];
    uint32_t columns = plan->table->column_count, count = 0, wanted = 0;
    struct mysql_cell *cells = arena_alloc(folding->arena, columns * sizeof *cells);
    uint32_t *missing = arena_alloc(folding->arena, 2 * columns * sizeof *missing);
    bool erased = false, ended = false, passed = false;
    if (!cells || !missing)
        return error_out_of_memory(folding->error);
    uint32_t *unknown = missing + columns;
    memset(cells, 0, columns * sizeof *cells);
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->target_of[i] >= 0 && create->after[i].kind == VALUE_ABSENT)
            missing[count++] = (uint32_t) plan->target_of[i];
    enum ods_status status = search->index || !header ? ODS_OK : make_index(search);
    const struct change *old = header ? NULL : delete_before(folding->batch, index);
    if (old)
        put_image(plan, old->before, cells);
    if (status == ODS_OK && count && header && read_old_key(search, plan, header)) {
        play_old_row(search, plan, create, cells, &erased, &ended, &passed);
        for (uint32_t i = 0; i < count; i++)
            if (!cells[missing[i]].source)
                unknown[wanted++] = missing[i];
        if (!erased && (wanted || !(ended || passed)))
            status = read_old_row(search, plan, create, ended, passed, cells, unknown, wanted);
    }
    return status == ODS_OK ? keep(folding, index, cells, missing, count) : status;
}

/* The server does not look the old row up: nobody can tell which values the change takes along. */
static enum ods_status refuse(struct mysql_folding *folding, uint32_t index)
{
    const struct error why = *folding->error;
    error_init(folding->error);
    folding->parted = true; /* the change is in a row already: without it */
    return mysql_fold_refuse(folding->batch, folding->plans[index], index, &why, folding->error);
}

enum ods_status mysql_inherit(struct mysql_folding *folding)
{
    struct search search = {.folding = folding};
    const struct batch *batch = folding->batch;
    size_t bytes = batch->change_count * sizeof *folding->inherited;
    enum ods_status status = ODS_OK;
    folding->inherited = arena_alloc(folding->arena, bytes);
    if (!folding->inherited)
        return error_out_of_memory(folding->error);
    memset(folding->inherited, 0, bytes);
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        const struct mysql_plan *plan = folding->plans[i];
        struct header header;
        if (change->rejected || !plan || plan->skip || plan->refusal || !plan->table ||
            !plan->key_count || !mysql_folding_lacks_values(change))
            continue;
        bool named = old_key_header(batch, change, &header);
        status = inherit(&search, i, named ? &header : NULL);
        if (status == ODS_REJECT)
            status = refuse(folding, i);
    }
    buffer_done(&search.key);
    buffer_done(&search.other);
    buffer_done(&search.sql);
    return status;
}
