/* The target's rows. See target.h. */
#include "verify/target.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/oids.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/derived_mark_all.h"

enum ods_status target_open(struct target *target, const char *name,
                            const struct session_settings *settings, struct error *error)
{
    *target = (struct target){0};
    target_row_init(&target->row);
    if (!conn_init(&target->conn, name, settings))
        return error_set(error, ODS_RETRY, "target %s: no file descriptor left", name);
    return target_ready(target, error);
}

void target_close(struct target *target)
{
    if (!target->conn.name)
        return;
    PQfreemem(target->copied);
    target_row_done(&target->row);
    buffer_done(&target->texts);
    conn_done(&target->conn);
    *target = (struct target){0};
}

enum ods_status target_ready(struct target *target, struct error *error)
{
    if (target->conn.pg && PQstatus(target->conn.pg) == CONNECTION_OK)
        return ODS_OK;
    enum ods_status status = conn_open(&target->conn, error);
    if (status != ODS_OK)
        return status;
    return conn_script(&target->conn,
                       "set default_transaction_read_only = on; set intervalstyle = iso_8601; "
                       "set statement_timeout = 0",
                       error);
}

/* --- COPY ----------------------------------------------------------------------------------- */

static int32_t get32(const char *at)
{
    return element_length(at);
}

/* Skips the head of the stream before the first row: eleven bytes, flags, and an extension with its
 * length. */
static const char *behind_head(const char *at, const char *end)
{
    if (end - at < 19 || memcmp(at, "PGCOPY\n\377\r\n", 11) != 0)
        return at;
    return at + 19 + get32(at + 15);
}

/* Adds the texts of the columns, which come after the columns themselves. */
static bool add_texts(struct target *target, const struct comparison *comparison, const char *at,
                      const char *end)
{
    buffer_reset(&target->texts);
    for (uint32_t i = 0; i < comparison->count; i++) {
        int32_t length = end - at < 4 ? -1 : get32(at);
        at += 4;
        if (length < 0)
            buffer_puts(&target->texts, "NULL");
        else
            buffer_add(&target->texts, at, (size_t) length);
        buffer_add(&target->texts, "", 1);
        at += length > 0 ? length : 0;
    }
    return !target->texts.failed;
}

static bool add_fields(struct target *target, const struct comparison *comparison, const char *at,
                       const char *end, bool texts, size_t *prefix)
{
    target_row_begin(&target->row);
    for (uint32_t i = 0; i < comparison->count; i++) {
        if (end - at < 4)
            return false;
        int32_t length = get32(at);
        at += 4;
        if (length > end - at ||
            !target_row_add(comparison, &target->row, i, at, length, prefix))
            return false;
        at += length > 0 ? length : 0;
    }
    return !texts || add_texts(target, comparison, at, end);
}

/* Writes the expressions for the columns' texts, cut to what is shown. */
static void put_text_list(struct buffer *sql, const struct comparison *comparison)
{
    for (uint32_t i = 0; i < comparison->count; i++) {
        const char *name = compared_target(comparison, i)->quoted;
        bool bytes = compared_target(comparison, i)->encoding == ENCODE_BYTEA;
        buffer_printf(sql, ", left(%st.%s%s::text, %d)", bytes ? "substr(" : "", name,
                      bytes ? ", 1, 100)" : "", SHOWN_BYTES);
    }
}

