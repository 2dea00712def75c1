/* Values into arrays: texts, binaries and booleans; numbers and moments have files of their own. */
#include "sink/lake/encode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/json_value.h"
#include "core/text.h"
#include "core/utf8.h"

enum ods_status lake_refuse(struct lake_encoder *encoder, const char *format, ...)
{
    struct error *error = encoder->error;
    char why[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    if (error) {
        error->fault = FAULT_ROW;
        utf8_copy(error->column, sizeof error->column, encoder->name, strlen(encoder->name));
    }
    return error_set(error, ODS_REJECT, "column \"%s\": %s", encoder->name, why);
}

enum ods_status lake_inexact(struct lake_encoder *encoder, const char *what)
{
    char type[LAKE_NAME_BYTES];
    if (encoder->encoding->table->inexact == INEXACT_ROUND && !encoder->key) {
        encoder->encoding->result->values_rounded++;
        return ODS_OK;
    }
    lake_type_name(&encoder->array->type, type);
    return lake_refuse(encoder, "%s than %s holds (inexact: round rounds it)", what, type);
}

static bool is_nested(const struct column *source, const struct value *value)
{
    return value->kind == VALUE_JSON &&
           (source->type == SEM_ARRAY || source->type == SEM_MAP || source->type == SEM_STRUCT ||
            source->type == SEM_VECTOR || source->type == SEM_SPARSE_VECTOR);
}

enum ods_status lake_text(struct lake_encoder *encoder, const char **text, size_t *length)
{
    const struct value *value = encoder->value;
    enum semantic type = encoder->source->type;
    struct buffer *room = &encoder->encoding->text;
    bool parsed = type == SEM_ZONED_TIMESTAMP || type == SEM_ZONED_TIME ||
                  (type >= SEM_ISO_DATE && type <= SEM_ISO_TIMESTAMP);
    *text = value->bytes;
    *length = value->length;
    if (value->kind == VALUE_TEXT && !parsed)
        return ODS_OK;
    buffer_reset(room);
    enum ods_status status = is_nested(encoder->source, value)
                                 ? json_nested(room, encoder->source, value, false, encoder->error)
                                 : text_value(room, encoder->source, value, encoder->error);
    if (status == ODS_OK && room->failed)
        return error_out_of_memory(encoder->error);
    *text = room->length ? room->bytes : "";
    *length = room->length;
    return status;
}

static enum ods_status encode_string(struct lake_encoder *encoder)
{
    const char *text;
    size_t length;
    enum ods_status status = lake_text(encoder, &text, &length);
    if (status == ODS_OK)
        lake_array_bytes(encoder->array, text, length);
    return status;
}

static enum ods_status encode_binary(struct lake_encoder *encoder)
{
    const struct value *value = encoder->value;
    if (value->kind != VALUE_BYTES && value->kind != VALUE_TEXT)
        return lake_refuse(encoder, "a number or JSON has no bytes that a binary column means");
    if (encoder->source->type == SEM_DECIMAL || encoder->source->type == SEM_BITS)
        return lake_refuse(encoder, "decimals and bits have no bytes that a binary column means");
    lake_array_bytes(encoder->array, value->bytes, value->length);
    return ODS_OK;
}

static enum ods_status encode_boolean(struct lake_encoder *encoder)
{
    const struct value *value = encoder->value;
    bool number = value->kind == VALUE_BOOL || value->kind == VALUE_INT;
    if (number && (value->integer == 0 || value->integer == 1)) {
        lake_array_bit(encoder->array, value->integer);
        return ODS_OK;
    }
    if (value->kind == VALUE_TEXT && value->length == 4 && memcmp(value->bytes, "true", 4) == 0) {
        lake_array_bit(encoder->array, true);
        return ODS_OK;
    }
    if (value->kind == VALUE_TEXT && value->length == 5 && memcmp(value->bytes, "false", 5) == 0) {
        lake_array_bit(encoder->array, false);
        return ODS_OK;
    }
    return lake_refuse(encoder, "the value is neither true nor false");
}

static enum ods_status encode(struct lake_encoder *encoder)
{
    switch (encoder->array->type.type) {
    case LAKE_STRING:
        return encode_string(encoder);
    case LAKE_BINARY:
        return encode_binary(encoder);
    case LAKE_BOOLEAN:
        return encode_boolean(encoder);
    case LAKE_DATE:
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMPTZ:
        return lake_encode_moment(encoder);
    case LAKE_OTHER:
        return lake_refuse(encoder, "it has a type that ods-sink does not write");
    default:
        return lake_encode_number(encoder);
    }
}

/* A text into a column of texts and an integer into one of integers stay what they are, whether the
 * record's schema says so or nothing does. False: it is another value, or is out of range. */
static bool put_plain(const struct source_column *source, const struct value *value,
                      struct lake_array *array)
{
    enum semantic type = source->column.type;
    bool known = type != SEM_UNKNOWN;
    if (source->literal || source->coding)
        return false;
    if (value->kind == VALUE_TEXT && array->type.type == LAKE_STRING &&
        (!known || type == SEM_STRING)) {
        lake_array_bytes(array, value->bytes, value->length);
        return true;
    }
    if (value->kind != VALUE_INT || (known && (type < SEM_INT8 || type > SEM_INT64)))
        return false;
    if (array->type.type == LAKE_INT64 ||
        (array->type.type == LAKE_INT32 && value->integer == (int32_t) value->integer)) {
        lake_array_fixed(array, &value->integer); /* little-endian */
        return true;
    }
    return false;
}

enum ods_status lake_encode(struct lake_encoding *encoding, const char *name, bool key,
                            const struct source_column *source, const struct value *value,
                            struct lake_array *array, struct error *error)
{
    if (value->kind == VALUE_NULL) {
        lake_array_null(array);
        return ODS_OK;
    }
    if (put_plain(source, value, array))
        return ODS_OK;
    struct lake_sense room;
    struct lake_encoder encoder = {.encoding = encoding,
                                   .name = name,
                                   .key = key,
                                   .source = &source->column,
                                   .value = value,
                                   .array = array,
                                   .error = error};
    enum ods_status status = ODS_OK;
    if (value->kind == VALUE_ABSENT)
        return lake_refuse(&encoder, "the record does not carry its value");
    if (source->literal || source->coding || source->column.type == SEM_UNKNOWN)
        status = lake_find_meaning(&encoder, source, &room);
    if (status == ODS_OK)
        status = encode(&encoder);
    if (status == ODS_REJECT && error && !error->column[0]) {
        /* The conversions of core/ know the value, but not the column that it goes into. */
        error->fault = FAULT_ROW;
        utf8_copy(error->column, sizeof error->column, name, strlen(name));
    }
    return status;
}
