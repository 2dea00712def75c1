/* See marks.h. A mark is a row of ods_sink.derived_marks: which derived table, of which table it
 * depends on, and for each column of `by` an array of values as text, all of one length; or NULL,
 * for any row. They are only ever inserted here: no lane waits for another, or for who takes
 * them. */
#include "sink/postgres/write/marks.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"

/* --- what depends on a table ------------------------------------------------------------------ */

struct dependent {
    const struct derived_settings *derived;
    const struct derived_source *source;
};

/* The next dependent of the table behind *at; false: there is none. */
static bool next_dependent(const struct postgres *postgres, const struct pg_table *table,
                           size_t at[2], struct dependent *found)
{
    const struct pipeline_settings *pipeline = postgres->config.pipeline;
    for (; at[0] < pipeline->derived_count; at[0]++, at[1] = 0) {
        const struct derived_settings *derived = &pipeline->derived[at[0]];
        if (strcmp(derived->target, postgres->config.name) != 0)
            continue;
        while (at[1] < derived->source_count) {
            const struct derived_source *source = &derived->sources[at[1]++];
            if (source->triggers || strcmp(source->table, table->name) != 0 ||
                strcmp(source->schema, table->schema) != 0)
                continue;
            *found = (struct dependent){derived, source};
            return true;
        }
    }
    return false;
}

/* How a dependent's marks are made. */
enum way {
    WAY_KEY,  /* from the keys of the batch's rows */
    WAY_ROW,  /* from the rows, before and after */
    WAY_ALL,  /* any row may be meant */
};

static bool in_key(const struct plan *plan, int column)
{
    for (uint32_t k = 0; k < plan->key_count; k++)
        if ((int) plan->key_target[k] == column)
            return true;
    return false;
}

static enum way way_of(const struct dependent *dependent, const struct plan *plan)
{
    enum way way = WAY_KEY;
    for (size_t i = 0; i < dependent->source->by.count; i++) {
        int column = catalog_column(plan->table, dependent->source->by.items[i]);
        if (column < 0)
            return WAY_ALL;
        if (!in_key(plan, column))
            way = WAY_ROW;
    }
    return way;
}

/* --- the statement ---------------------------------------------------------------------------- */

static void put_literal(struct buffer *sql, const char *text)
{
    buffer_puts(sql, "'");
    for (; *text; text++)
        buffer_add(sql, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    buffer_puts(sql, "'");
}

/* Begins the select of one mark. */
static void put_head(struct buffer *sql, const struct dependent *dependent, bool *first)
{
    buffer_puts(sql, *first ? " select " : " union all select ");
    *first = false;
    put_literal(sql, dependent->derived->schema);
    buffer_puts(sql, "||'.'||");
    put_literal(sql, dependent->derived->table);
    buffer_puts(sql, ", ");
    put_literal(sql, dependent->source->name);
}

static void put_mark(struct buffer *sql, const struct dependent *dependent, const struct plan *plan,
                     enum way way)
{
    const struct strings *by = &dependent->source->by;
    buffer_puts(sql, ", array[");
    for (size_t i = 0; i < by->count; i++)
        buffer_printf(sql, "%spg_catalog.array_agg(c%zu)::text", i ? ", " : "", i);
    buffer_puts(sql, "] from (select distinct ");
    for (size_t i = 0; i < by->count; i++) {
        int column = catalog_column(plan->table, by->items[i]);
        buffer_printf(sql, "%s%s%d as c%zu", i ? ", " : "", way == WAY_KEY ? "u.k" : "r.b", column,
                      i);
    }
    buffer_printf(sql, " from %s) c having count(*) > 0", way == WAY_KEY ? "u" : "r");
}

/* u: the keys of the batch's rows. */
static void put_keys(struct buffer *sql, const struct plan *plan)
{
    buffer_puts(sql, "with u as (select ");
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const struct pg_column *column = &plan->table->columns[plan->key_target[k]];
        buffer_printf(sql, "%s%s", k ? ", " : "", column->encoding == ENCODE_CAST ? "(" : "");
        buffer_printf(sql, "unnest($%u)", k + 1);
        if (column->encoding == ENCODE_CAST)
            buffer_printf(sql, ")::%s", column->cast);
        else if (column->type == OID_BPCHAR)
            buffer_puts(sql, "::pg_catalog.bpchar");
        buffer_printf(sql, " as k%u", plan->key_target[k]);
    }
    buffer_puts(sql, ")");
}

