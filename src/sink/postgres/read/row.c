/* A row's key, and whether a change concerns the row. See row.h. */
#include "sink/postgres/read/row_room.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "sink/postgres/fold/fold.h"
#include "sink/postgres/fold/spelling.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/values/ask.h"

/* --- the key --------------------------------------------------------------------------------- */

static void forget_key(struct keyed_row *row)
{
    for (size_t i = 0; row->values && i < row->count; i++) {
        free(row->values[i].name);
        free(row->values[i].text);
        free(row->values[i].encoded);
    }
    free(row->values);
}

void keyed_row_close(struct keyed_row *row)
{
    if (!row)
        return;
    forget_key(row);
    buffer_done(&row->key);
    buffer_done(&row->wanted);
    buffer_done(&row->reduced);
    buffer_done(&row->scratch);
    free(row->known);
    free(row->schema);
    free(row->name);
    free(row);
}

static bool copy_key(struct keyed_row *row, const struct key_text *key, size_t count)
{
    row->values = calloc(count + 1, sizeof *row->values);
    if (!row->values)
        return false;
    row->count = count;
    for (size_t i = 0; i < count; i++) {
        struct key_value *value = &row->values[i];
        value->target = -1;
        value->name = key[i].name ? strdup(key[i].name) : NULL;
        value->text = strdup(key[i].value);
        if (!value->text || (key[i].name && !value->name))
            return false;
    }
    return true;
}

/* The column of a value: the one with its name, or the only column of the key. */
static int find_column(const struct keyed_row *row, const struct key_value *value)
{
    const struct pg_unique *key = catalog_key(row->table);
    if (value->name)
        return catalog_column(row->table, value->name);
    return key && key->count == 1 ? (int) key->columns[0] : -1;
}

static const struct pg_column *column_of(const struct keyed_row *row, size_t i)
{
    return &row->table->columns[row->values[i].target];
}

/* Reads "\x…", a record of one column as record_send() writes it: number of columns, type, length
 * and bytes. */
static bool take_bytes(struct key_value *value, const char *hex)
{
    enum { HEAD = 8 }; /* before the length */
    size_t length = strlen(hex) / 2;
    if (length <= HEAD)
        return false;
    value->encoded_bytes = length - HEAD;
    value->encoded = malloc(value->encoded_bytes);
    for (size_t i = 0; value->encoded && i < value->encoded_bytes; i++) {
        unsigned byte;
        sscanf(hex + 2 * (HEAD + i), "%2x", &byte);
        value->encoded[i] = (char) byte;
    }
    return value->encoded;
}

/* Lets the column's type read the value. */
static enum ods_status read_value(struct keyed_row *row, size_t i, struct error *error)
{
    const struct pg_column *column = column_of(row, i);
    struct key_value *value = &row->values[i];
    bool as_text = column->encoding == ENCODE_CAST || column->encoding == ENCODE_TEXT;
    const char *values[] = {value->text};
    char *sql = NULL;
    PGresult *rows = NULL;
    if (asprintf(&sql,
                 "select $1::%s::pg_catalog.text, pg_catalog.encode(pg_catalog.record_send("
                 "row($1::%s%s)), 'hex')",
                 column->cast, column->cast, as_text ? "::pg_catalog.text" : "") < 0)
        return error_out_of_memory(error);
    enum ods_status status = conn_query(&row->reader->conn, sql, 1, values, &rows, error);
    free(sql);
    if (status == ODS_OK) {
        free(value->text);
        value->text = strdup(PQgetvalue(rows, 0, 0));
        if (!value->text || !take_bytes(value, PQgetvalue(rows, 0, 1)))
            status = error_out_of_memory(error);
    } else if (status == ODS_REJECT) {
        error_prefix(error, "the key's column \"%s\" is of type %s: ", column->name,
                     column->declared);
    }
    PQclear(rows);
    return status;
}

static enum ods_status refuse_key(const struct keyed_row *row, struct error *error)
{
    const struct pg_unique *key = catalog_key(row->table);
    struct buffer names;
    buffer_init(&names);
    for (uint16_t k = 0; key && k < key->count; k++)
        buffer_printf(&names, "%s%s=…", k ? "," : "", row->table->columns[key->columns[k]].name);
    enum ods_status status =
        key ? error_set(error, ODS_REJECT, "the key of %s.%s is %s: give each of its columns",
                        row->schema, row->name, buffer_text(&names))
            : error_set(error, ODS_REJECT,
                        "%s.%s has no key: name the columns that tell the row, as column=value",
                        row->schema, row->name);
    buffer_done(&names);
    return status;
}

