/* Values whose target type reads another notation than the source writes: a map of texts into
 * hstore, a set's labels into an array. */
#include <string.h>

#include <yyjson.h>

#include "sink/postgres/encode.h"

static bool is_type(const struct pg_column *target, const char *name)
{
    const char *dot = strrchr(target->cast, '.');
    return strcmp(dot ? dot + 1 : target->cast, name) == 0;
}

static bool is_array(const struct pg_column *target)
{
    size_t length = strlen(target->cast);
    return length > 2 && strcmp(target->cast + length - 2, "[]") == 0;
}

/* "text", with quotes and backslashes escaped, as hstore_in and array_in both read it. */
static void put_quoted(struct buffer *out, const char *text, size_t length)
{
    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_add(out, "\\", 1);
        buffer_add(out, text + i, 1);
    }
    buffer_add(out, "\"", 1);
}

static bool put_pair(struct buffer *out, yyjson_val *name, yyjson_val *value, bool first)
{
    if (!yyjson_is_str(name) || !(yyjson_is_str(value) || yyjson_is_null(value)))
        return false;
    buffer_puts(out, first ? "" : ",");
    put_quoted(out, yyjson_get_str(name), yyjson_get_len(name));
    buffer_puts(out, "=>");
    if (yyjson_is_null(value))
        buffer_puts(out, "NULL");
    else
        put_quoted(out, yyjson_get_str(value), yyjson_get_len(value));
    return true;
}

/* A JSON object of texts; false when it is anything else. */
static bool put_hstore(struct buffer *out, const char *json, size_t length)
{
    yyjson_doc *document = yyjson_read(json, length, 0);
    yyjson_val *root = yyjson_doc_get_root(document), *name;
    yyjson_obj_iter pairs;
    bool good = yyjson_is_obj(root) && yyjson_obj_iter_init(root, &pairs), first = true;
    while (good && (name = yyjson_obj_iter_next(&pairs))) {
        good = put_pair(out, name, yyjson_obj_iter_get_val(name), first);
        first = false;
    }
    yyjson_doc_free(document);
    return good;
}

static void put_labels(struct buffer *out, const char *labels, size_t length)
{
    buffer_puts(out, "{");
    for (const char *at = labels, *end = labels + length; at < end;) {
        const char *comma = memchr(at, ',', (size_t) (end - at));
        size_t label = (size_t) ((comma ? comma : end) - at);
        put_quoted(out, at, label);
        at += label + (comma != NULL);
        buffer_puts(out, comma ? "," : "");
    }
    buffer_puts(out, "}");
}

enum ods_status encode_notation(struct encoder *encoder, struct buffer *out,
                                const struct pg_column *target, const struct column *source,
                                const struct value *value, bool *handled, struct error *error)
{
    struct buffer *text = &encoder->bytes;
    *handled = false;
    if (value->kind != VALUE_TEXT && value->kind != VALUE_JSON)
        return ODS_OK;
    buffer_reset(text);
    if (is_type(target, "hstore") && value->length && value->bytes[0] == '{') {
        if (!put_hstore(text, value->bytes, value->length))
            return encode_refuse(target, "22P02", "the value is not a map of texts", error);
    } else if (source->type == SEM_ENUM_SET && is_array(target)) {
        put_labels(text, value->bytes, value->length);
    } else {
        return ODS_OK;
    }
    if (text->failed)
        return error_set(error, ODS_RETRY, "out of memory");
    const char *bytes = text->bytes ? text->bytes : "";
    size_t length = text->length;
    enum ods_status status = encode_check_nul(encoder, target, &bytes, &length, error);
    if (status != ODS_OK)
        return status;
    encode_put32(out, (uint32_t) length);
    buffer_add(out, bytes, length);
    *handled = true;
    return ODS_OK;
}
