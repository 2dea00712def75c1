/* Texts with placeholders for parts of a change. */
#include "sink/template.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <ods/json.h>
#include <ods/lines.h>
#include <ods/pipeline.h>

enum place {
    PLACE_LITERAL,
    PLACE_CHANGE,
    PLACE_KEY,
    PLACE_BEFORE,
    PLACE_AFTER,
    PLACE_ROW,
    PLACE_OP,
    PLACE_DATABASE,
    PLACE_SCHEMA,
    PLACE_TABLE,
    PLACE_TOPIC,
    PLACE_PARTITION,
    PLACE_OFFSET,
    PLACE_SOURCE_US,
    PLACE_PIPELINE,
    PLACE_IDEMPOTENCY_KEY,
    PLACE_COUNT
};

static const char *const names[PLACE_COUNT] = {
    [PLACE_CHANGE] = "change",
    [PLACE_KEY] = "key",
    [PLACE_BEFORE] = "before",
    [PLACE_AFTER] = "after",
    [PLACE_ROW] = "row",
    [PLACE_OP] = "op",
    [PLACE_DATABASE] = "database",
    [PLACE_SCHEMA] = "schema",
    [PLACE_TABLE] = "table",
    [PLACE_TOPIC] = "topic",
    [PLACE_PARTITION] = "partition",
    [PLACE_OFFSET] = "offset",
    [PLACE_SOURCE_US] = "source_us",
    [PLACE_PIPELINE] = "pipeline",
    [PLACE_IDEMPOTENCY_KEY] = "idempotency_key",
};

struct piece {
    enum place place;
    bool quoted;      /* between the quotes of a JSON text */
    const char *text; /* the literal, or the column's name; NULL: the whole image */
    size_t length;
};

/* --- compiling ---------------------------------------------------------------------------- */

static enum ods_status name_piece(struct piece *piece, const char *inside, size_t length,
                                  struct error *error)
{
    const char *dot = memchr(inside, '.', length);
    size_t stem = dot ? (size_t) (dot - inside) : length;
    for (int place = PLACE_CHANGE; place < PLACE_COUNT; place++) {
        if (strlen(names[place]) != stem || memcmp(names[place], inside, stem) != 0)
            continue;
        bool has_columns = place >= PLACE_KEY && place <= PLACE_ROW;
        if (dot && (!has_columns || stem + 1 == length))
            break;
        piece->place = (enum place) place;
        piece->text = dot ? dot + 1 : NULL;
        piece->length = dot ? length - stem - 1 : 0;
        return ODS_OK;
    }
    return error_set(error, ODS_FATAL,
                     "{{%.*s}} is not known; there are change, key, before, after, row (also with "
                     "a column: {{after.status}}), op, database, schema, table, topic, partition, "
                     "offset, source_us, pipeline and idempotency_key",
                     (int) (length < 80 ? length : 80), inside);
}

/* Is the text's end between quotes, if its beginning is as `quoted` says? */
static bool quotes(const char *text, size_t length, bool quoted)
{
    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
    }
    return quoted;
}

static struct piece *add_piece(struct template *template)
{
    struct piece *grown =
        realloc(template->pieces, (template->count + 1) * sizeof *template->pieces);
    if (!grown)
        return NULL;
    template->pieces = grown;
    struct piece *piece = &grown[template->count++];
    *piece = (struct piece){.place = PLACE_LITERAL};
    return piece;
}

static enum ods_status add_literal(struct template *template, const char *text, size_t length,
                                   struct error *error)
{
    for (size_t i = 0; template->form == TEMPLATE_HEADER && i < length; i++)
        if ((unsigned char) text[i] < ' ' || text[i] == 127)
            return error_set(error, ODS_FATAL, "a header can't hold a control character");
    struct piece *piece = length ? add_piece(template) : NULL;
    if (!length)
        return ODS_OK;
    if (!piece)
        return error_out_of_memory(error);
    piece->text = text;
    piece->length = length;
    return ODS_OK;
}

static enum ods_status compile(struct template *template, const char *text, struct error *error)
{
    bool quoted = false;
    for (;;) {
        const char *open = strstr(text, "{{"), *close = open ? strstr(open, "}}") : NULL;
        size_t length = open ? (size_t) (open - text) : strlen(text);
        enum ods_status status = add_literal(template, text, length, error);
        if (status != ODS_OK || !open)
            return status;
        if (!close)
            return error_set(error, ODS_FATAL, "{{ without its }}");
        quoted = quotes(text, length, quoted);
        const char *inside = open + 2, *end = close;
        while (inside < end && *inside == ' ')
            inside++;
        while (end > inside && end[-1] == ' ')
            end--;
        struct piece *piece = add_piece(template);
        if (!piece)
            return error_out_of_memory(error);
        piece->quoted = quoted;
        status = name_piece(piece, inside, (size_t) (end - inside), error);
        if (status != ODS_OK)
            return status;
        text = close + 2;
    }
}