static enum ods_status read_key(struct keyed_row *row, struct error *error)
{
    const struct pg_unique *key = catalog_key(row->table);
    enum ods_status status = ODS_OK;
    size_t found = 0;
    for (size_t i = 0; status == ODS_OK && i < row->count; i++) {
        row->values[i].target = find_column(row, &row->values[i]);
        if (row->values[i].target < 0 && row->values[i].name)
            return error_set(error, ODS_REJECT, "%s.%s has no column \"%s\"", row->schema,
                             row->name, row->values[i].name);
        if (row->values[i].target < 0)
            return refuse_key(row, error);
        for (uint16_t k = 0; key && k < key->count; k++)
            found += key->columns[k] == row->values[i].target;
        status = read_value(row, i, error);
    }
    return status == ODS_OK && key && found < key->count ? refuse_key(row, error) : status;
}

enum ods_status keyed_row_open_texts(struct keyed_row **out,
                                     const struct pipeline_settings *pipeline, row_namer *names,
                                     const char *schema, const char *name,
                                     const struct key_text *key, size_t count,
                                     struct error *error)
{
    struct keyed_row *row = *out = calloc(1, sizeof *row);
    if (!row)
        return error_out_of_memory(error);
    row->pipeline = pipeline;
    row->names = names;
    row->schema = strdup(schema);
    row->name = strdup(name);
    if (row->schema && row->name && copy_key(row, key, count))
        return ODS_OK;
    keyed_row_close(row);
    *out = NULL;
    return error_out_of_memory(error);
}

enum ods_status keyed_row_open(struct keyed_row **out, struct reader *reader, const char *schema,
                               const char *name, const struct key_text *key, size_t count,
                               struct error *error)
{
    struct keyed_row *row;
    enum ods_status status = keyed_row_open_texts(&row, reader->config.pipeline, reader_names,
                                                  schema, name, key, count, error);
    *out = NULL;
    if (status != ODS_OK)
        return status;
    row->reader = reader;
    status = catalog_find(&reader->catalog, &reader->conn, schema, name, &row->table, error);
    if (status == ODS_OK && row->table)
        status = read_key(row, error);
    if (status == ODS_OK)
        *out = row;
    else
        keyed_row_close(row);
    return status;
}

void row_put_where(struct buffer *sql, const struct keyed_row *row, int first)
{
    for (size_t i = 0; i < row->count; i++)
        buffer_printf(sql, "%s t.%s = $%d::%s", i ? " and" : " where", column_of(row, i)->quoted,
                      first + (int) i, column_of(row, i)->cast);
}

/* --- does a change concern the row ----------------------------------------------------------- */

static const char *qualifier(const struct shape *shape)
{
    return shape->schema[0] ? shape->schema : shape->database;
}

static const struct table_settings *settings_of(const struct keyed_row *row,
                                                const struct shape *shape)
{
    return pipeline_table(row->pipeline, qualifier(shape), shape->table);
}

/* Does the configuration put the shape's rows into this row's table? A shape that it leaves out
 * counts as if it were not left out. */
static enum ods_status is_ours(struct keyed_row *row, const struct shape *shape, bool *ours,
                               struct error *error)
{
    if (shape->id >= row->shapes) {
        size_t larger = shape->id + 64u;
        struct known_shape *moved = realloc(row->known, larger * sizeof *moved);
        if (!moved)
            return error_out_of_memory(error);
        memset(moved + row->shapes, 0, (larger - row->shapes) * sizeof *moved);
        row->known = moved;
        row->shapes = larger;
    }
    struct known_shape *known = &row->known[shape->id];
    if (known->whose == SHAPE_NEW) {
        char *schema = NULL, *name = NULL;
        struct error ignored; /* an invalid name: no table has it */
        error_init(&ignored);
        bool named =
            row->names(settings_of(row, shape), shape, &schema, &name, &ignored) == ODS_OK;
        bool same = named && strcmp(schema, row->schema) == 0 && strcmp(name, row->name) == 0;
        known->whose = same ? SHAPE_OURS : SHAPE_OTHER;
        free(schema);
        free(name);
    }
    *ours = known->whose == SHAPE_OURS;
    return ODS_OK;
}

