/* Changes as CSV. */
#include "sink/file/csv.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <ods/json.h>
#include <ods/lines.h>

static void put_field(struct buffer *out, const char *text, size_t length)
{
    bool plain = length > 0;
    for (size_t i = 0; i < length && plain; i++)
        plain = text[i] != '"' && text[i] != ',' && text[i] != '\n' && text[i] != '\r';
    if (plain) {
        buffer_add(out, text, length);
        return;
    }
    buffer_puts(out, "\"");
    for (size_t i = 0; i < length; i++)
        buffer_add(out, text[i] == '"' ? "\"\"" : &text[i], text[i] == '"' ? 2 : 1);
    buffer_puts(out, "\"");
}

void csv_put_header(struct buffer *out, const struct shape *shape,
                    const struct table_settings *table)
{
    buffer_puts(out, "op,source_us,topic,partition,offset,absent");
    for (uint32_t i = 0; i < shape->column_count; i++) {
        const char *name = lines_column(table, shape->columns[i].name);
        if (!name)
            continue;
        buffer_puts(out, ",");
        put_field(out, name, strlen(name));
    }
    buffer_puts(out, "\n");
}

/* A JSON value as a field: a text without its quotes and escapes. */
static enum ods_status put_json(struct buffer *out, const struct column *column,
                                const struct buffer *json, struct error *error)
{
    if (json->failed || !json->length)
        return error_out_of_memory(error);
    if (json->bytes[0] != '"') {
        bool is_null = json->bytes[0] == 'n';
        if (!is_null)
            put_field(out, json->bytes, json->length);
        return ODS_OK;
    }
    json_t *text = json_loadb(json->bytes, json->length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!text)
        return error_set(error, ODS_REJECT, "column %s: its text is not UTF-8", column->name);
    put_field(out, json_string_value(text), json_string_length(text));
    json_decref(text);
    return ODS_OK;
}

static enum ods_status put_value(struct buffer *out, const struct column *column,
                                 const struct value *value, struct error *error)
{
    struct buffer json;
    if (value->kind == VALUE_ABSENT || value->kind == VALUE_NULL)
        return ODS_OK;
    buffer_init(&json);
    enum ods_status status = json_value(&json, column, value, error);
    if (status == ODS_OK)
        status = put_json(out, column, &json, error);
    buffer_done(&json);
    return status;
}

static void put_absent(struct buffer *out, const struct shape *shape, const struct value *row,
                       const struct table_settings *table)
{
    struct buffer names;
    buffer_init(&names);
    for (uint32_t i = 0; row && i < shape->column_count; i++) {
        const char *name =
            row[i].kind == VALUE_ABSENT ? lines_column(table, shape->columns[i].name) : NULL;
        if (!name)
            continue;
        buffer_puts(&names, names.length ? " " : "");
        buffer_puts(&names, name);
    }
    if (names.length)
        put_field(out, names.bytes, names.length);
    out->failed |= names.failed;
    buffer_done(&names);
}

enum ods_status csv_put(struct buffer *out, const struct batch *batch, uint32_t index,
                        const struct pipeline_settings *pipeline, struct error *error)
{
    const struct change *change = &batch->changes[index];
    const struct record *record = &batch->records[change->record];
    const struct shape *shape = change->shape;
    const struct table_settings *table = lines_table(pipeline, shape);
    const struct value *row = change->after ? change->after : change->before;
    buffer_printf(out, "%c,", (char) change->op);
    if (change->source_us != INT64_MIN)
        buffer_printf(out, "%lld", (long long) change->source_us);
    buffer_puts(out, ",");
    put_field(out, record->topic, strlen(record->topic));
    buffer_printf(out, ",%d,%lld,", (int) record->partition, (long long) record->offset);
    put_absent(out, shape, row, table);
    for (uint32_t i = 0; i < shape->column_count; i++) {
        if (!lines_column(table, shape->columns[i].name))
            continue;
        buffer_puts(out, ",");
        enum ods_status status = row ? put_value(out, &shape->columns[i], &row[i], error) : ODS_OK;
        if (status != ODS_OK)
            return status;
    }
    buffer_puts(out, "\n");
    return out->failed ? error_out_of_memory(error) : ODS_OK;
}
