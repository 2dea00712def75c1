/* Statements over arrays. See upsert.h. */
#include "sink/postgres/upsert.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Replayed changes may be older than the row that they meet. Where a delete takes its row away, a
 * row that is not there may have been deleted since, so only rows that are there are changed. */
enum guard { GUARD_NONE, GUARD_OLDER, GUARD_OLDER_PRESENT };

/* A statement's parameter is one column of the table, or of the key. */
struct statement {
    struct statement *next;
    enum group_kind kind;
    enum guard guard;
    uint32_t key_count;
    uint32_t key[PLAN_MAX_KEY];
    uint64_t *columns;
    int operation_column, timestamp_column;
    const struct pg_table *table;
    uint32_t *parameters; /* table columns, in order of the parameters */
    Oid *types;
    int parameter_count;
    char *sql;
    char name[32];
    unsigned prepared; /* generation of the connection that knows it; 0: none */
};

void upsert_forget(struct pg_table *table)
{
    while (table->statements) {
        struct statement *statement = table->statements;
        table->statements = statement->next;
        free(statement->columns);
        free(statement->parameters);
        free(statement->types);
        free(statement->sql);
        free(statement);
    }
}

void arrays_done(struct arrays *arrays)
{
    for (size_t i = 0; i < arrays->capacity; i++)
        buffer_done(&arrays->columns[i]);
    free(arrays->columns);
    free(arrays->values);
    free(arrays->lengths);
    *arrays = (struct arrays){0};
}

/* --- SQL ------------------------------------------------------------------------------------ */

static bool in_key(const struct statement *statement, uint32_t column)
{
    for (uint32_t k = 0; k < statement->key_count; k++)
        if (statement->key[k] == column)
            return true;
    return false;
}

static bool in_set(const uint64_t *columns, uint32_t column)
{
    return columns[column / 64] >> (column % 64) & 1;
}

/* u.c3, or u.c3::type where the column's own input function is to read the text. */
static void put_value(struct buffer *sql, const struct statement *statement, uint32_t column)
{
    const struct pg_column *target = &statement->table->columns[column];
    buffer_printf(sql, "u.c%u", column);
    if (target->encoding == ENCODE_CAST)
        buffer_printf(sql, "::%s", target->cast);
}

static void put_unnest(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, "unnest(");
    for (int i = 0; i < statement->parameter_count; i++)
        buffer_printf(sql, "%s$%d", i ? ", " : "", i + 1);
    buffer_puts(sql, ") as u (");
    for (int i = 0; i < statement->parameter_count; i++)
        buffer_printf(sql, "%sc%u", i ? ", " : "", statement->parameters[i]);
    buffer_puts(sql, ")");
}

/* Where the rows of a statement come from: its parameters, or the "u" that a guarded one has made
 * of them. */
static void put_source(struct buffer *sql, const struct statement *statement)
{
    if (statement->guard)
        buffer_puts(sql, "u");
    else
        put_unnest(sql, statement);
}

static void put_columns(struct buffer *sql, const struct statement *statement)
{
    for (int i = 0; i < statement->parameter_count; i++)
        buffer_printf(sql, "%s%s", i ? ", " : "",
                      statement->table->columns[statement->parameters[i]].quoted);
}

static void put_values(struct buffer *sql, const struct statement *statement)
{
    for (int i = 0; i < statement->parameter_count; i++) {
        buffer_puts(sql, i ? ", " : "");
        put_value(sql, statement, statement->parameters[i]);
    }
}

/* t.key = u.key and … ; a char(n) key compares as its own type, without the padding. */
static void put_key_match(struct buffer *sql, const struct statement *statement, const char *left)
{
    for (uint32_t k = 0; k < statement->key_count; k++) {
        const struct pg_column *column = &statement->table->columns[statement->key[k]];
        buffer_printf(sql, "%s%s.%s = ", k ? " and " : "", left, column->quoted);
        put_value(sql, statement, statement->key[k]);
        if (column->encoding == ENCODE_TEXT && column->type == 1042)
            buffer_puts(sql, "::pg_catalog.bpchar");
    }
}