enum ods_status row_plan(struct keyed_row *row, const struct shape *shape,
                         const struct plan **plan, struct error *error)
{
    struct known_shape *known = &row->known[shape->id];
    struct plan *found = NULL;
    if (!known->plan) {
        enum ods_status status = plan_look(&row->reader->plans, shape, &found, error);
        if (found && found->target_of && (status == ODS_REJECT || status == ODS_FATAL)) {
            error_init(error); /* the table has no such key: no change of it can be applied */
            status = ODS_OK;
        } else if (status == ODS_OK) {
            assert(found);
            known->keyed = found->table && found->key_count;
        }
        if (status != ODS_OK)
            return status;
        known->plan = found;
    }
    *plan = known->plan;
    return ODS_OK;
}

enum ods_status row_ask(struct keyed_row *row, const struct batch *batch, struct error *error)
{
    const struct plan **plans = calloc(batch->change_count + 1u, sizeof *plans);
    enum ods_status status = plans ? ODS_OK : error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        bool ours;
        status = is_ours(row, batch->changes[i].shape, &ours, error);
        if (status == ODS_OK && ours)
            status = row_plan(row, batch->changes[i].shape, &plans[i], error);
    }
    if (status == ODS_OK)
        status = ask_batch(&row->reader->conn, &row->reader->encoder, batch, plans, error);
    free(plans);
    return status;
}

/* Has the shape's column this name in the target? A column that is left out has none. */
static bool has_name(const struct table_settings *settings, const char *column, const char *name)
{
    char *renamed = NULL;
    struct error ignored;
    error_init(&ignored);
    if (strcmp(column, name) == 0)
        return true;
    name_column(settings, column, &renamed, &ignored);
    bool same = renamed && strcmp(renamed, name) == 0;
    free(renamed);
    return same;
}

const char *keyed_row_value(const struct keyed_row *row, const struct table_settings *settings,
                            const char *column)
{
    for (size_t i = 0; i < row->count; i++) {
        const struct key_value *value = &row->values[i];
        const char *name = value->name            ? value->name
                           : value->target >= 0 ? column_of(row, i)->name
                                                : column;
        if (has_name(settings, column, name))
            return value->text;
    }
    return NULL;
}

static const struct value *image_of(const struct change *change)
{
    return change->after ? change->after : change->before;
}

/* Compares the values' texts, as the table's types are not known. */
static enum ods_status match_text(struct keyed_row *row, const struct change *change, bool *same,
                                  struct error *error)
{
    const struct shape *shape = change->shape;
    const struct table_settings *settings = settings_of(row, shape);
    const struct value *image = image_of(change);
    size_t found = 0;
    *same = image != NULL;
    for (uint32_t i = 0; *same && i < shape->column_count; i++) {
        bool named = row->count != 1 || row->values[0].name || row->values[0].target >= 0;
        bool key = shape->key_count == 1 && shape->key[0] == i;
        const char *wanted =
            named || key ? keyed_row_value(row, settings, shape->columns[i].name) : NULL;
        if (!wanted)
            continue;
        found++;
        if (image[i].kind == VALUE_NULL || image[i].kind == VALUE_ABSENT) {
            *same = false;
            break;
        }
        buffer_reset(&row->scratch);
        struct error ignored;
        error_init(&ignored);
        *same = text_value(&row->scratch, &shape->columns[i], &image[i], &ignored) == ODS_OK &&
                strcmp(buffer_text(&row->scratch), wanted) == 0;
        if (row->scratch.failed)
            return error_out_of_memory(error);
    }
    *same &= found == row->count;
    return ODS_OK;
}

/* Writes the wanted key in the order of the plan's key. False: it has other columns. */
static bool put_wanted(struct keyed_row *row, const struct plan *plan)
{
    buffer_reset(&row->wanted);
    if (plan->key_count != row->count)
        return false;
    for (uint32_t k = 0; k < plan->key_count; k++) {
        size_t i = 0;
        while (i < row->count && row->values[i].target != (int) plan->key_target[k])
            i++;
        if (i == row->count || !row->values[i].encoded)
            return false;
        buffer_add(&row->wanted, row->values[i].encoded, row->values[i].encoded_bytes);
    }
    return true;
}

/* Asks PostgreSQL whether two keys are equal. Nobody else knows it for a collation that ignores
 * case, and for some types. */
