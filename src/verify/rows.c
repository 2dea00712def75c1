/* Rows in canonical form. See rows.h. */
#include "verify/rows.h"

#include <stdlib.h>

#include "sink/postgres/wire/oids.h"

#define WAITING_ROWS  1000
#define WAITING_BYTES (1 << 20)

void key_texts_init(struct key_texts *texts)
{
    *texts = (struct key_texts){0};
}

void key_texts_done(struct key_texts *texts)
{
    for (size_t i = 0; i < PLAN_MAX_KEY; i++)
        buffer_done(&texts->texts[i]);
    *texts = (struct key_texts){0};
}

/* --- opening -------------------------------------------------------------------------------- */

/* Fills the source's columns as the source declares them; they need none of the corrections that
 * records may need. */
static bool fill_sources(struct source_rows *rows)
{
    const struct plan *plan = rows->comparison->plan;
    uint32_t count = plan->shape->column_count;
    rows->sources = calloc(count + 1u, sizeof *rows->sources);
    rows->values =
        calloc(count + rows->comparison->source->column_count + 1u, sizeof *rows->values);
    rows->answers = calloc(rows->comparison->count + 1u, sizeof *rows->answers);
    rows->waiting = calloc(WAITING_ROWS, sizeof *rows->waiting);
    if (!rows->sources || !rows->values || !rows->answers || !rows->waiting)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        rows->sources[i] = plan->sources[i];
        if (i < rows->comparison->source->column_count) {
            rows->sources[i].column = plan->shape->columns[i];
            rows->sources[i].coding = CODING_NONE;
            rows->sources[i].refusal = NULL;
        }
    }
    return true;
}

enum ods_status source_rows_open(struct source_rows *rows, const struct comparison *comparison,
                                 struct database *database, struct conn *reader, bool want_texts,
                                 struct error *error)
{
    *rows = (struct source_rows){.comparison = comparison,
                                 .database = database,
                                 .reader = reader,
                                 .want_texts = want_texts};
    encoder_init(&rows->encoder, &comparison->pipeline->source);
    readings_init(&rows->readings);
    rows->encoder.readings = &rows->readings;
    arena_init(&rows->arena);
    enum ods_status status = fill_sources(rows) ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK && comparison->whole)
        status = passage_open(&rows->passage, comparison->pipeline,
                              comparison->passage.shape, error);
    rows->passage.wanted = comparison->passage.wanted;
    if (status != ODS_OK)
        source_rows_close(rows);
    return status;
}

void source_rows_close(struct source_rows *rows)
{
    if (!rows->comparison)
        return;
    for (uint32_t i = 0; rows->answers && i < rows->comparison->count; i++)
        buffer_done(&rows->answers[i]);
    free(rows->answers);
    free(rows->sources);
    free(rows->values);
    free(rows->waiting);
    buffer_done(&rows->elements);
    buffer_done(&rows->keys);
    buffer_done(&rows->texts);
    buffer_done(&rows->refusals);
    buffer_done(&rows->finished);
    passage_close(&rows->passage);
    encoder_done(&rows->encoder);
    readings_done(&rows->readings);
    arena_done(&rows->arena);
    *rows = (struct source_rows){0};
}

/* --- one value ------------------------------------------------------------------------------ */

/* Asks for texts that only the target's input functions can read, as the sink does, for this row
 * alone. */
static enum ods_status ask_for(struct source_rows *rows, const struct value *values,
                               struct error *error)
{
    struct change change = {
        .op = OP_CREATE, .shape = rows->comparison->plan->shape, .after = values};
    const struct batch batch = {.changes = &change, .change_count = 1};
    enum ods_status status = conn_open(rows->reader, error);
    return status == ODS_OK ? ask_batch(rows->reader, &rows->encoder, &batch,
                                        &rows->comparison->plan, error)
                            : status;
}

