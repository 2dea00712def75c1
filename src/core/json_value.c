/* Values as JSON. JSON stays as it is; numbers, moments and bytes of the source are written as
 * PostgreSQL's to_jsonb() writes them, in arrays, structs and maps too. */
#include "core/json_value.h"

#include <stdlib.h>
#include <string.h>

#include "core/text_geometry.h"

void json_quote(struct buffer *out, const char *text, size_t length)
{
    buffer_add(out, "\"", 1);
    for (size_t start = 0, at = 0; start < length; start = at) {
        while (at < length && (unsigned char) text[at] >= 0x20 && text[at] != '"' &&
               text[at] != '\\')
            at++;
        buffer_add(out, text + start, at - start);
        if (at == length)
            break;
        if ((unsigned char) text[at] < 0x20)
            buffer_printf(out, "\\u%04x", (unsigned) (unsigned char) text[at]);
        else
            buffer_add(out, (char[]){'\\', text[at]}, 2);
        at++;
    }
    buffer_add(out, "\"", 1);
}

static bool is_number_type(enum semantic type)
{
    return (type >= SEM_INT8 && type <= SEM_FLOAT64) || type == SEM_DECIMAL ||
           type == SEM_VARIABLE_DECIMAL || type == SEM_YEAR;
}

/* Does the value, or one inside it, have to be converted? */
static bool is_typed(const struct column *column)
{
    switch (column->type) {
    case SEM_BYTES:
    case SEM_BITS:
    case SEM_JSON:
    case SEM_FLOAT32: /* NaN */
    case SEM_FLOAT64:
    case SEM_DECIMAL:
    case SEM_VARIABLE_DECIMAL:
        return true;
    case SEM_ARRAY:
    case SEM_MAP:
        return column->element && is_typed(column->element);
    case SEM_STRUCT:
        for (uint32_t i = 0; i < column->field_count; i++)
            if (is_typed(&column->fields[i]))
                return true;
        return false;
    default:
        return (column->type >= SEM_DATE && column->type <= SEM_INTERVAL) ||
               (column->type >= SEM_STRUCTURED_DATE && column->type <= SEM_STRUCTURED_DURATION);
    }
}

/* Structs, and types for which a text would say no more than the JSON does. */
bool json_stays(const struct column *column, const struct value *value, bool nested)
{
    bool json = value->kind == VALUE_JSON;
    switch (column->type) {
    case SEM_JSON:
        return true;
    case SEM_UNKNOWN:
    case SEM_STRING:
        return json || !nested;
    case SEM_ARRAY:
    case SEM_VARIABLE_DECIMAL:
        return false;
    case SEM_MAP:
    case SEM_STRUCT:
        return !is_typed(column);
    default:
        return json &&
               (column->type < SEM_STRUCTURED_DATE || column->type > SEM_STRUCTURED_DURATION);
    }
}

static bool is_moment(enum semantic type)
{
    return (type >= SEM_TIMESTAMP_MS && type <= SEM_ZONED_TIMESTAMP) || type == SEM_ISO_TIMESTAMP ||
           type == SEM_STRUCTURED_TIMESTAMP || type == SEM_STRUCTURED_ZONED_TIMESTAMP;
}

/* ISO 8601, as in to_jsonb(): "2018-06-20T15:13:16", and "+00:00" for the zone. */
static void put_moment(struct buffer *out, const char *text, size_t length)
{
    const char *space = memchr(text, ' ', length), *end = text + length;
    const char *zone = space ? memmem(space, (size_t) (end - space), "+00", 3) : NULL;
    if (!space) { /* infinity */
        json_quote(out, text, length);
        return;
    }
    buffer_puts(out, "\"");
    buffer_add(out, text, (size_t) (space - text));
    buffer_puts(out, "T");
    buffer_add(out, space + 1, (size_t) ((zone ? zone + 3 : end) - space - 1));
    if (zone)
        buffer_puts(out, ":00");
    if (zone)
        buffer_add(out, zone + 3, (size_t) (end - zone - 3));
    buffer_puts(out, "\"");
}

/* Is the text that was appended for the value JSON as it stands? */
static bool is_plain(const struct column *column, const struct value *value, const char *text,
                     size_t length)
{
    bool number = is_number_type(column->type) || column->type == SEM_UNKNOWN ||
                  column->type == SEM_JSON;
    return value->kind == VALUE_BOOL ||
           (number && value->kind != VALUE_TEXT && length && strchr("-0123456789", text[0]) &&
            text[length - 1] <= '9');
}

/* The text is written where it is to stand, and taken out again where it needs quotes. */
static enum ods_status put_scalar(struct buffer *out, const struct column *column,
                                  const struct value *value, struct error *error)
{
    size_t start = out->length;
    char few[256], *text = few;
    enum ods_status status = text_value(out, column, value, error);
    size_t length = out->length - start;
    if (status != ODS_OK)
        out->length = start;
    if (status != ODS_OK || out->failed ||
        is_plain(column, value, length ? out->bytes + start : "", length))
        return status;
    if (length > sizeof few && !(text = malloc(length)))
        return error_out_of_memory(error);
    if (length)
        memcpy(text, out->bytes + start, length);
    out->length = start;
    if (is_moment(column->type))
        put_moment(out, text, length);
    else
        json_quote(out, text, length);
    if (text != few)
        free(text);
    return status;
}

static enum ods_status put_item(void *context, struct buffer *out, const struct column *column,
                                const struct value *value, struct error *error)
{
    (void) context;
    return json_nested(out, column, value, true, error);
}

enum ods_status json_nested(struct buffer *out, const struct column *column,
                            const struct value *value, bool nested, struct error *error)
{
    if (json_stays(column, value, nested)) {
        if (value->kind == VALUE_BOOL || value->kind == VALUE_INT || value->kind == VALUE_DOUBLE)
            return put_scalar(out, column, value, error);
        buffer_add(out, value->bytes, value->length);
        return ODS_OK;
    }
    if (value->kind == VALUE_JSON &&
        (column->type == SEM_ARRAY || column->type == SEM_MAP || column->type == SEM_STRUCT))
        return text_json(out, column, value, put_item, NULL, error);
    return put_scalar(out, column, value, error);
}

/* A JSON column of the source whose text is not JSON (it was truncated) is written as a string, so
 * that the document around it stays valid. */
static bool is_broken_json(const struct column *column, const struct value *value)
{
    if (column->type != SEM_JSON || (value->kind != VALUE_TEXT && value->kind != VALUE_JSON))
        return false;
    yyjson_doc *document = yyjson_read(value->bytes, value->length, YYJSON_READ_NUMBER_AS_RAW);
    yyjson_doc_free(document);
    return !document;
}

enum ods_status json_value(struct buffer *out, const struct column *column,
                           const struct value *value, struct error *error)
{
    if (value->kind == VALUE_NULL) {
        buffer_puts(out, "null");
        return ODS_OK;
    }
    if (is_broken_json(column, value)) {
        json_quote(out, value->bytes, value->length);
        return ODS_OK;
    }
    return json_nested(out, column, value, true, error);
}
