/* What changes should have made of a row, and what it is. See row.h. */
#include "sink/postgres/read/row_room.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/fold/fold.h"

/* A longer text of a value is cut. */
#define TEXT_CHARACTERS 1000000

struct expected_cell {
    bool known;
    char *bytes; /* an element with its length, as a statement takes it */
    size_t length, capacity;
};

/* --- what it should be ----------------------------------------------------------------------- */

void expected_row_done(struct expected_row *expected)
{
    for (size_t i = 0; i < expected->count; i++)
        free(expected->cells[i].bytes);
    free(expected->cells);
    *expected = (struct expected_row){0};
}

static void forget_cells(struct expected_row *expected)
{
    for (size_t i = 0; i < expected->count; i++)
        expected->cells[i].known = false;
}

static bool keep(struct expected_cell *cell, const struct buffer *element)
{
    if (element->length > cell->capacity) {
        char *larger = realloc(cell->bytes, element->length);
        if (!larger)
            return false;
        cell->bytes = larger;
        cell->capacity = element->length;
    }
    memcpy(cell->bytes, element->bytes, element->length);
    cell->length = element->length;
    cell->known = true;
    return true;
}

static enum ods_status encode(struct keyed_row *row, const struct plan *plan, uint32_t column,
                              const struct value *value, const struct batch *batch,
                              struct error *error)
{
    const struct pg_column *target = &plan->table->columns[plan->target_of[column]];
    enum ods_status status = ODS_RETRY;
    for (int attempt = 0; attempt < 2 && status == ODS_RETRY; attempt++) {
        error_init(error);
        buffer_reset(&row->scratch);
        status = encode_value(&row->reader->encoder, &row->scratch, target,
                              &plan->sources[column], value, error);
        if (status == ODS_RETRY && row->reader->readings.waiting_count && !attempt) {
            enum ods_status asked = row_ask(row, batch, error);
            if (asked != ODS_OK)
                return asked;
        }
    }
    return status == ODS_OK && row->scratch.failed ? error_out_of_memory(error) : status;
}

static enum ods_status expect_image(struct keyed_row *row, struct expected_row *expected,
                                    const struct plan *plan, const struct batch *batch,
                                    const struct change *change, struct error *error)
{
    enum ods_status status = ODS_OK;
    readings_reset(&row->reader->readings);
    for (uint32_t i = 0; status == ODS_OK && i < plan->shape->column_count; i++) {
        const struct value *value = &change->after[i];
        int32_t target = plan->target_of[i];
        if (target < 0 || value->kind == VALUE_ABSENT)
            continue;
        struct expected_cell *cell = &expected->cells[target];
        status = encode(row, plan, i, value, batch, error);
        if (status == ODS_OK && !keep(cell, &row->scratch))
            return error_out_of_memory(error);
        if (status == ODS_REJECT) { /* the sink would have refused it too */
            error_init(error);
            cell->known = false;
            status = ODS_OK;
        }
    }
    return status;
}

static bool reserve(struct expected_row *expected, size_t count)
{
    if (expected->count >= count)
        return true;
    struct expected_cell *cells = realloc(expected->cells, count * sizeof *cells);
    if (!cells)
        return false;
    memset(cells + expected->count, 0, (count - expected->count) * sizeof *cells);
    expected->cells = cells;
    expected->count = count;
    return true;
}

static void expect_end(struct expected_row *expected, const struct table_settings *settings,
                       enum change_op op)
{
    if (op == OP_TRUNCATE ? settings->on_truncate != ON_TRUNCATE_APPLY
                          : settings->on_delete == ON_DELETE_IGNORE)
        return;
    if (op == OP_DELETE && settings->on_delete == ON_DELETE_SOFT) {
        expected->state = EXPECTED_SOFT_DELETED;
        return;
    }
    forget_cells(expected);
    expected->state = EXPECTED_ABSENT;
}

enum ods_status keyed_row_expect(struct keyed_row *row, struct expected_row *expected,
                                 const struct batch *batch, uint32_t change, struct error *error)
{
    const struct change *what = &batch->changes[change];
    const struct plan *plan = NULL;
    enum ods_status status = row_plan(row, what->shape, &plan, error);
    if (status != ODS_OK || plan->skip || !plan->table || !plan->target_of)
        return status;
    if (!reserve(expected, plan->table->column_count))
        return error_out_of_memory(error);
    if (!what->after) {
        expect_end(expected, plan->settings, what->op);
        return ODS_OK;
    }
    expected->state = EXPECTED_PRESENT;
    return expect_image(row, expected, plan, batch, what, error);
}

/* --- what it is ------------------------------------------------------------------------------ */

struct looking {
    struct keyed_row *row;
    const struct expected_row *expected;
    struct buffer sql;
    Oid *types;
    const char **values;
    int *lengths;
    int count;
    struct error *error;
};

static bool is_expected(const struct looking *looking, uint32_t column)
{
    const struct expected_row *expected = looking->expected;
    return expected && column < expected->count && expected->cells[column].known &&
           !looking->row->table->columns[column].generated;
}

/* Writes the expected value as an assignment to the column makes it from the parameter. */
static void put_expected(struct looking *looking, const struct pg_column *column, int parameter)
{
    buffer_printf(&looking->sql, "$%d::%s::%s", parameter, column->cast, column->declared);
}

/* Writes the comparison by PostgreSQL's equality; byte by byte where the type has none, or one that
 * ignores differences. */