static enum ods_status ask_same(struct keyed_row *row, const struct plan *plan,
                                const struct change *change, bool *same, struct error *error)
{
    struct buffer sql, texts[PLAN_MAX_KEY];
    const char *values[2 * PLAN_MAX_KEY];
    const struct value *image = image_of(change);
    PGresult *rows = NULL;
    enum ods_status status = ODS_OK;
    buffer_init(&sql);
    buffer_puts(&sql, "select true");
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const struct pg_column *column = &plan->table->columns[plan->key_target[k]];
        uint32_t source = plan->key_source[k];
        size_t i = 0;
        while (row->values[i].target != (int) plan->key_target[k])
            i++;
        buffer_init(&texts[k]);
        if (status == ODS_OK)
            status = text_value(&texts[k], &change->shape->columns[source], &image[source], error);
        values[2 * k] = buffer_text(&texts[k]);
        values[2 * k + 1] = row->values[i].text;
        buffer_printf(&sql, " and $%u::%s%s%s = $%u::%s", 2 * k + 1, column->cast,
                      column->collation ? " collate " : "",
                      column->collation ? column->collation : "", 2 * k + 2, column->cast);
    }
    if (status == ODS_OK)
        status = conn_query(&row->reader->conn, buffer_text(&sql), 2 * (int) plan->key_count,
                            values, &rows, error);
    *same = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    for (uint32_t k = 0; k < plan->key_count; k++)
        buffer_done(&texts[k]);
    buffer_done(&sql);
    if (status == ODS_REJECT) { /* no row has a key that the type can't read */
        error_init(error);
        return ODS_OK;
    }
    return status;
}

static bool equals(struct keyed_row *row, const struct plan *plan)
{
    if (plan->spelt) {
        spelling_reduce(plan, &row->key, &row->reduced);
        buffer_reset(&row->key);
        buffer_add(&row->key, row->reduced.bytes, row->reduced.length);
        spelling_reduce(plan, &row->wanted, &row->reduced);
        buffer_reset(&row->wanted);
        buffer_add(&row->wanted, row->reduced.bytes, row->reduced.length);
    }
    return row->key.length == row->wanted.length &&
           memcmp(row->key.bytes, row->wanted.bytes, row->key.length) == 0;
}

static enum ods_status match_key(struct keyed_row *row, const struct batch *batch,
                                 uint32_t change, const struct plan *plan, bool *same,
                                 struct error *error)
{
    struct encoder *encoder = &row->reader->encoder;
    const struct change *what = &batch->changes[change];
    enum ods_status status = ODS_RETRY;
    assert(plan);
    readings_reset(&row->reader->readings);
    for (int attempt = 0; attempt < 2 && status == ODS_RETRY; attempt++) {
        error_init(error);
        status = fold_key(encoder, &row->key, plan, what, error);
        if (status == ODS_RETRY && row->reader->readings.waiting_count && !attempt) {
            enum ods_status asked = row_ask(row, batch, error);
            if (asked != ODS_OK)
                return asked;
        }
    }
    if (status == ODS_REJECT) { /* the table can't have such a key */
        error_init(error);
        return match_text(row, what, same, error);
    }
    if (status != ODS_OK)
        return status;
    if (!put_wanted(row, plan))
        return match_text(row, what, same, error);
    *same = equals(row, plan);
    return !*same && plan->asks ? ask_same(row, plan, what, same, error) : ODS_OK;
}

enum ods_status keyed_row_match(struct keyed_row *row, const struct batch *batch, uint32_t change,
                                enum row_match *match, struct error *error)
{
    const struct change *what = &batch->changes[change];
    const struct plan *plan = NULL;
    bool ours, same = false;
    *match = ROW_OTHER;
    enum ods_status status = is_ours(row, what->shape, &ours, error);
    if (status != ODS_OK || !ours)
        return status;
    if (what->op == OP_TRUNCATE) {
        *match = ROW_ALL;
        return ODS_OK;
    }
    if (row->reader)
        status = row_plan(row, what->shape, &plan, error);
    if (status != ODS_OK)
        return status;
    status = row->known[what->shape->id].keyed ? match_key(row, batch, change, plan, &same, error)
                                               : match_text(row, what, &same, error);
    *match = status == ODS_OK && same ? ROW_THIS : ROW_OTHER;
    return status;
}

enum ods_status keyed_row_place(struct keyed_row *row, const struct shape *shape, uint32_t column,
                                enum value_place *place, struct error *error)
{
    const struct plan *plan = NULL;
    *place = VALUE_WRITTEN;
    if (!row->reader)
        return ODS_OK;
    enum ods_status status = row_plan(row, shape, &plan, error);
    if (status != ODS_OK || plan->skip)
        return status;
    if (!plan->names[column])
        *place = VALUE_LEFT_OUT;
    else if (plan->table && plan->target_of && plan->target_of[column] < 0)
        *place = VALUE_NO_COLUMN;
    return ODS_OK;
}