enum ods_status template_compile(struct template *template, const char *text,
                                 enum template_form form, struct error *error)
{
    *template = (struct template){.form = form};
    enum ods_status status = compile(template, text, error);
    if (status != ODS_OK)
        template_done(template);
    return status;
}

bool template_is_constant(const struct template *template)
{
    return template->count == 1 && template->pieces->place == PLACE_LITERAL;
}

void template_done(struct template *template)
{
    free(template->pieces);
    *template = (struct template){0};
}

/* --- what a change has, as JSON ----------------------------------------------------------- */

static void put_text(struct buffer *out, const char *text)
{
    if (*text)
        json_quote(out, text, strlen(text));
    else
        buffer_puts(out, "null");
}

/* A number of several changes of a record makes their keys differ. */
void template_put_identity(struct buffer *out, const struct template_change *change)
{
    const struct batch *batch = change->batch;
    uint32_t number = batch->changes[change->index].record, nth = 0;
    const struct record *record = &batch->records[number];
    while (change->index > nth && batch->changes[change->index - nth - 1].record == number)
        nth++;
    buffer_printf(out, "%s:%s:%d:", change->pipeline->name, record->topic, (int) record->partition);
    if (record->identity)
        buffer_add(out, record->identity, record->identity_length);
    else
        buffer_printf(out, "%lld", (long long) record->offset);
    if (nth)
        buffer_printf(out, ":%u", (unsigned) nth);
}

static enum ods_status put_column(struct buffer *out, const struct piece *piece,
                                  const struct shape *shape, const struct value *values,
                                  const struct table_settings *table, struct error *error)
{
    for (uint32_t i = 0; values && i < shape->column_count; i++) {
        const struct column *column = &shape->columns[i];
        const char *name = lines_column(table, column->name);
        if (!name || strlen(name) != piece->length || memcmp(name, piece->text, piece->length) != 0)
            continue;
        if (values[i].kind == VALUE_ABSENT)
            break;
        return json_value(out, column, &values[i], error);
    }
    buffer_puts(out, "null");
    return ODS_OK;
}

static enum ods_status put_image(struct buffer *out, const struct piece *piece,
                                 const struct template_change *at, struct error *error)
{
    const struct change *change = &at->batch->changes[at->index];
    const struct shape *shape = change->shape;
    const struct table_settings *table = lines_table(at->pipeline, shape);
    const struct value *row = change->after ? change->after : change->before;
    const struct value *values = piece->place == PLACE_BEFORE  ? change->before
                                 : piece->place == PLACE_AFTER ? change->after
                                                               : row;
    bool key_only = piece->place == PLACE_KEY || (change->tombstone && values == change->before);
    if (piece->text)
        return put_column(out, piece, shape, values, table, error);
    return lines_put_image(out, shape, values, key_only, table, error);
}

static enum ods_status put_change(struct buffer *out, const struct template_change *at,
                                  struct error *error)
{
    enum ods_status status = lines_put(out, at->batch, at->index, at->pipeline, error);
    if (status == ODS_OK && out->length)
        out->length--; /* the line's end */
    return status;
}

static enum ods_status put_json(struct buffer *out, const struct piece *piece,
                                const struct template_change *at, struct error *error)
{
    const struct change *change = &at->batch->changes[at->index];
    const struct record *record = &at->batch->records[change->record];
    switch (piece->place) {
    case PLACE_CHANGE:
        return put_change(out, at, error);
    case PLACE_KEY:
    case PLACE_BEFORE:
    case PLACE_AFTER:
    case PLACE_ROW:
        return put_image(out, piece, at, error);
    case PLACE_OP:
        buffer_printf(out, "\"%c\"", (char) change->op);
        break;
    case PLACE_DATABASE:
        put_text(out, change->shape->database);
        break;
    case PLACE_SCHEMA:
        put_text(out, change->shape->schema);
        break;
    case PLACE_TABLE:
        put_text(out, change->shape->table);
        break;
    case PLACE_TOPIC:
        put_text(out, record->topic);
        break;
    case PLACE_PARTITION:
        buffer_printf(out, "%d", (int) record->partition);
        break;
    case PLACE_OFFSET:
        buffer_printf(out, "%lld", (long long) record->offset);
        break;
    case PLACE_SOURCE_US:
        if (change->source_us == INT64_MIN)
            buffer_puts(out, "null");
        else
            buffer_printf(out, "%lld", (long long) change->source_us);
        break;
    case PLACE_PIPELINE:
        put_text(out, at->pipeline->name);
        break;
    default:
        break;
    }
    return ODS_OK;
}