enum ods_status target_read(struct target *target, const struct comparison *comparison,
                            const char *where, bool want_texts, uint64_t *count, row_take *take,
                            void *context, struct error *error)
{
    struct buffer sql;
    size_t length;
    *count = 0;
    buffer_init(&sql);
    buffer_printf(&sql, "copy (select %s", comparison->target_list);
    if (want_texts)
        put_text_list(&sql, comparison);
    buffer_printf(&sql, " from %s t%s) to stdout (format binary)",
                  comparison->plan->table->quoted, where);
    enum ods_status status = sql.failed ? error_out_of_memory(error) : target_ready(target, error);
    if (status == ODS_OK)
        status = conn_copy_out(&target->conn, buffer_text(&sql), error);
    buffer_done(&sql);
    while (status == ODS_OK) {
        status = conn_copy_row(&target->conn, &target->copied, &length, error);
        if (status != ODS_OK || !target->copied)
            break;
        const char *end = target->copied + length, *at = behind_head(target->copied, end);
        if (end - at < 4) /* the end of the stream: -1 fields */
            continue;
        size_t prefix = 0;
        if (!add_fields(target, comparison, at + 2, end, want_texts, &prefix)) {
            status = error_out_of_memory(error);
            break;
        }
        const struct row row = {.elements = target->row.elements.bytes,
                                .length = target->row.elements.length,
                                .prefix = prefix,
                                .key = target->row.key.bytes,
                                .key_length = target->row.key.length,
                                .texts = want_texts ? target->texts.bytes : NULL};
        ++*count;
        status = take(context, &row, error);
    }
    if (status != ODS_OK) /* the rest of the stream is still unread */
        conn_close(&target->conn);
    return status;
}

/* --- look-ups by key ------------------------------------------------------------------------ */

void keys_init(struct keys *keys)
{
    *keys = (struct keys){0};
}

void keys_done(struct keys *keys)
{
    buffer_done(&keys->elements);
    keys->count = 0;
}

void keys_reset(struct keys *keys)
{
    buffer_reset(&keys->elements);
    keys->count = 0;
}

void keys_add(struct keys *keys, const char *key, size_t length)
{
    buffer_add(&keys->elements, key, length);
    keys->count++;
}

/* The columns of the keys as arrays, in the form in which the sink sends them. */
struct key_arrays {
    struct buffer buffers[PLAN_MAX_KEY + 1]; /* the last one is of what goes with each key */
    Oid types[PLAN_MAX_KEY + 1];
    const char *values[PLAN_MAX_KEY + 1];
    int lengths[PLAN_MAX_KEY + 1];
    uint32_t count;
};

static bool fill_arrays(struct key_arrays *arrays, const struct comparison *comparison,
                        const struct keys *keys)
{
    bool failed = keys->elements.failed;
    arrays->count = comparison->keys;
    for (uint32_t k = 0; k < comparison->keys; k++) {
        const struct pg_column *column = compared_target(comparison, k);
        encode_array_begin(&arrays->buffers[k], column->element_type, (uint32_t) keys->count);
        arrays->types[k] = column->array_type;
    }
    const char *at = keys->elements.bytes;
    for (size_t i = 0; i < keys->count; i++)
        for (uint32_t k = 0; k < comparison->keys; k++) {
            buffer_add(&arrays->buffers[k], at, element_bytes(at));
            at += element_bytes(at);
        }
    for (uint32_t k = 0; k < comparison->keys; k++) {
        arrays->values[k] = arrays->buffers[k].bytes;
        arrays->lengths[k] = (int) arrays->buffers[k].length;
        failed |= arrays->buffers[k].failed;
    }
    return !failed;
}

/* An array of texts, one for each key. */
static bool add_texts_array(struct key_arrays *arrays, const char *const *texts, size_t count)
{
    uint32_t at = arrays->count++;
    struct buffer *buffer = &arrays->buffers[at];
    encode_array_begin(buffer, OID_TEXT, (uint32_t) count);
    for (size_t i = 0; i < count; i++) {
        element_put_length(buffer, (int32_t) strlen(texts[i]));
        buffer_puts(buffer, texts[i]);
    }
    arrays->types[at] = OID_TEXT_ARRAY;
    arrays->values[at] = buffer->bytes;
    arrays->lengths[at] = (int) buffer->length;
    return !buffer->failed;
}

static void arrays_free(struct key_arrays *arrays)
{
    for (size_t i = 0; i <= PLAN_MAX_KEY; i++)
        buffer_done(&arrays->buffers[i]);
}

/* `texts`: one more array, of a text for each key; or NULL. */
static enum ods_status ask_by_keys(struct target *target, const struct comparison *comparison,
                                   const struct keys *keys, const char *const *texts,
                                   const char *sql, PGresult **result, struct error *error)
{
    struct key_arrays arrays = {0};
    bool filled = fill_arrays(&arrays, comparison, keys) &&
                  (!texts || add_texts_array(&arrays, texts, keys->count));
    const struct conn_params params = {.count = (int) arrays.count,
                                       .types = arrays.types,
                                       .values = arrays.values,
                                       .lengths = arrays.lengths};
    enum ods_status status = filled ? target_ready(target, error) : error_out_of_memory(error);
    if (status == ODS_OK)
        status = conn_query_binary(&target->conn, sql, &params, result, error);
    arrays_free(&arrays);
    return status;
}