/* Lets the target round a value as it would when it is written (inexact: round). */
static enum ods_status round_by_target(struct source_rows *rows, const struct pg_column *target,
                                       size_t start, struct error *error)
{
    struct buffer *out = &rows->elements;
    struct buffer sql;
    PGresult *result = NULL;
    const char *value = out->bytes + start + 4;
    int length = element_length(out->bytes + start);
    const struct conn_params params = {
        .count = 1, .types = &target->type, .values = &value, .lengths = &length};
    enum ods_status status = conn_open(rows->reader, error);
    buffer_init(&sql);
    buffer_printf(&sql, "select $1::%s", target->declared);
    if (status == ODS_OK)
        status = conn_query_binary(rows->reader, buffer_text(&sql), &params, &result, error);
    if (status == ODS_OK) {
        out->length = start;
        element_put_length(out, PQgetlength(result, 0, 0));
        buffer_add(out, PQgetvalue(result, 0, 0), (size_t) PQgetlength(result, 0, 0));
    }
    PQclear(result);
    buffer_done(&sql);
    return status;
}

static enum ods_status encode(struct source_rows *rows, const struct compared *column,
                              const struct value *values, struct error *error)
{
    const struct pg_column *target = &rows->comparison->plan->table->columns[column->target];
    const struct source_column *source = &rows->sources[column->source];
    const struct value *value = &values[column->source];
    struct buffer *out = &rows->elements;
    size_t start = out->length;
    uint64_t rounded = rows->encoder.losses.rounded;
    enum ods_status status = encode_value(&rows->encoder, out, target, source, value, error);
    if (status == ODS_RETRY && rows->readings.waiting_count) {
        out->length = start;
        error_init(error);
        status = ask_for(rows, values, error);
        if (status == ODS_OK)
            status = encode_value(&rows->encoder, out, target, source, value, error);
    }
    if (status == ODS_OK && rows->encoder.losses.rounded != rounded && target->modifier >= 0 &&
        target->encoding != ENCODE_CAST && element_length(out->bytes + start) >= 0)
        status = round_by_target(rows, target, start, error);
    return status;
}

static void put_shown(struct buffer *texts, const struct form_column *form,
                      const struct field *cell)
{
    size_t length = cell->length < SHOWN_BYTES ? cell->length : SHOWN_BYTES;
    bool raw = form && (form->form == FORM_BYTES || form->form == FORM_BIT ||
                        form->form == FORM_BITS || form->form == FORM_GEOMETRY);
    if (!cell->bytes)
        buffer_puts(texts, "NULL");
    else if (raw) {
        buffer_puts(texts, "\\x");
        for (size_t i = 0; i < length / 2; i++)
            buffer_printf(texts, "%02x", (uint8_t) cell->bytes[i]);
        buffer_puts(texts, length / 2 < cell->length && length / 2 ? "…" : "");
    } else {
        const char *nul = memchr(cell->bytes, '\0', length);
        buffer_add(texts, cell->bytes, nul ? (size_t) (nul - cell->bytes) : length);
        buffer_puts(texts, length < cell->length ? "…" : "");
    }
    buffer_add(texts, "", 1);
}

/* --- one row -------------------------------------------------------------------------------- */

/* Reads the values of the compared columns. *left_out: the pipeline drops the row. */
static enum ods_status read_values(struct source_rows *rows, const struct field *cells,
                                   const struct value **values, bool *left_out,
                                   struct error *error)
{
    const struct comparison *comparison = rows->comparison;
    const struct source_table *source = comparison->source;
    enum ods_status status = ODS_OK;
    *values = rows->values;
    *left_out = false;
    if (!comparison->whole) {
        for (uint32_t i = 0; status == ODS_OK && i < comparison->count; i++) {
            uint32_t column = comparison->columns[i].source;
            status = form_value(&source->forms[column], &cells[i], &rows->arena,
                                &rows->values[column], error);
        }
        return status;
    }
    for (uint32_t i = 0; status == ODS_OK && i < source->column_count; i++)
        status = form_value(&source->forms[i], &cells[i], &rows->arena, &rows->values[i], error);
    const struct change *change = NULL;
    if (status == ODS_OK)
        status = passage_row(&rows->passage, rows->values, &change, error);
    *left_out = status == ODS_OK && !change;
    if (change)
        *values = change->after;
    return status;
}