/* True for a row t that is older than its change; two of one time can't be told apart. */
static void put_guard(struct buffer *sql, const struct statement *statement)
{
    const char *time = statement->table->columns[statement->timestamp_column].quoted;
    buffer_printf(sql, "(t.%s is null or t.%s < ", time, time);
    if (statement->kind == GROUP_UPSERT && statement->guard == GUARD_OLDER)
        buffer_printf(sql, "excluded.%s", time);
    else
        put_value(sql, statement, (uint32_t) statement->timestamp_column);
    buffer_puts(sql, ")");
}

static void put_returning(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, " returning ");
    for (uint32_t k = 0; k < statement->key_count; k++)
        buffer_printf(sql, "%st.%s", k ? ", " : "",
                      statement->table->columns[statement->key[k]].quoted);
}

static void put_insert(struct buffer *sql, const struct statement *statement)
{
    bool overriding = false;
    for (int i = 0; i < statement->parameter_count; i++)
        overriding |= statement->table->columns[statement->parameters[i]].identity_always;
    buffer_printf(sql, "insert into %s as t (", statement->table->quoted);
    put_columns(sql, statement);
    buffer_printf(sql, ")%s select ", overriding ? " overriding system value" : "");
    put_values(sql, statement);
}

static void put_upsert(struct buffer *sql, const struct statement *statement)
{
    put_insert(sql, statement);
    buffer_puts(sql, " from ");
    put_source(sql, statement);
    if (statement->kind == GROUP_INSERT)
        return;
    buffer_puts(sql, " on conflict (");
    for (uint32_t k = 0; k < statement->key_count; k++)
        buffer_printf(sql, "%s%s", k ? ", " : "",
                      statement->table->columns[statement->key[k]].quoted);
    bool any = false;
    for (int i = 0; i < statement->parameter_count; i++) {
        const struct pg_column *column = &statement->table->columns[statement->parameters[i]];
        if (in_key(statement, statement->parameters[i]) || column->identity_always)
            continue;
        buffer_printf(sql, "%s%s = excluded.%s", any ? ", " : ") do update set ", column->quoted,
                      column->quoted);
        any = true;
    }
    if (!any)
        buffer_puts(sql, ") do nothing");
}

static void put_update(struct buffer *sql, const struct statement *statement)
{
    bool any = false;
    buffer_printf(sql, "update %s as t set ", statement->table->quoted);
    for (int i = 0; i < statement->parameter_count; i++) {
        uint32_t column = statement->parameters[i];
        if (in_key(statement, column) || statement->table->columns[column].identity_always)
            continue;
        buffer_printf(sql, "%s%s = ", any ? ", " : "", statement->table->columns[column].quoted);
        put_value(sql, statement, column);
        any = true;
    }
    if (!any) { /* nothing but the key: touch it, so that the row counts as there */
        buffer_printf(sql, "%s = ", statement->table->columns[statement->key[0]].quoted);
        put_value(sql, statement, statement->key[0]);
    }
    buffer_puts(sql, " from u where ");
    put_key_match(sql, statement, "t");
}

/* The row that is there keeps what the change does not carry. Only one that is not there is
 * inserted: "on conflict" would meet a NOT NULL that the insert can't satisfy before it meets the
 * conflict. */
static void put_partial(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, "with u as materialized (select * from ");
    put_unnest(sql, statement);
    buffer_puts(sql, "), changed as (");
    put_update(sql, statement);
    put_returning(sql, statement);
    buffer_puts(sql, ") ");
    put_insert(sql, statement);
    buffer_puts(sql, " from u where not exists (select from changed where ");
    put_key_match(sql, statement, "changed");
    buffer_puts(sql, ")");
}

static void put_delete(struct buffer *sql, const struct statement *statement)
{
    buffer_printf(sql, "delete from %s as t using ", statement->table->quoted);
    put_source(sql, statement);
    buffer_puts(sql, " where ");
    put_key_match(sql, statement, "t");
}