static void put_same(struct looking *looking, const struct pg_column *column, int parameter)
{
    struct buffer *sql = &looking->sql;
    bool image = column->encoding == ENCODE_CAST || column->encoding == ENCODE_JSON ||
                 column->encoding == ENCODE_TEXT;
    if (image) {
        buffer_printf(sql, ", row(t.%s)::pg_catalog.record operator(pg_catalog.*=) row(",
                      column->quoted);
        put_expected(looking, column, parameter);
        buffer_puts(sql, ")::pg_catalog.record");
    } else {
        buffer_printf(sql, ", t.%s is not distinct from ", column->quoted);
        put_expected(looking, column, parameter);
    }
}

static void add_parameter(struct looking *looking, Oid type, const char *value, int length)
{
    looking->types[looking->count] = type;
    looking->values[looking->count] = value;
    looking->lengths[looking->count++] = length;
}

/* Adds an element's bytes as a parameter; NULL for NULL. */
static void add_element(struct looking *looking, const struct pg_column *column,
                        const struct expected_cell *cell)
{
    int32_t length = 0;
    for (size_t i = 0; i < sizeof length; i++)
        length = (int32_t) ((uint32_t) length << 8 | (uint8_t) cell->bytes[i]);
    add_parameter(looking, column->element_type, length < 0 ? NULL : cell->bytes + sizeof length,
                  length < 0 ? 0 : length);
}

static void put_columns(struct looking *looking)
{
    const struct pg_table *table = looking->row->table;
    struct buffer *sql = &looking->sql;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct pg_column *column = &table->columns[i];
        buffer_printf(sql, "%s pg_catalog.\"left\"(t.%s::pg_catalog.text, %d)",
                      i ? "," : "select", column->quoted, TEXT_CHARACTERS);
        if (!is_expected(looking, i)) {
            buffer_puts(sql, ", null, null");
            continue;
        }
        add_element(looking, column, &looking->expected->cells[i]);
        buffer_puts(sql, ", pg_catalog.\"left\"((");
        put_expected(looking, column, looking->count);
        buffer_printf(sql, ")::pg_catalog.text, %d)", TEXT_CHARACTERS);
        put_same(looking, column, looking->count);
    }
}

static enum ods_status query(struct looking *looking, PGresult **rows)
{
    struct keyed_row *row = looking->row;
    size_t most = row->table->column_count + row->count + 1;
    looking->types = calloc(most, sizeof *looking->types);
    looking->values = calloc(most, sizeof *looking->values);
    looking->lengths = calloc(most, sizeof *looking->lengths);
    if (!looking->types || !looking->values || !looking->lengths)
        return error_out_of_memory(looking->error);
    put_columns(looking);
    buffer_printf(&looking->sql, " from %s as t", row->table->quoted);
    row_put_where(&looking->sql, row, looking->count + 1);
    buffer_puts(&looking->sql, " limit 2");
    for (size_t i = 0; i < row->count; i++)
        add_parameter(looking, OID_TEXT, row->values[i].text, (int) strlen(row->values[i].text));
    if (looking->sql.failed)
        return error_out_of_memory(looking->error);
    const struct conn_params params = {.count = looking->count,
                                       .types = looking->types,
                                       .values = looking->values,
                                       .lengths = looking->lengths};
    return conn_query_params(&row->reader->conn, buffer_text(&looking->sql), &params, rows,
                             looking->error);
}

static const char *copy(struct row_look *look, const PGresult *rows, int column, bool *failed)
{
    if (PQgetisnull(rows, 0, column))
        return NULL;
    char *text = strdup(PQgetvalue(rows, 0, column));
    *failed |= !text;
    if (text)
        look->texts[look->text_count++] = text;
    return text;
}

static enum ods_status take(struct looking *looking, const PGresult *rows, struct row_look *look)
{
    const struct pg_table *table = looking->row->table;
    bool failed = false;
    look->rows = (size_t) PQntuples(rows);
    if (!look->rows)
        return ODS_OK;
    look->cells = calloc(table->column_count + 1u, sizeof *look->cells);
    look->texts = calloc(2 * table->column_count + 1u, sizeof *look->texts);
    if (!look->cells || !look->texts)
        return error_out_of_memory(looking->error);
    for (uint32_t i = 0; i < table->column_count; i++) {
        struct row_cell *cell = &look->cells[look->count++];
        int at = 3 * (int) i;
        cell->column = table->columns[i].name;
        cell->value = copy(look, rows, at, &failed);
        cell->known = is_expected(looking, i);
        cell->expected = copy(look, rows, at + 1, &failed);
        cell->same = !cell->known || PQgetvalue(rows, 0, at + 2)[0] == 't';
    }
    return failed ? error_out_of_memory(looking->error) : ODS_OK;
}

enum ods_status keyed_row_look(struct keyed_row *row, const struct table_settings *settings,
                               const struct expected_row *expected, struct row_look *look,
                               struct error *error)
{
    struct looking looking = {.row = row, .expected = expected, .error = error};
    PGresult *rows = NULL;
    *look = (struct row_look){0};
    if (!row->table)
        return ODS_OK;
    buffer_init(&looking.sql);
    enum ods_status status = query(&looking, &rows);
    if (status == ODS_OK)
        status = take(&looking, rows, look);
    PQclear(rows);
    buffer_done(&looking.sql);
    free(looking.types);
    free(looking.values);
    free(looking.lengths);
    for (size_t i = 0; status == ODS_OK && i < look->count; i++) {
        assert(look->cells[i].column);
        if (settings->on_delete == ON_DELETE_SOFT &&
            strcmp(look->cells[i].column, settings->cdc_operation) == 0)
            look->soft_deleted = look->cells[i].value && strcmp(look->cells[i].value, "d") == 0;
    }
    return status;
}

void row_look_done(struct row_look *look)
{
    for (size_t i = 0; i < look->text_count; i++)
        free(look->texts[i]);
    free(look->texts);
    free(look->cells);
    *look = (struct row_look){0};
}