static enum ods_status put_row(struct source_rows *rows, const struct value *values,
                               struct waiting_row *row, struct error *error)
{
    const struct comparison *comparison = rows->comparison;
    enum ods_status status = ODS_OK;
    *row = (struct waiting_row){0};
    for (uint32_t i = 0; status == ODS_OK && i < comparison->count; i++) {
        const struct compared *column = &comparison->columns[i];
        size_t start = rows->elements.length;
        status = encode(rows, column, values, error);
        if (status == ODS_REJECT) {
            if (!row->refusal) {
                if (column->redacted) /* the reason may quote the value */
                    buffer_printf(&rows->refusals,
                                  "column \"%s\": the target's column does not take the value",
                                  column->name);
                else
                    buffer_puts(&rows->refusals, error->text);
                buffer_add(&rows->refusals, "", 1);
                row->refusal = rows->refusals.length;
            }
            rows->elements.length = start;
            element_put_length(&rows->elements, ELEMENT_REFUSED);
            error_init(error);
            status = ODS_OK;
        }
        if (status != ODS_OK)
            break;
        if (i < comparison->keys)
            buffer_add(&rows->keys, rows->elements.bytes + start, rows->elements.length - start);
        if (!column->asked && !canon_element(column->canon, &rows->elements, start))
            status = error_out_of_memory(error);
        if (i + 1 == comparison->keys)
            row->prefix = rows->elements.length;
    }
    row->elements = rows->elements.length;
    row->key = rows->keys.length;
    return status;
}

static void put_texts(struct source_rows *rows, const struct field *cells)
{
    const struct comparison *comparison = rows->comparison;
    for (uint32_t i = 0; i < comparison->count; i++) {
        uint32_t source = comparison->columns[i].source;
        bool own = source < comparison->source->column_count;
        const struct field none = {0};
        const struct field *cell = !comparison->whole ? &cells[i] : own ? &cells[source] : &none;
        put_shown(&rows->texts, own ? &comparison->source->forms[source] : NULL, cell);
    }
}

/* --- columns that only the target reads ----------------------------------------------------- */

static size_t skip_to(const char *elements, uint32_t column)
{
    size_t at = 0;
    while (column--)
        at += element_bytes(elements + at);
    return at;
}

static enum ods_status ask_texts(struct source_rows *rows, const struct pg_column *target,
                                 const struct buffer *texts, PGresult **result, struct error *error)
{
    static const Oid type = OID_TEXT_ARRAY;
    struct buffer sql;
    const char *value = texts->bytes;
    int length = (int) texts->length;
    const struct conn_params params = {
        .count = 1, .types = &type, .values = &value, .lengths = &length};
    enum ods_status status = conn_open(rows->reader, error);
    if (status == ODS_OK)
        status = conn_script(rows->reader, "set intervalstyle = iso_8601", error);
    buffer_init(&sql);
    buffer_printf(&sql, "select (u.v::%s)::text from unnest($1) as u(v)", target->cast);
    if (status == ODS_OK)
        status = conn_query_binary(rows->reader, buffer_text(&sql), &params, result, error);
    buffer_done(&sql);
    return status;
}

static void put_answer(struct buffer *answers, enum canon canon, const PGresult *result, int row)
{
    size_t start = answers->length;
    if (PQgetisnull(result, row, 0)) {
        element_put_length(answers, -1);
        return;
    }
    element_put_length(answers, PQgetlength(result, row, 0));
    buffer_add(answers, PQgetvalue(result, row, 0), (size_t) PQgetlength(result, row, 0));
    canon_element(canon, answers, start);
}