static void put_soft_delete(struct buffer *sql, const struct statement *statement)
{
    const struct pg_column *columns = statement->table->columns;
    const char *operation = columns[statement->operation_column].quoted;
    buffer_printf(sql, "update %s as t set %s = 'd'", statement->table->quoted, operation);
    if (statement->timestamp_column >= 0) {
        buffer_printf(sql, ", %s = ", columns[statement->timestamp_column].quoted);
        put_value(sql, statement, (uint32_t) statement->timestamp_column);
    }
    buffer_puts(sql, " from ");
    put_source(sql, statement);
    buffer_puts(sql, " where ");
    put_key_match(sql, statement, "t");
    buffer_printf(sql, " and t.%s is distinct from 'd'", operation);
}

static void put_not_in(struct buffer *sql, const struct statement *statement, const char *rows)
{
    buffer_printf(sql, "not exists (select from %s where ", rows);
    put_key_match(sql, statement, rows);
    buffer_puts(sql, ")");
}

static void put_guarded_body(struct buffer *sql, const struct statement *statement)
{
    if (statement->kind == GROUP_UPSERT && statement->guard == GUARD_OLDER) {
        put_upsert(sql, statement);
        buffer_puts(sql, " where ");
    } else {
        if (statement->kind == GROUP_DELETE)
            put_delete(sql, statement);
        else if (statement->kind == GROUP_SOFT_DELETE)
            put_soft_delete(sql, statement);
        else
            put_update(sql, statement);
        buffer_puts(sql, " and ");
    }
    put_guard(sql, statement);
    put_returning(sql, statement);
}

/* Changes the older rows and answers with the changes that it kept out, one row each. */
static void put_guarded(struct buffer *sql, const struct statement *statement)
{
    bool inserts = statement->kind == GROUP_PARTIAL && statement->guard == GUARD_OLDER;
    const char *table = statement->table->quoted;
    buffer_puts(sql, "with u as materialized (select * from ");
    put_unnest(sql, statement);
    buffer_puts(sql, "), changed as (");
    put_guarded_body(sql, statement);
    if (inserts) {
        buffer_puts(sql, "), inserted as (");
        put_insert(sql, statement);
        buffer_puts(sql, " from u where ");
        put_not_in(sql, statement, "changed");
        buffer_printf(sql, " and not exists (select from %s as t where ", table);
        put_key_match(sql, statement, "t");
        buffer_puts(sql, ")");
        put_returning(sql, statement);
    }
    buffer_puts(sql, ") select from u where ");
    put_not_in(sql, statement, "changed");
    if (inserts) {
        buffer_puts(sql, " and ");
        put_not_in(sql, statement, "inserted");
    }
    if (statement->kind == GROUP_DELETE || statement->kind == GROUP_SOFT_DELETE) {
        buffer_printf(sql, " and exists (select from %s as t where ", table);
        put_key_match(sql, statement, "t");
        buffer_puts(sql, " and ");
        put_guard(sql, statement);
        buffer_puts(sql, " is not true)");
    }
}

/* --- compiling ------------------------------------------------------------------------------ */

static bool is_parameter(const struct statement *statement, uint32_t column)
{
    switch (statement->kind) {
    case GROUP_DELETE:
        return in_key(statement, column) ||
               (statement->guard && (int) column == statement->timestamp_column);
    case GROUP_SOFT_DELETE:
        return in_key(statement, column) || (int) column == statement->timestamp_column;
    default:
        return in_set(statement->columns, column);
    }
}

static void put_statement(struct buffer *sql, const struct statement *statement)
{
    if (statement->guard) {
        put_guarded(sql, statement);
        return;
    }
    switch (statement->kind) {
    case GROUP_DELETE:
        put_delete(sql, statement);
        break;
    case GROUP_SOFT_DELETE:
        put_soft_delete(sql, statement);
        break;
    case GROUP_PARTIAL:
        put_partial(sql, statement);
        break;
    case GROUP_UPSERT:
    case GROUP_INSERT:
        put_upsert(sql, statement);
        break;
    }
}

