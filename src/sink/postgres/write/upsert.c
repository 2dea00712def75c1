/* Statements over arrays. See upsert.h. */
#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/write/statement.h"

static void statement_free(struct prepared *prepared)
{
    struct statement *statement = (struct statement *) prepared;
    struct prepared **link = &statement->table->statements;
    while (*link != prepared)
        link = &(*link)->next;
    *link = prepared->next;
    statements_remove(prepared);
    free(statement->columns);
    free(statement->parameters);
    free(statement->types);
    free(statement->sql);
    free(statement);
}

void arrays_done(struct arrays *arrays)
{
    for (size_t i = 0; i < arrays->capacity; i++)
        buffer_done(&arrays->columns[i]);
    free(arrays->columns);
    free(arrays->values);
    free(arrays->lengths);
    free(arrays->starts);
    *arrays = (struct arrays){0};
}

/* --- compiling ------------------------------------------------------------------------------ */

static bool is_parameter(const struct statement *statement, uint32_t column)
{
    switch (statement->kind) {
    case GROUP_DELETE:
    case GROUP_PARK:
        return statement_has_key(statement, column) ||
               (statement->guard && (int) column == statement->timestamp_column);
    case GROUP_SOFT_DELETE:
        return statement_has_key(statement, column) || (int) column == statement->timestamp_column;
    default:
        return statement_in_set(statement->columns, column);
    }
}

/* Writes the SQL. It is freed after sending and built again when needed, since there may be very
 * many sets of columns. */
static bool put_sql(struct statement *statement)
{
    struct buffer sql;
    if (statement->sql)
        return true;
    buffer_init(&sql);
    statement_put(&sql, statement);
    statement->sql = sql.failed ? NULL : strdup(buffer_text(&sql));
    buffer_done(&sql);
    return statement->sql;
}

static void drop_sql(struct statement *statement)
{
    free(statement->sql);
    statement->sql = NULL;
}

/* Does the statement compare large values? A guarded one does not: it has one row, and is rare. */
static bool compares_with(const struct group *group, enum guard guard)
{
    return group->compares && guard == GUARD_NONE;
}

static struct statement *compile(const struct group *group, enum guard guard)
{
    const struct plan *plan = group->plan;
    struct pg_table *table = plan->table;
    size_t bytes = plan_words(table) * sizeof *group->columns;
    struct statement *statement = calloc(1, sizeof *statement);
    if (!statement)
        return NULL;
    statement->kind = group->kind;
    statement->guess = group->guess;
    statement->guard = guard;
    statement->compares = compares_with(group, guard);
    statement->table = table;
    statement->key_count = plan->key_count;
    memcpy(statement->key, plan->key_target, sizeof statement->key);
    statement->operation_column = plan->operation_column;
    statement->timestamp_column = plan->timestamp_column;
    statement->keeps = plan->shape->history_of;
    statement->kept_operation = plan->kept_operation;
    statement->kept_time = plan->kept_time;
    assert(bytes || !table->column_count);
    statement->columns = malloc(bytes + 1);
    statement->parameters = calloc(table->column_count, sizeof *statement->parameters);
    statement->types = calloc(table->column_count, sizeof *statement->types);
    /* Put into the lists first, so that one place frees it whatever fails. */
    statement->prepared.free = statement_free;
    statement->prepared.next = table->statements;
    table->statements = &statement->prepared;
    if (!statement->columns || !statement->parameters || !statement->types) {
        statement_free(&statement->prepared);
        return NULL;
    }
    memcpy(statement->columns, group->columns, bytes);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (is_parameter(statement, i)) {
            statement->parameters[statement->parameter_count] = i;
            statement->types[statement->parameter_count++] = table->columns[i].array_type;
        }
    return statement;
}

static enum guard guard_of(const struct group *group, bool guarded)
{
    if (!guarded || group->kind == GROUP_INSERT || group->plan->shape->history_of)
        return GUARD_NONE;
    return group->plan->settings->on_delete == ON_DELETE_HARD ? GUARD_OLDER_PRESENT : GUARD_OLDER;
}

enum ods_status upsert_statement(struct statements *statements, const struct group *group,
                                 bool guarded, struct statement **found, struct error *error)
{
    struct pg_table *table = group->plan->table;
    enum guard guard = guard_of(group, guarded);
    size_t bytes = plan_words(table) * sizeof *group->columns;
    for (struct prepared *one = table->statements; one; one = one->next) {
        struct statement *statement = (struct statement *) one;
        if (statement->kind == group->kind && statement->guess == group->guess &&
            statement->guard == guard && statement->compares == compares_with(group, guard) &&
            statement->key_count == group->plan->key_count &&
            memcmp(statement->columns, group->columns, bytes) == 0 &&
            memcmp(statement->key, group->plan->key_target,
                   statement->key_count * sizeof *statement->key) == 0) {
            statements_use(one);
            *found = statement;
            return ODS_OK;
        }
    }
    *found = compile(group, guard);
    if (!*found)
        return error_out_of_memory(error);
    statements_add(statements, &(*found)->prepared);
    return ODS_OK;
}

/* --- arrays --------------------------------------------------------------------------------- */

#define ARRAY_HEADER_BYTES 20