/* Asks the target for the texts of a column in rows `from` to `upto`. */
static enum ods_status ask_range(struct source_rows *rows, uint32_t column, size_t from,
                                 size_t upto, struct error *error)
{
    const struct pg_column *target = compared_target(rows->comparison, column);
    struct buffer texts;
    PGresult *result = NULL;
    buffer_init(&texts);
    encode_array_begin(&texts, OID_TEXT, (uint32_t) (upto - from));
    for (size_t i = from; i < upto; i++) {
        const char *row = rows->elements.bytes + (i ? rows->waiting[i - 1].elements : 0);
        const char *element = row + skip_to(row, column);
        if (element_length(element) >= 0)
            buffer_add(&texts, element, element_bytes(element));
        else
            element_put_length(&texts, -1);
    }
    enum ods_status status = texts.failed ? error_out_of_memory(error)
                                          : ask_texts(rows, target, &texts, &result, error);
    buffer_done(&texts);
    struct buffer *answers = &rows->answers[column];
    if (status == ODS_REJECT && upto - from > 1) {
        error_init(error);
        status = ask_range(rows, column, from, (from + upto) / 2, error);
        if (status == ODS_OK)
            status = ask_range(rows, column, (from + upto) / 2, upto, error);
    } else if (status == ODS_REJECT) {
        element_put_length(answers, ELEMENT_REFUSED);
        error_init(error);
        status = ODS_OK;
    } else {
        for (int i = 0; status == ODS_OK && i < PQntuples(result); i++)
            put_answer(answers, rows->comparison->columns[column].canon, result, i);
    }
    PQclear(result);
    return status;
}

/* Puts the answers into the row. */
static void finish_row(struct source_rows *rows, size_t number, size_t *at, struct row *row)
{
    const struct comparison *comparison = rows->comparison;
    const char *element = row->elements;
    buffer_reset(&rows->finished);
    for (uint32_t i = 0; i < comparison->count; i++) {
        const char *from = element;
        if (comparison->columns[i].asked && element_length(element) != ELEMENT_REFUSED) {
            from = rows->answers[i].bytes + at[i];
            if (element_length(from) == ELEMENT_REFUSED && !row->refusal)
                row->refusal = "a text that the target's type does not read";
        }
        if (comparison->columns[i].asked)
            at[i] += element_bytes(rows->answers[i].bytes + at[i]);
        buffer_add(&rows->finished, from, element_bytes(from));
        element += element_bytes(element);
        if (i + 1 == comparison->keys)
            row->prefix = rows->finished.length;
    }
    row->elements = rows->finished.bytes;
    row->length = rows->finished.length;
}

/* Hands out the rows that wait. */
static enum ods_status flush(struct source_rows *rows, row_take *take, void *context,
                             struct error *error)
{
    const struct comparison *comparison = rows->comparison;
    enum ods_status status = ODS_OK;
    size_t *at = NULL;
    if (comparison->asks && rows->count) {
        at = calloc(comparison->count, sizeof *at);
        status = at ? ODS_OK : error_out_of_memory(error);
        for (uint32_t i = 0; status == ODS_OK && i < comparison->count; i++) {
            buffer_reset(&rows->answers[i]);
            if (comparison->columns[i].asked)
                status = ask_range(rows, i, 0, rows->count, error);
        }
    }
    struct waiting_row before = {0};
    for (size_t i = 0; status == ODS_OK && i < rows->count; i++) {
        const struct waiting_row *waiting = &rows->waiting[i];
        struct row row = {
            .elements = rows->elements.bytes + before.elements,
            .length = waiting->elements - before.elements,
            .prefix = waiting->prefix ? waiting->prefix - before.elements : 0,
            .key = rows->keys.bytes + before.key,
            .key_length = waiting->key - before.key,
            .texts = rows->want_texts ? rows->texts.bytes + before.texts : NULL,
            .refusal = waiting->refusal ? "?" : NULL,
        };
        if (waiting->refusal) {
            const char *text = rows->refusals.bytes + waiting->refusal - 1;
            while (text > rows->refusals.bytes && text[-1])
                text--;
            row.refusal = text;
        }
        if (comparison->asks)
            finish_row(rows, i, at, &row);
        status = rows->finished.failed ? error_out_of_memory(error) : take(context, &row, error);
        before = *waiting;
    }
    free(at);
    rows->count = 0;
    buffer_reset(&rows->elements);
    buffer_reset(&rows->keys);
    buffer_reset(&rows->texts);
    buffer_reset(&rows->refusals);
    arena_reset(&rows->arena, WAITING_BYTES);
    readings_reset(&rows->readings);
    return status;
}

