/* Text of structs, maps and arrays: array literals, Debezium's structs for decimals and vectors.
 * Geometries and structured dates have their own files. Everything else stays JSON. */
#include "core/text_nested.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/decimal.h"
#include "core/text_geometry.h"
#include "core/text_structured.h"

enum ods_status text_json_reject(struct error *error, const struct column *column, const char *what)
{
    return error_set(error, ODS_REJECT, "column %.63s: %s (its type is %s)", column->name, what,
                     semantic_name(column->type));
}

unsigned char *text_json_bytes(struct buffer *out, yyjson_val *text, size_t *length)
{
    if (!yyjson_is_str(text))
        return NULL;
    unsigned char *bytes = malloc(BASE64_DECODED_MAX(yyjson_get_len(text)) + 1);
    out->failed |= !bytes;
    if (bytes && base64_decode(yyjson_get_str(text), yyjson_get_len(text), bytes, length))
        return bytes;
    free(bytes);
    return NULL;
}

bool text_json_integer(yyjson_val *number, int64_t *integer)
{
    const char *text = yyjson_get_raw(number);
    char *end;
    if (!text)
        return false;
    char copy[24];
    size_t length = yyjson_get_len(number);
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    *integer = strtoll(copy, &end, 10);
    return !*end && end != copy && !errno;
}

bool text_json_float(struct buffer *out, yyjson_val *number)
{
    if (yyjson_is_str(number))
        return text_float(out, yyjson_get_str(number), yyjson_get_len(number), 64);
    const char *text = yyjson_get_raw(number);
    return text && text_float(out, text, yyjson_get_len(number), 64);
}

/* --- arrays --- */

struct writer {
    text_element_function *element;
    void *context;
    bool json; /* [a,b], else {a,b} */
};

static enum ods_status put_array(struct buffer *out, const struct column *column, yyjson_val *array,
                                 const struct writer *writer, struct error *error);

/* An element as array_out() writes it: quoted where it must be. */
static void put_quoted(struct buffer *out, const char *text, size_t length)
{
    bool quote = !length || (length == 4 && strncasecmp(text, "null", 4) == 0);
    for (size_t i = 0; i < length && !quote; i++)
        quote = text[i] && strchr("\"\\{}, \t\n\r\v\f", text[i]);
    if (!quote) {
        buffer_add(out, text, length);
        return;
    }
    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_add(out, "\\", 1);
        buffer_add(out, &text[i], 1);
    }
    buffer_add(out, "\"", 1);
}

static bool is_binary(enum semantic type)
{
    return type == SEM_BYTES || type == SEM_DECIMAL || type == SEM_BITS;
}

/* Makes a struct value of an element; memory that must be freed afterwards goes to *owned. */
static bool element_value(struct buffer *out, yyjson_val *element, const struct column *column,
                          struct value *value, void **owned)
{
    size_t length = yyjson_get_len(element);
    int64_t integer;
    *value = (struct value){.kind = VALUE_TEXT};
    if (yyjson_is_bool(element)) {
        *value = (struct value){.kind = VALUE_BOOL, .integer = yyjson_get_bool(element)};
        return true;
    }
    if (yyjson_is_str(element) && is_binary(column->type)) {
        *owned = text_json_bytes(out, element, &length);
        value->kind = VALUE_BYTES;
        value->bytes = *owned;
    } else if (yyjson_is_str(element)) {
        value->kind =
            column->type == SEM_FLOAT32 || column->type == SEM_FLOAT64 ? VALUE_NUMBER : VALUE_TEXT;
        value->bytes = yyjson_get_str(element);
    } else if (yyjson_is_raw(element) && column->type != SEM_FLOAT32 &&
               column->type != SEM_FLOAT64 && text_json_integer(element, &integer)) {
        *value = (struct value){.kind = VALUE_INT, .integer = integer};
        return true;
    } else if (yyjson_is_raw(element)) {
        value->kind = VALUE_NUMBER;
        value->bytes = yyjson_get_raw(element);
    } else {
        *owned = yyjson_val_write(element, YYJSON_WRITE_ALLOW_INF_AND_NAN, &length);
        out->failed |= !*owned;
        value->kind = VALUE_JSON;
        value->bytes = *owned;
    }
    value->length = (uint32_t) length;
    return value->bytes != NULL;
}