/* Writes the head of each array, as array_recv reads it: dimensions, has-NULL flag, element type,
 * length and lower bound. The length is set when the rows are encoded. */
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
        size_t *starts = realloc(arrays->starts, count * sizeof *starts);
        if (starts)
            arrays->starts = starts;
        if (!columns || !values || !lengths || !starts)
            return false;
        arrays->capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct buffer *column = &arrays->columns[i];
        encode_array_begin(column, statement->table->columns[statement->parameters[i]].element_type,
                           0);
    }
    arrays->rows = 0;
    arrays->bytes = 0;
    return true;
}

static void arrays_end(struct arrays *arrays, const struct statement *statement)
{
    uint32_t length = htobe32(arrays->rows);
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

/* The row's key already has the element in the target's form. */
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

enum ods_status upsert_value(const struct statement *statement, const struct row *row,
                             uint32_t column, struct encoder *encoder, struct buffer *out,
                             struct error *error)
{
    int place = row->key ? key_place(statement, column) : -1;
    if (place >= 0) {
        put_key_element(out, row, (uint32_t) place);
        return ODS_OK;
    }
    char operation;
    struct value room;
    struct cell cell;
    parameter(statement, row, column, &operation, &room, &cell);
    return encode_value(encoder, out, &statement->table->columns[column], cell.column, cell.value,
                        error);
}

/* A row that can't be encoded leaves the arrays as they were. */
static enum ods_status encode_row(const struct statement *statement, const struct row *row,
                                  struct encoder *encoder, struct arrays *arrays,
                                  struct error *error)
{
    size_t bytes = 0;
    for (int i = 0; i < statement->parameter_count; i++) {
        struct buffer *out = &arrays->columns[i];
        arrays->starts[i] = out->length;
        enum ods_status status =
            upsert_value(statement, row, statement->parameters[i], encoder, out, error);
        if (status == ODS_OK && out->failed)
            status = error_out_of_memory(error);
        if (status != ODS_OK) {
            for (int k = i; k >= 0; k--)
                arrays->columns[k].length = arrays->starts[k];
            return status;
        }
        bytes += out->length - arrays->starts[i];
    }
    arrays->rows++;
    arrays->bytes += bytes;
    return ODS_OK;
}

/* So many rows before its turn a row's values are asked for, and the bytes behind them. */
#define AHEAD_VALUES 8
#define AHEAD_BYTES  4
#define LINE_VALUES  4 /* in a line of the cache */

void upsert_look_ahead(const struct group *group, uint32_t at, uint32_t last)
{
    if (at + AHEAD_VALUES >= last)
        return;
    const struct row *far = group->rows[at + AHEAD_VALUES], *near = group->rows[at + AHEAD_BYTES];
    uint32_t count = far->image ? far->plan->column_count : 0;
    for (uint32_t i = 0; i < count; i += LINE_VALUES)
        __builtin_prefetch(&far->image[i]);
    const struct value *value = near->image, *end = value ? value + near->plan->column_count : NULL;
    for (; value < end; value++)
        if (value->kind >= VALUE_NUMBER)
            __builtin_prefetch(value->bytes);
}

enum ods_status upsert_begin(struct arrays *arrays, const struct statement *statement,
                             struct error *error)
{
    return arrays_begin(arrays, statement) ? ODS_OK : error_out_of_memory(error);
}

enum ods_status upsert_encode(const struct group *group, const struct statement *statement,
                              struct encoder *encoder, struct arrays *arrays, uint32_t *first,
                              uint32_t last, size_t max_bytes, struct error *error)
{
    for (; *first < last && arrays->bytes < max_bytes; ++*first) {
        if (group->rows[*first]->aside)
            continue;
        upsert_look_ahead(group, *first, last);
        enum ods_status status = encode_row(statement, group->rows[*first], encoder, arrays, error);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

static enum ods_status prepare(struct statement *statement, struct conn *conn,
                               const struct conn_params *params, struct error *error)
{
    struct prepared *prepared = &statement->prepared;
    prepared->number = ++conn->prepared; /* so no other statement has the same name */
    snprintf(prepared->name, sizeof prepared->name, STATEMENT_NAME,
             (unsigned long long) prepared->number);
    enum ods_status status = conn_send_prepare(conn, prepared->name, statement->sql, params, error);
    if (status == ODS_OK) {
        prepared->generation = conn->generation;
        conn->statements.known++;
    }
    return status;
}

enum ods_status upsert_send(struct statement *statement, struct conn *conn, struct arrays *arrays,
                            unsigned *commands, struct error *error)
{
    arrays_end(arrays, statement);
    struct conn_params params = {.count = statement->parameter_count,
                                 .types = statement->types,
                                 .values = arrays->values,
                                 .lengths = arrays->lengths};
    enum ods_status status = ODS_OK;
    if (statement->prepared.generation != conn->generation) {
        if (!put_sql(statement))
            return error_out_of_memory(error);
        if (!statements_have_room(&conn->statements)) {
            status = conn_send_params(conn, statement->sql, &params, error);
            drop_sql(statement);
            *commands += status == ODS_OK;
            return status;
        }
        status = prepare(statement, conn, &params, error);
        drop_sql(statement);
        *commands += status == ODS_OK;
    }
    if (status == ODS_OK)
        status = conn_send_prepared(conn, statement->prepared.name, &params, error);
    *commands += status == ODS_OK;
    return status;
}

void upsert_unprepare(struct statement *statement)
{
    if (statement->prepared.generation)
        statement->prepared.home->known--;
    statement->prepared.generation = 0;
}