static struct statement *compile(const struct group *group, enum guard guard)
{
    const struct plan *plan = group->plan;
    struct pg_table *table = plan->table;
    size_t bytes = plan_words(table) * sizeof *group->columns;
    struct buffer sql;
    buffer_init(&sql);
    struct statement *statement = calloc(1, sizeof *statement);
    if (!statement)
        return NULL;
    statement->kind = group->kind;
    statement->guard = guard;
    statement->table = table;
    statement->key_count = plan->key_count;
    memcpy(statement->key, plan->key_target, sizeof statement->key);
    statement->operation_column = plan->operation_column;
    statement->timestamp_column = plan->timestamp_column;
    statement->columns = malloc(bytes);
    statement->parameters = calloc(table->column_count, sizeof *statement->parameters);
    statement->types = calloc(table->column_count, sizeof *statement->types);
    /* Linked first, so that one place frees it. */
    statement->next = table->statements;
    table->statements = statement;
    if (!statement->columns || !statement->parameters || !statement->types)
        goto failed;
    memcpy(statement->columns, group->columns, bytes);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (is_parameter(statement, i)) {
            statement->parameters[statement->parameter_count] = i;
            statement->types[statement->parameter_count++] = table->columns[i].array_type;
        }
    put_statement(&sql, statement);
    statement->sql = sql.failed ? NULL : strdup(buffer_text(&sql));
    buffer_done(&sql);
    snprintf(statement->name, sizeof statement->name, "ods_%p", (void *) statement);
    if (statement->sql)
        return statement;
failed:
    table->statements = statement->next;
    free(statement->columns);
    free(statement->parameters);
    free(statement->types);
    free(statement);
    return NULL;
}

static enum guard guard_of(const struct group *group, bool guarded)
{
    if (!guarded || group->kind == GROUP_INSERT)
        return GUARD_NONE;
    return group->plan->settings->on_delete == ON_DELETE_HARD ? GUARD_OLDER_PRESENT : GUARD_OLDER;
}

enum ods_status upsert_statement(const struct group *group, bool guarded, struct statement **found,
                                 struct error *error)
{
    struct pg_table *table = group->plan->table;
    enum guard guard = guard_of(group, guarded);
    size_t bytes = plan_words(table) * sizeof *group->columns;
    for (struct statement *statement = table->statements; statement; statement = statement->next)
        if (statement->kind == group->kind && statement->guard == guard &&
            statement->key_count == group->plan->key_count &&
            memcmp(statement->columns, group->columns, bytes) == 0 &&
            memcmp(statement->key, group->plan->key_target,
                   statement->key_count * sizeof *statement->key) == 0) {
            *found = statement;
            return ODS_OK;
        }
    *found = compile(group, guard);
    return *found ? ODS_OK : error_set(error, ODS_RETRY, "out of memory");
}

/* --- arrays --------------------------------------------------------------------------------- */

#define ARRAY_HEADER_BYTES 20

/* array_recv: dimensions, has-NULL flag, element type, then length and lower bound. The length is
 * set when the rows are in. */
static bool arrays_begin(struct arrays *arrays, const struct statement *statement)
{
    size_t count = (size_t) statement->parameter_count;
    if (count > arrays->capacity) {
        struct buffer *columns = realloc(arrays->columns, count * sizeof *columns);
        if (columns) {
            memset(columns + arrays->capacity, 0, (count - arrays->capacity) * sizeof *columns);
            arrays->columns = columns;
        }
        const char **values = realloc(arrays->values, count * sizeof *values);
        if (values)
            arrays->values = values;
        int *lengths = realloc(arrays->lengths, count * sizeof *lengths);
        if (lengths)
            arrays->lengths = lengths;
        if (!columns || !values || !lengths)
            return false;
        arrays->capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct buffer *column = &arrays->columns[i];
        buffer_reset(column);
        encode_put32(column, 1);
        encode_put32(column, 1);
        encode_put32(column, statement->table->columns[statement->parameters[i]].element_type);
        encode_put32(column, 0);
        encode_put32(column, 1);
    }
    return true;
}

static void arrays_end(struct arrays *arrays, const struct statement *statement, uint32_t rows)
{
    uint32_t length = htobe32(rows);
    for (int i = 0; i < statement->parameter_count; i++) {
        memcpy(arrays->columns[i].bytes + 12, &length, sizeof length);
        arrays->values[i] = arrays->columns[i].bytes;
        arrays->lengths[i] = (int) arrays->columns[i].length;
    }
}

static const struct source_column operation_source = {
    .column = {.name = "cdc_operation", .type = SEM_STRING}};