/* A boolean as one letter, as PostgreSQL prints it in an array. */
static enum ods_status put_plain(void *context, struct buffer *out, const struct column *column,
                                 const struct value *value, struct error *error)
{
    (void) context;
    if (value->kind != VALUE_BOOL)
        return text_value(out, column, value, error);
    buffer_add(out, value->integer ? "t" : "f", 1);
    return ODS_OK;
}

static enum ods_status put_element(struct buffer *out, const struct column *column,
                                   yyjson_val *element, const struct writer *writer,
                                   struct error *error)
{
    if (yyjson_is_null(element)) {
        buffer_puts(out, writer->json ? "null" : "NULL");
        return ODS_OK;
    }
    if (yyjson_is_arr(element) && (column->type == SEM_ARRAY || column->type == SEM_UNKNOWN))
        return put_array(out, column, element, writer, error);
    void *owned = NULL;
    struct value value;
    struct buffer text;
    buffer_init(&text);
    enum ods_status status = ODS_REJECT;
    if (!element_value(out, element, column, &value, &owned))
        error_set(error, ODS_REJECT, "an array's element can't be read as %s",
                  semantic_name(column->type));
    else
        status = writer->element(writer->context, &text, column, &value, error);
    if (status == ODS_OK && writer->json)
        buffer_add(out, buffer_text(&text), text.length);
    else if (status == ODS_OK)
        put_quoted(out, buffer_text(&text), text.length);
    out->failed |= text.failed;
    buffer_done(&text);
    free(owned);
    return status;
}

static enum ods_status put_array(struct buffer *out, const struct column *column, yyjson_val *array,
                                 const struct writer *writer, struct error *error)
{
    static const struct column unknown = {.name = "", .length = -1, .scale = INT32_MIN};
    const struct column *element_column = column->element ? column->element : &unknown;
    size_t index, max;
    yyjson_val *element;
    buffer_puts(out, writer->json ? "[" : "{");
    yyjson_arr_foreach(array, index, max, element)
    {
        if (index)
            buffer_add(out, ",", 1);
        enum ods_status status = put_element(out, element_column, element, writer, error);
        if (status != ODS_OK)
            return status;
    }
    buffer_puts(out, writer->json ? "]" : "}");
    return ODS_OK;
}

/* --- structs and maps --- */

/* The field of a struct's member; the position that the schema's order gives is tried first. */
static const struct column *field_of(const struct column *column, yyjson_val *name, size_t place)
{
    for (size_t i = 0; i < column->field_count; i++) {
        const struct column *field = &column->fields[(place + i) % column->field_count];
        if (field->name_length == yyjson_get_len(name) &&
            memcmp(field->name, yyjson_get_str(name), field->name_length) == 0)
            return field;
    }
    return NULL;
}

/* Values that are written unchanged: names, a map's keys, members that the schema does not have. */
static void put_itself(struct buffer *out, yyjson_val *json)
{
    size_t length;
    char *text = yyjson_val_write(json, YYJSON_WRITE_ALLOW_INF_AND_NAN, &length);
    out->failed |= !text;
    if (text)
        buffer_add(out, text, length);
    free(text);
}

static enum ods_status put_member(struct buffer *out, const struct column *column, yyjson_val *json,
                                  const struct writer *writer, struct error *error)
{
    if (column)
        return put_element(out, column, json, writer, error);
    put_itself(out, json);
    return ODS_OK;
}