static void put_unnest(struct buffer *sql, const struct comparison *comparison)
{
    buffer_puts(sql, " from (select ");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "%su.k%u::%s as k%u", k ? ", " : "", k,
                      compared_target(comparison, k)->cast, k);
    buffer_puts(sql, ", u.n from unnest(");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "%s$%u", k ? ", " : "", k + 1);
    buffer_puts(sql, ") with ordinality as u(");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "k%u, ", k);
    buffer_puts(sql, "n)) u");
}

/* Writes the columns that say which change wrote the row; '' where the table has no such column. */
static void put_traces(struct buffer *sql, const struct comparison *comparison)
{
    const struct plan *plan = comparison->plan;
    const int columns[] = {plan->operation_column, plan->timestamp_column,
                           comparison->provenance.topic, comparison->provenance.partition,
                           comparison->provenance.offset};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (columns[i] >= 0)
            buffer_printf(sql, ", coalesce(t.%s::text, '')",
                          plan->table->columns[columns[i]].quoted);
        else
            buffer_puts(sql, ", ''::text");
    buffer_puts(sql, plan->table->is_view ? ", ''::text" : ", t.xmin::text");
}

static void put_lookup(struct buffer *sql, const struct comparison *comparison)
{
    buffer_printf(sql, "select %s", comparison->target_list);
    put_text_list(sql, comparison);
    put_traces(sql, comparison);
    put_unnest(sql, comparison);
    buffer_printf(sql, " join %s t on true", comparison->plan->table->quoted);
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, " and t.%s = u.k%u", compared_target(comparison, k)->quoted, k);
    buffer_puts(sql, comparison->target_where);
}

static bool add_result_row(struct target *target, const struct comparison *comparison,
                           const PGresult *result, int row, size_t *prefix)
{
    target_row_begin(&target->row);
    for (uint32_t i = 0; i < comparison->count; i++) {
        bool null = PQgetisnull(result, row, (int) i);
        if (!target_row_add(comparison, &target->row, i, PQgetvalue(result, row, (int) i),
                            null ? -1 : PQgetlength(result, row, (int) i), prefix))
            return false;
    }
    return true;
}

static void put_result_texts(struct buffer *texts, const struct comparison *comparison,
                             const PGresult *result, int row)
{
    buffer_reset(texts);
    for (int i = (int) comparison->count; i < PQnfields(result); i++) {
        bool null = PQgetisnull(result, row, i);
        buffer_puts(texts, null ? "NULL" : PQgetvalue(result, row, i));
        buffer_add(texts, "", 1);
    }
}

enum ods_status target_lookup(struct target *target, const struct comparison *comparison,
                              const struct keys *keys, row_take *take, void *context,
                              struct error *error)
{
    struct buffer sql, texts;
    PGresult *result = NULL;
    buffer_init(&sql);
    buffer_init(&texts);
    put_lookup(&sql, comparison);
    enum ods_status status =
        sql.failed ? error_out_of_memory(error)
                   : ask_by_keys(target, comparison, keys, NULL, buffer_text(&sql), &result,
                                 error);
    for (int i = 0; status == ODS_OK && i < PQntuples(result); i++) {
        size_t prefix = 0;
        bool good = add_result_row(target, comparison, result, i, &prefix);
        put_result_texts(&texts, comparison, result, i);
        const struct row row = {.elements = target->row.elements.bytes,
                                .length = target->row.elements.length,
                                .prefix = prefix,
                                .key = target->row.key.bytes,
                                .key_length = target->row.key.length,
                                .texts = texts.bytes};
        status = good && !texts.failed ? take(context, &row, error) : error_out_of_memory(error);
    }
    PQclear(result);
    buffer_done(&sql);
    buffer_done(&texts);
    return status;
}