static const struct source_column timestamp_source = {
    .column = {.name = "cdc_timestamp", .type = SEM_TIMESTAMP_US}};

/* The value of one parameter of one row: from the key, the stamp or the image. */
static void parameter(const struct statement *statement, const struct row *row, uint32_t column,
                      char *operation, struct value *room, struct cell *cell)
{
    *cell = (struct cell){.value = room};
    if ((int) column == statement->operation_column) {
        *operation = (char) row->stamp->op;
        *room = (struct value){.kind = VALUE_TEXT, .length = 1, .bytes = operation};
        cell->column = &operation_source;
    } else if ((int) column == statement->timestamp_column) {
        bool known = row->stamp->source_us != INT64_MIN;
        *room = (struct value){.kind = known ? VALUE_INT : VALUE_NULL,
                               .integer = row->stamp->source_us};
        cell->column = &timestamp_source;
    } else if (!fold_cell(row, column, cell)) {
        *room = (struct value){.kind = VALUE_NULL};
        cell->value = room;
        cell->column = &operation_source;
    }
}

/* A key's element lies ready, in the target's own form, in the row's key. */
static void put_key_element(struct buffer *out, const struct row *row, uint32_t place)
{
    const char *at = row->key;
    uint32_t length;
    for (uint32_t k = 0;; k++) {
        memcpy(&length, at, sizeof length);
        length = be32toh(length);
        if (k == place)
            break;
        at += sizeof length + length;
    }
    buffer_add(out, at, sizeof length + length);
}

static int key_place(const struct statement *statement, uint32_t column)
{
    for (uint32_t k = 0; k < statement->key_count; k++)
        if (statement->key[k] == column)
            return (int) k;
    return -1;
}

static enum ods_status encode_row(const struct statement *statement, const struct row *row,
                                  struct encoder *encoder, struct arrays *arrays, size_t *bytes,
                                  struct error *error)
{
    for (int i = 0; i < statement->parameter_count; i++) {
        uint32_t column = statement->parameters[i];
        struct buffer *out = &arrays->columns[i];
        size_t before = out->length;
        int place = key_place(statement, column);
        if (place >= 0) {
            put_key_element(out, row, (uint32_t) place);
        } else {
            char operation;
            struct value room;
            struct cell cell;
            parameter(statement, row, column, &operation, &room, &cell);
            enum ods_status status = encode_value(encoder, out, &statement->table->columns[column],
                                                  cell.column, cell.value, error);
            if (status != ODS_OK)
                return status;
        }
        if (out->failed)
            return error_set(error, ODS_RETRY, "out of memory");
        *bytes += out->length - before;
    }
    return ODS_OK;
}

enum ods_status upsert_encode(const struct group *group, struct statement *statement,
                              struct encoder *encoder, struct arrays *arrays, uint32_t first,
                              uint32_t last, size_t max_bytes, uint32_t *upto, struct error *error)
{
    size_t bytes = 0;
    if (!arrays_begin(arrays, statement))
        return error_set(error, ODS_RETRY, "out of memory");
    for (*upto = first; *upto < last && bytes < max_bytes; (*upto)++) {
        enum ods_status status =
            encode_row(statement, group->rows[*upto], encoder, arrays, &bytes, error);
        if (status != ODS_OK)
            return status;
    }
    arrays_end(arrays, statement, *upto - first);
    return ODS_OK;
}

enum ods_status upsert_send(struct statement *statement, struct conn *conn, struct arrays *arrays,
                            unsigned *commands, struct error *error)
{
    struct conn_params params = {.count = statement->parameter_count,
                                 .types = statement->types,
                                 .values = arrays->values,
                                 .lengths = arrays->lengths};
    if (statement->prepared != conn->generation) {
        enum ods_status status =
            conn_send_prepare(conn, statement->name, statement->sql, &params, error);
        if (status != ODS_OK)
            return status;
        statement->prepared = conn->generation;
        ++*commands;
    }
    enum ods_status status = conn_send_prepared(conn, statement->name, &params, error);
    if (status == ODS_OK)
        ++*commands;
    return status;
}

void upsert_unprepare(struct statement *statement)
{
    statement->prepared = 0;
}