/* A map whose keys are not strings is an array of pairs. */
static enum ods_status put_pairs(struct buffer *out, const struct column *column, yyjson_val *pairs,
                                 const struct writer *writer, struct error *error)
{
    size_t index, max;
    yyjson_val *pair;
    enum ods_status status = ODS_OK;
    buffer_puts(out, "[");
    yyjson_arr_foreach(pairs, index, max, pair)
    {
        if (yyjson_arr_size(pair) != 2)
            return text_json_reject(error, column, "not an array of pairs");
        buffer_puts(out, index ? ",[" : "[");
        put_itself(out, yyjson_arr_get(pair, 0));
        buffer_puts(out, ",");
        status = put_member(out, column->element, yyjson_arr_get(pair, 1), writer, error);
        if (status != ODS_OK)
            return status;
        buffer_puts(out, "]");
    }
    buffer_puts(out, "]");
    return ODS_OK;
}

static enum ods_status put_object(struct buffer *out, const struct column *column,
                                  yyjson_val *object, const struct writer *writer,
                                  struct error *error)
{
    size_t index, max;
    yyjson_val *name, *json;
    enum ods_status status = ODS_OK;
    if (yyjson_is_arr(object) && column->type == SEM_MAP)
        return put_pairs(out, column, object, writer, error);
    if (!yyjson_is_obj(object))
        return text_json_reject(error, column, "not an object");
    buffer_puts(out, "{");
    yyjson_obj_foreach(object, index, max, name, json)
    {
        buffer_puts(out, index ? "," : "");
        put_itself(out, name);
        buffer_puts(out, ":");
        const struct column *member =
            column->type == SEM_MAP ? column->element : field_of(column, name, index);
        status = put_member(out, member, json, writer, error);
        if (status != ODS_OK)
            return status;
    }
    buffer_puts(out, "}");
    return ODS_OK;
}

/* --- decimals and vectors --- */

static enum ods_status put_decimal(struct buffer *out, const struct column *column,
                                   yyjson_val *object, struct error *error)
{
    int64_t scale;
    size_t length;
    unsigned char *bytes = text_json_bytes(out, yyjson_obj_get(object, "value"), &length);
    bool ok = bytes && text_json_integer(yyjson_obj_get(object, "scale"), &scale) &&
              scale >= -DECIMAL_WHOLE_DIGITS_MAX && scale <= DECIMAL_SCALE_MAX &&
              decimal_from_bytes(out, bytes, length, (int32_t) scale);
    free(bytes);
    return ok ? ODS_OK : text_json_reject(error, column, "not a scale and a base64 value");
}

static enum ods_status put_vector(struct buffer *out, const struct column *column,
                                  yyjson_val *array, struct error *error)
{
    size_t index, max;
    yyjson_val *element;
    if (!yyjson_is_arr(array))
        return text_json_reject(error, column, "not an array of numbers");
    buffer_add(out, "[", 1);
    yyjson_arr_foreach(array, index, max, element)
    {
        if (index)
            buffer_add(out, ",", 1);
        if (!text_json_float(out, element))
            return text_json_reject(error, column, "not an array of numbers");
    }
    buffer_add(out, "]", 1);
    return ODS_OK;
}

/* {"dimensions":5,"vector":{"1":1.0,"3":2.0}}, or the vector as an array of pairs, to {1:1,3:2}/5.
 */
static enum ods_status put_sparse(struct buffer *out, const struct column *column,
                                  yyjson_val *object, struct error *error)
{
    int64_t dimensions, position;
    yyjson_val *vector = yyjson_obj_get(object, "vector"), *key, *number;
    size_t index, max;
    bool ok = text_json_integer(yyjson_obj_get(object, "dimensions"), &dimensions);
    if (!ok || !(yyjson_is_obj(vector) || yyjson_is_arr(vector)))
        return text_json_reject(error, column, "not dimensions and a vector");
    buffer_add(out, "{", 1);
    if (yyjson_is_arr(vector)) {
        yyjson_arr_foreach(vector, index, max, key)
        {
            ok = ok && text_json_integer(yyjson_arr_get(key, 0), &position);
            buffer_printf(out, "%s%lld:", index ? "," : "", ok ? (long long) position : 0);
            ok = ok && text_json_float(out, yyjson_arr_get(key, 1));
        }
    } else {
        yyjson_obj_foreach(vector, index, max, key, number)
        {
            if (index)
                buffer_add(out, ",", 1);
            buffer_add(out, yyjson_get_str(key), yyjson_get_len(key));
            buffer_add(out, ":", 1);
            ok = ok && text_json_float(out, number);
        }
    }
    buffer_printf(out, "}/%lld", (long long) dimensions);
    return ok ? ODS_OK : text_json_reject(error, column, "not dimensions and a vector");
}