enum ods_status target_key_texts(struct target *target, const struct comparison *comparison,
                                 const struct keys *keys, PGresult **texts, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "select ");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(&sql, "%su.k%u::text", k ? ", " : "", k);
    put_unnest(&sql, comparison);
    buffer_puts(&sql, " order by u.n");
    enum ods_status status =
        sql.failed ? error_out_of_memory(error)
                   : ask_by_keys(target, comparison, keys, NULL, buffer_text(&sql), texts, error);
    buffer_done(&sql);
    return status;
}

/* --- deleting ------------------------------------------------------------------------------- */

/* Deletes the row, or marks it as deleted, as a delete from the source would. */
static void put_delete(struct buffer *sql, const struct comparison *comparison)
{
    const struct plan *plan = comparison->plan;
    bool marks = comparison->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0;
    buffer_printf(sql, "with gone as (%s %s t", marks ? "update" : "delete from",
                  plan->table->quoted);
    if (marks)
        buffer_printf(sql, " set %s = 'd' from (select",
                      plan->table->columns[plan->operation_column].quoted);
    else
        buffer_puts(sql, " using (select");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, " u.k%u::%s as k%u,", k, compared_target(comparison, k)->cast, k);
    buffer_puts(sql, " u.v, u.n from unnest(");
    for (uint32_t k = 0; k <= comparison->keys; k++)
        buffer_printf(sql, "%s$%u", k ? ", " : "", k + 1);
    buffer_puts(sql, ") with ordinality as u(");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "k%u, ", k);
    buffer_puts(sql, "v, n)) u where t.xmin::text = u.v");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, " and t.%s = u.k%u", compared_target(comparison, k)->quoted, k);
    buffer_printf(sql, "%s returning u.n) select n::text from gone", comparison->target_where);
}

/* What is derived from the table follows. The sink's own schema has marks once a derived table was
 * configured. */
static enum ods_status mark_derived(struct target *target, const struct comparison *comparison,
                                    struct error *error)
{
    const struct pg_table *table = comparison->plan->table;
    const char *values[] = {table->schema, table->name};
    bool there = false;
    enum ods_status status = own_table_is_there(&target->conn, "derived_marks", &there, error);
    return status == ODS_OK && there
               ? own_query(&target->conn, sql_derived_mark_all, 2, values, NULL, error)
               : status;
}

enum ods_status target_delete(struct target *target, const struct comparison *comparison,
                              const struct keys *keys, const char *const *versions, bool *deleted,
                              struct error *error)
{
    struct buffer sql;
    PGresult *gone = NULL;
    memset(deleted, 0, keys->count * sizeof *deleted);
    buffer_init(&sql);
    put_delete(&sql, comparison);
    enum ods_status status =
        sql.failed ? error_out_of_memory(error) : target_ready(target, error);
    if (status == ODS_OK)
        status = conn_script(&target->conn, "begin read write", error);
    if (status == ODS_OK)
        status = ask_by_keys(target, comparison, keys, versions, buffer_text(&sql), &gone, error);
    if (status == ODS_OK && PQntuples(gone))
        status = mark_derived(target, comparison, error);
    if (status == ODS_OK)
        status = conn_script(&target->conn, "commit", error);
    for (int i = 0; status == ODS_OK && i < PQntuples(gone); i++) {
        size_t number = strtoul(PQgetvalue(gone, i, 0), NULL, 10);
        if (number && number <= keys->count)
            deleted[number - 1] = true;
    }
    if (status != ODS_OK) /* nothing of it may stay */
        conn_close(&target->conn);
    PQclear(gone);
    buffer_done(&sql);
    return status;
}

/* --- ranges --------------------------------------------------------------------------------- */