static enum ods_status put_value(struct buffer *out, const struct piece *piece,
                                 const struct template_change *at, struct error *error)
{
    struct buffer identity;
    if (piece->place != PLACE_IDEMPOTENCY_KEY)
        return put_json(out, piece, at, error);
    buffer_init(&identity);
    template_put_identity(&identity, at);
    json_quote(out, identity.bytes, identity.length);
    out->failed |= identity.failed;
    buffer_done(&identity);
    return ODS_OK;
}

/* --- filling in --------------------------------------------------------------------------- */

static void put_percent(struct buffer *out, const char *text, size_t length)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";
    for (size_t i = 0; i < length; i++)
        if (text[i] && strchr(plain, text[i]))
            buffer_add(out, &text[i], 1);
        else
            buffer_printf(out, "%%%02X", (unsigned char) text[i]);
}

static enum ods_status put_plain(struct buffer *out, const struct template *template,
                                 const struct piece *piece, const char *text, size_t length,
                                 struct error *error)
{
    if (template->form == TEMPLATE_URL) {
        if (length)
            put_percent(out, text, length);
        else
            return error_set(error, ODS_REJECT, "{{%s%s%.*s}} in the URL has no value",
                             names[piece->place], piece->text ? "." : "", (int) piece->length,
                             piece->text ? piece->text : "");
        return ODS_OK;
    }
    for (size_t i = 0; template->form == TEMPLATE_HEADER && i < length; i++)
        if ((unsigned char) text[i] < ' ' || text[i] == 127)
            return error_set(error, ODS_REJECT,
                             "{{%s%s%.*s}} has a control character, which a header can't hold",
                             names[piece->place], piece->text ? "." : "", (int) piece->length,
                             piece->text ? piece->text : "");
    buffer_add(out, text, length);
    return ODS_OK;
}

/* The value, which is JSON in `json`, as its place in the text asks. */
static enum ods_status put_formed(struct buffer *out, const struct template *template,
                                  const struct piece *piece, const struct buffer *json,
                                  struct error *error)
{
    bool is_text = json->bytes[0] == '"', is_null = json->bytes[0] == 'n';
    if (template->form == TEMPLATE_JSON && !piece->quoted) {
        buffer_add(out, json->bytes, json->length);
        return ODS_OK;
    }
    if (template->form == TEMPLATE_JSON) {
        size_t start = out->length;
        if (is_text)
            buffer_add(out, json->bytes + 1, json->length - 2);
        else if (!is_null) {
            json_quote(out, json->bytes, json->length);
            if (!out->failed) {
                memmove(out->bytes + start, out->bytes + start + 1, out->length - start - 2);
                out->length -= 2;
            }
        }
        return ODS_OK;
    }
    if (!is_text)
        return put_plain(out, template, piece, json->bytes, is_null ? 0 : json->length, error);
    json_t *text = json_loadb(json->bytes, json->length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!text)
        return error_set(error, ODS_REJECT, "{{%s%s%.*s}} is not UTF-8", names[piece->place],
                         piece->text ? "." : "", (int) piece->length,
                         piece->text ? piece->text : "");
    enum ods_status status =
        put_plain(out, template, piece, json_string_value(text), json_string_length(text), error);
    json_decref(text);
    return status;
}

enum ods_status template_put(struct buffer *out, const struct template *template,
                             const struct template_change *change, struct error *error)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct piece *piece = &template->pieces[i];
        enum ods_status status = ODS_OK;
        if (piece->place == PLACE_LITERAL) {
            buffer_add(out, piece->text, piece->length);
            continue;
        }
        buffer_reset(change->scratch);
        status = put_value(change->scratch, piece, change, error);
        if (status == ODS_OK && (change->scratch->failed || !change->scratch->length))
            status = error_out_of_memory(error);
        if (status == ODS_OK)
            status = put_formed(out, template, piece, change->scratch, error);
        if (status != ODS_OK)
            return status;
    }
    return out->failed ? error_out_of_memory(error) : ODS_OK;
}