/* --- all --- */

static enum ods_status put_parsed(struct buffer *out, const struct column *column, yyjson_val *root,
                                  struct error *error)
{
    static const struct writer plain = {.element = put_plain};
    switch (column->type) {
    case SEM_ARRAY:
        if (!yyjson_is_arr(root))
            return text_json_reject(error, column, "not an array");
        return put_array(out, column, root, &plain, error);
    case SEM_VARIABLE_DECIMAL:
        return put_decimal(out, column, root, error);
    case SEM_VECTOR:
        return put_vector(out, column, root, error);
    case SEM_SPARSE_VECTOR:
        return put_sparse(out, column, root, error);
    default:
        return text_is_geometry(column->type)
                   ? text_geometry(out, column, root, GEOMETRY_ITSELF, error)
                   : text_structured(out, column, root, error);
    }
}

static bool stays_json(enum semantic type)
{
    return !(type == SEM_ARRAY || type == SEM_VARIABLE_DECIMAL || text_is_geometry(type) ||
             (type >= SEM_VECTOR && type <= SEM_STRUCTURED_DURATION));
}

yyjson_doc *text_json_read(const struct column *column, const struct value *value,
                           enum ods_status *status, struct error *error)
{
    yyjson_read_err problem;
    yyjson_doc *doc =
        yyjson_read_opts((char *) (uintptr_t) value->bytes, value->length,
                         YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &problem);
    if (!doc)
        *status = problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
                      ? error_out_of_memory(error)
                      : text_json_reject(error, column, "not JSON");
    return doc;
}

static enum ods_status put_document(struct buffer *out, const struct column *column,
                                    const struct value *value, const struct writer *writer,
                                    struct error *error)
{
    enum ods_status status;
    yyjson_doc *doc = text_json_read(column, value, &status, error);
    if (!doc)
        return status;
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (column->type == SEM_STRUCT || column->type == SEM_MAP)
        status = put_object(out, column, root, writer, error);
    else if (yyjson_is_arr(root))
        status = put_array(out, column, root, writer, error);
    else
        status = text_json_reject(error, column, "not an array");
    yyjson_doc_free(doc);
    /* What could not be read for want of memory is not the record\'s fault. */
    return status == ODS_REJECT && out->failed ? error_out_of_memory(error) : status;
}

enum ods_status text_array(struct buffer *out, const struct column *column,
                           const struct value *value, text_element_function *element, void *context,
                           struct error *error)
{
    const struct writer writer = {.element = element, .context = context};
    return put_document(out, column, value, &writer, error);
}

enum ods_status text_json(struct buffer *out, const struct column *column,
                          const struct value *value, text_element_function *element, void *context,
                          struct error *error)
{
    const struct writer writer = {.element = element, .context = context, .json = true};
    return put_document(out, column, value, &writer, error);
}

enum ods_status text_nested(struct buffer *out, const struct column *column,
                            const struct value *value, struct error *error)
{
    if (stays_json(column->type)) {
        buffer_add(out, value->bytes, value->length);
        return ODS_OK;
    }
    enum ods_status status;
    yyjson_doc *doc = text_json_read(column, value, &status, error);
    if (!doc)
        return status;
    status = put_parsed(out, column, yyjson_doc_get_root(doc), error);
    yyjson_doc_free(doc);
    /* What could not be read for want of memory is not the record\'s fault. */
    return status == ODS_REJECT && out->failed ? error_out_of_memory(error) : status;
}