/* Writes (a, b) > (x, y): one comparison of rows, for which PostgreSQL uses the key's index. */
static enum ods_status put_bound(struct target *target, const struct comparison *comparison,
                                 const char *operator, const struct buffer *key, struct buffer *sql,
                                 struct error *error)
{
    PGresult *texts = NULL;
    struct keys one;
    keys_init(&one);
    keys_add(&one, key->bytes, key->length);
    enum ods_status status = target_key_texts(target, comparison, &one, &texts, error);
    keys_done(&one);
    if (status != ODS_OK)
        return status;
    buffer_puts(sql, " and (");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "%st.%s", k ? ", " : "",
                      compared_target(comparison, comparison->order[k])->quoted);
    buffer_printf(sql, ") %s (", operator);
    for (uint32_t k = 0; k < comparison->keys; k++) {
        int column = (int) comparison->order[k];
        char *literal = PQescapeLiteral(target->conn.pg, PQgetvalue(texts, 0, column),
                                        (size_t) PQgetlength(texts, 0, column));
        sql->failed |= !literal;
        buffer_printf(sql, "%s%s::%s", k ? ", " : "", literal ? literal : "",
                      compared_target(comparison, comparison->order[k])->cast);
        PQfreemem(literal);
    }
    buffer_puts(sql, ")");
    PQclear(texts);
    return sql->failed ? error_out_of_memory(error) : ODS_OK;
}

enum ods_status target_put_range(struct target *target, const struct comparison *comparison,
                                 const struct buffer *from, const struct buffer *upto,
                                 struct buffer *sql, struct error *error)
{
    enum ods_status status = target_ready(target, error);
    buffer_printf(sql, " where true%s", comparison->target_where);
    if (status == ODS_OK && from)
        status = put_bound(target, comparison, ">", from, sql, error);
    if (status == ODS_OK && upto)
        status = put_bound(target, comparison, "<=", upto, sql, error);
    return status;
}

enum ods_status target_put_behind(struct target *target, const struct comparison *comparison,
                                  const struct key_texts *texts, struct buffer *sql,
                                  struct error *error)
{
    enum ods_status status = target_ready(target, error);
    if (status != ODS_OK)
        return status;
    buffer_puts(sql, " and (");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "%st.%s", k ? ", " : "", compared_target(comparison, k)->quoted);
    buffer_puts(sql, ") > (");
    for (uint32_t k = 0; k < comparison->keys; k++) {
        char *literal =
            PQescapeLiteral(target->conn.pg, texts->texts[k].bytes, texts->texts[k].length);
        sql->failed |= !literal;
        buffer_printf(sql, "%s%s::%s", k ? ", " : "", literal ? literal : "",
                      compared_target(comparison, k)->cast);
        PQfreemem(literal);
    }
    buffer_puts(sql, ")");
    return sql->failed ? error_out_of_memory(error) : ODS_OK;
}

enum ods_status target_keys(struct target *target, const struct comparison *comparison,
                            const char *where, struct keys *keys, struct error *error)
{
    static const struct conn_params none = {0};
    struct buffer sql;
    PGresult *result = NULL;
    buffer_init(&sql);
    buffer_puts(&sql, "select ");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(&sql, "%st.%s%s", k ? ", " : "", compared_target(comparison, k)->quoted,
                      compared_target(comparison, k)->encoding == ENCODE_CAST ? "::text" : "");
    buffer_printf(&sql, " from %s t%s", comparison->plan->table->quoted, where);
    enum ods_status status = sql.failed ? error_out_of_memory(error) : target_ready(target, error);
    if (status == ODS_OK)
        status = conn_query_binary(&target->conn, buffer_text(&sql), &none, &result, error);
    for (int row = 0; status == ODS_OK && row < PQntuples(result); row++) {
        for (int k = 0; k < (int) comparison->keys; k++) {
            bool null = PQgetisnull(result, row, k);
            element_put_length(&keys->elements, null ? -1 : PQgetlength(result, row, k));
            buffer_add(&keys->elements, PQgetvalue(result, row, k),
                       (size_t) PQgetlength(result, row, k));
        }
        keys->count++;
    }
    if (status == ODS_OK && keys->elements.failed)
        status = error_out_of_memory(error);
    PQclear(result);
    buffer_done(&sql);
    return status;
}

enum ods_status target_number(struct target *target, const char *sql, int64_t *number,
                              struct error *error)
{
    PGresult *result = NULL;
    enum ods_status status = target_ready(target, error);
    if (status == ODS_OK)
        status = conn_query(&target->conn, sql, 0, NULL, &result, error);
    if (status == ODS_OK && PQntuples(result))
        *number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return status;
}