/* r: the columns `by` of those rows as they are now. */
static void put_rows(struct buffer *sql, const struct postgres *postgres, const struct plan *plan,
                     bool locks)
{
    size_t at[2] = {0, 0}, count = 0;
    struct dependent dependent;
    uint64_t *seen = calloc(plan_words(plan->table), sizeof *seen);
    if (!seen) {
        sql->failed = true;
        return;
    }
    buffer_puts(sql, ", r as (select ");
    while (next_dependent(postgres, plan->table, at, &dependent)) {
        if (way_of(&dependent, plan) != WAY_ROW)
            continue;
        for (size_t i = 0; i < dependent.source->by.count; i++) {
            int column = catalog_column(plan->table, dependent.source->by.items[i]);
            if (seen[column / 64] >> (column % 64) & 1)
                continue;
            seen[column / 64] |= UINT64_C(1) << (column % 64);
            buffer_printf(sql, "%st.%s as b%d", count++ ? ", " : "",
                          plan->table->columns[column].quoted, column);
        }
    }
    free(seen);
    buffer_printf(sql, " from u, %s t where ", plan->table->quoted);
    for (uint32_t k = 0; k < plan->key_count; k++)
        buffer_printf(sql, "%st.%s = u.k%u", k ? " and " : "",
                      plan->table->columns[plan->key_target[k]].quoted, plan->key_target[k]);
    buffer_puts(sql, locks && !plan->table->is_view ? " for no key update of t)" : ")");
}

/* Which marks a statement is about. */
enum moment { MOMENT_BEFORE, MOMENT_AFTER };

/* Marks of rows with keys. False: there are none to write at this moment. */
static bool put_marks(struct buffer *sql, const struct postgres *postgres, const struct plan *plan,
                      enum moment moment)
{
    size_t at[2] = {0, 0};
    struct dependent dependent;
    bool rows = false, keys = false, first = true;
    while (next_dependent(postgres, plan->table, at, &dependent)) {
        enum way way = way_of(&dependent, plan);
        rows |= way == WAY_ROW;
        keys |= way == WAY_KEY;
    }
    if (!rows && (!keys || moment == MOMENT_AFTER))
        return false;
    put_keys(sql, plan);
    if (rows)
        put_rows(sql, postgres, plan, moment == MOMENT_BEFORE);
    char *schema = quote_name(postgres->conn.settings->schema);
    buffer_printf(sql, " insert into %s.derived_marks (derived, source, keys)",
                  schema ? schema : "");
    sql->failed |= !schema;
    free(schema);
    at[0] = at[1] = 0;
    while (next_dependent(postgres, plan->table, at, &dependent)) {
        enum way way = way_of(&dependent, plan);
        if (way == WAY_ALL || (way == WAY_KEY && moment == MOMENT_AFTER))
            continue;
        put_head(sql, &dependent, &first);
        put_mark(sql, &dependent, plan, way);
    }
    return true;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Rows of one key's columns, and the arrays of their values. */
struct keys {
    const struct plan *plan;
    struct buffer columns[PLAN_MAX_KEY];
    uint32_t count;
};

static void keys_begin(struct keys *keys, const struct plan *plan)
{
    keys->plan = plan;
    keys->count = 0;
    for (uint32_t k = 0; k < plan->key_count; k++)
        encode_array_begin(&keys->columns[k],
                           plan->table->columns[plan->key_target[k]].element_type, 0);
}

static void keys_add(struct keys *keys, const char *key)
{
    for (uint32_t k = 0; k < keys->plan->key_count; k++) {
        uint32_t length;
        memcpy(&length, key, sizeof length);
        length = be32toh(length);
        buffer_add(&keys->columns[k], key, sizeof length + length);
        key += sizeof length + length;
    }
    keys->count++;
}

static enum ods_status keys_send(struct keys *keys, struct attempt *attempt, enum moment moment)
{
    const struct plan *plan = keys->plan;
    struct conn_params params = {.count = plan ? (int) plan->key_count : 0};
    const char *values[PLAN_MAX_KEY];
    int lengths[PLAN_MAX_KEY];
    Oid types[PLAN_MAX_KEY];
    struct buffer sql;
    uint32_t count = htobe32(keys->count);
    if (!keys->count)
        return ODS_OK;
    assert(plan);
    buffer_init(&sql);
    bool any = put_marks(&sql, attempt->postgres, plan, moment), failed = sql.failed;
    for (uint32_t k = 0; k < plan->key_count; k++) {
        failed |= keys->columns[k].failed;
        if (!failed)
            memcpy(keys->columns[k].bytes + 12, &count, sizeof count);
        values[k] = keys->columns[k].bytes;
        lengths[k] = (int) keys->columns[k].length;
        types[k] = plan->table->columns[plan->key_target[k]].array_type;
    }
    params.types = types;
    params.values = values;
    params.lengths = lengths;
    enum ods_status status = ODS_OK;
    if (failed)
        status = error_out_of_memory(attempt->error);
    else if (any)
        status = attempt_send_own(attempt, buffer_text(&sql), &params);
    buffer_done(&sql);
    return status;
}

static enum ods_status send_keys(struct attempt *attempt, const struct table_work *work,
                                 enum moment moment)
{
    struct keys keys = {0};
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; i < work->row_count && status == ODS_OK; i++) {
        const struct row *row = work->rows[i];
        if (!row->key)
            continue;
        if (!keys.plan || !plan_same_key(keys.plan, row->plan)) {
            status = keys_send(&keys, attempt, moment);
            keys_begin(&keys, row->plan);
        }
        keys_add(&keys, row->key);
    }
    if (status == ODS_OK)
        status = keys_send(&keys, attempt, moment);
    for (size_t k = 0; k < PLAN_MAX_KEY; k++)
        buffer_done(&keys.columns[k]);
    return status;
}