/* Takes a row. A value that no connector could send makes only this row fail, and not the whole
 * table. */
static enum ods_status take_row(struct source_rows *rows, const struct field *cells,
                                struct error *error)
{
    const struct value *values;
    bool left_out;
    enum ods_status status = read_values(rows, cells, &values, &left_out, error);
    if (status != ODS_OK || left_out)
        return status;
    struct waiting_row *row = &rows->waiting[rows->count];
    status = put_row(rows, values, row, error);
    if (status == ODS_OK && rows->want_texts)
        put_texts(rows, cells);
    row->texts = rows->texts.length;
    rows->count += status == ODS_OK;
    if (status == ODS_OK && (rows->elements.failed || rows->keys.failed || rows->texts.failed))
        status = error_out_of_memory(error);
    return status;
}

static void keep_key(const struct comparison *comparison, const struct field *cells,
                     struct key_texts *last)
{
    last->count = comparison->keys;
    for (uint32_t k = 0; k < comparison->keys; k++) {
        uint32_t column = comparison->order[k];
        const struct field *cell =
            &cells[comparison->whole ? comparison->columns[column].source : column];
        buffer_reset(&last->texts[k]);
        buffer_add(&last->texts[k], cell->bytes, cell->length);
    }
}

enum ods_status source_rows_read(struct source_rows *rows, const char *sql, uint64_t *count,
                                 struct key_texts *last, row_take *take, void *context,
                                 struct error *error)
{
    const struct field *cells;
    enum ods_status status = rows->database->ops->query(rows->database, sql, error);
    *count = 0;
    while (status == ODS_OK) {
        status = rows->database->ops->next(rows->database, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        ++*count;
        if (last)
            keep_key(rows->comparison, cells, last);
        status = take_row(rows, cells, error);
        if (status == ODS_OK &&
            (rows->count == WAITING_ROWS || rows->elements.length > WAITING_BYTES))
            status = flush(rows, take, context, error);
    }
    return status == ODS_OK ? flush(rows, take, context, error) : status;
}

enum ods_status source_rows_key(struct source_rows *rows, const struct key_texts *texts,
                                struct buffer *key, struct error *error)
{
    const struct comparison *comparison = rows->comparison;
    enum ods_status status = ODS_OK;
    buffer_reset(key);
    for (uint32_t i = 0; status == ODS_OK && i < comparison->keys; i++) {
        const struct compared *column = &comparison->columns[i];
        uint32_t k = 0;
        while (comparison->order[k] != i)
            k++;
        const struct field cell = {buffer_text((struct buffer *) (uintptr_t) &texts->texts[k]),
                                  texts->texts[k].length};
        struct value value;
        status = form_value(compared_form(comparison, i), &cell, &rows->arena, &value, error);
        if (status == ODS_OK)
            status = encode_value(&rows->encoder, key, compared_target(comparison, i),
                                  &rows->sources[column->source], &value, error);
    }
    return status;
}

/* --- the target's --------------------------------------------------------------------------- */

void target_row_init(struct target_row *row)
{
    buffer_init(&row->elements);
    buffer_init(&row->key);
}

void target_row_done(struct target_row *row)
{
    buffer_done(&row->elements);
    buffer_done(&row->key);
}

void target_row_begin(struct target_row *row)
{
    buffer_reset(&row->elements);
    buffer_reset(&row->key);
}

bool target_row_add(const struct comparison *comparison, struct target_row *row, uint32_t column,
                    const char *bytes, int32_t length, size_t *prefix)
{
    size_t start = row->elements.length;
    element_put_length(&row->elements, length);
    if (length > 0)
        buffer_add(&row->elements, bytes, (size_t) length);
    if (row->elements.failed)
        return false;
    if (column < comparison->keys)
        buffer_add(&row->key, row->elements.bytes + start, row->elements.length - start);
    bool good = canon_element(comparison->columns[column].canon, &row->elements, start);
    if (column + 1 == comparison->keys)
        *prefix = row->elements.length;
    return good && !row->key.failed;
}