/* --- any row ---------------------------------------------------------------------------------- */

/* A key that PostgreSQL has to read from text may be refused, and then no row is to blame for the
 * marks: with caution the whole table is marked. */
static bool is_read_there(const struct plan *plan)
{
    for (uint32_t k = 0; k < plan->key_count; k++)
        if (plan->table->columns[plan->key_target[k]].encoding == ENCODE_CAST)
            return true;
    return false;
}

/* Can't the batch tell which rows of the table it changes? */
static bool is_open(const struct attempt *attempt, const struct table_work *work)
{
    if (work->truncate || work->loose)
        return true;
    for (uint32_t i = 0; i < work->row_count; i++)
        if (!work->rows[i]->key || (attempt->caution != CAUTION_NONE &&
                                    is_read_there(work->rows[i]->plan)))
            return true;
    return false;
}

/* A plan of the table's rows; NULL: it has none. */
static const struct plan *plan_of(const struct table_work *work)
{
    return work->row_count ? work->rows[0]->plan : NULL;
}

static enum ods_status send_open(struct attempt *attempt, const struct table_work *work, bool open)
{
    struct postgres *postgres = attempt->postgres;
    const struct conn_params none = {0};
    size_t at[2] = {0, 0};
    struct dependent dependent;
    struct buffer sql;
    bool first = true;
    char *schema = quote_name(postgres->conn.settings->schema);
    enum ods_status status = ODS_OK;
    buffer_init(&sql);
    buffer_printf(&sql, "insert into %s.derived_marks (derived, source, keys)",
                  schema ? schema : "");
    while (next_dependent(postgres, work->table, at, &dependent)) {
        if (!open && way_of(&dependent, plan_of(work)) != WAY_ALL)
            continue;
        put_head(&sql, &dependent, &first);
        buffer_puts(&sql, ", null::text[]");
    }
    if (!schema || sql.failed)
        status = error_out_of_memory(attempt->error);
    else if (!first)
        status = attempt_send_own(attempt, buffer_text(&sql), &none);
    free(schema);
    buffer_done(&sql);
    return status;
}

static enum ods_status send_table(struct attempt *attempt, const struct table_work *work,
                                  enum moment moment)
{
    size_t at[2] = {0, 0};
    struct dependent dependent;
    if (!next_dependent(attempt->postgres, work->table, at, &dependent))
        return ODS_OK;
    if (is_open(attempt, work))
        return moment == MOMENT_BEFORE ? send_open(attempt, work, true) : ODS_OK;
    if (!work->row_count)
        return ODS_OK;
    enum ods_status status =
        moment == MOMENT_BEFORE ? send_open(attempt, work, false) : ODS_OK;
    return status == ODS_OK ? send_keys(attempt, work, moment) : status;
}

static enum ods_status send_all(struct attempt *attempt, enum moment moment)
{
    enum ods_status status = ODS_OK;
    if (!attempt->postgres->config.pipeline->derived_count)
        return ODS_OK;
    for (const struct table_work *work = attempt->fold.tables; work && status == ODS_OK;
         work = work->next)
        status = send_table(attempt, work, moment);
    return status;
}

enum ods_status marks_ready(struct postgres *postgres, struct error *error)
{
    if (!postgres->config.pipeline->derived_count ||
        postgres->marks_seen == postgres->conn.generation)
        return ODS_OK;
    enum ods_status status = own_schema_prepare_table(&postgres->conn, "derived_marks", error);
    if (status == ODS_OK)
        postgres->marks_seen = postgres->conn.generation;
    return status;
}

enum ods_status marks_send_before(struct attempt *attempt)
{
    return send_all(attempt, MOMENT_BEFORE);
}

enum ods_status marks_send_after(struct attempt *attempt)
{
    return send_all(attempt, MOMENT_AFTER);
}
