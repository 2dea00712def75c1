/* The values of a row in Avro, by the types that form_avro.c has made for its columns. What a type
 * does not hold as it is makes the record a dead letter. */
#include <stdio.h>
#include <string.h>

#include "core/base64.h"
#include "core/decimal.h"
#include "core/text_nested.h"
#include "core/utf8.h"
#include "format/avro/avro_write.h"
#include "sink/kafka/connect_type.h"
#include "sink/kafka/form_room.h"

struct cell {
    const struct form *form;
    const struct column *column;
    const struct avro_type *type; /* without the union around it */
    const struct value *value;
    struct buffer *out;
    struct error *error;
};

static enum ods_status refuse(const struct cell *cell, const char *why)
{
    if (cell->error) {
        cell->error->fault = FAULT_ROW;
        utf8_copy(cell->error->column, sizeof cell->error->column, cell->column->name,
                  cell->column->name_length);
    }
    return error_set(cell->error, ODS_REJECT, "column %.100s, in Avro %s: %s", cell->column->name,
                     cell->type->name, why);
}

static enum ods_status put_integer(const struct cell *cell)
{
    int64_t value = cell->value->integer;
    int64_t most = cell->column->type == SEM_INT8    ? INT8_MAX
                   : cell->column->type == SEM_INT16 ? INT16_MAX
                   : cell->type->kind == AVRO_INT    ? INT32_MAX
                                                     : INT64_MAX;
    if (cell->value->kind != VALUE_INT)
        return refuse(cell, "the value is no whole number of 64 bits");
    if (value > most || value < -most - 1)
        return refuse(cell, "the number is larger than its type");
    avro_put_long(cell->out, value);
    return ODS_OK;
}

static enum ods_status put_real(const struct cell *cell)
{
    const struct value *value = cell->value;
    bool single = cell->type->kind == AVRO_FLOAT;
    double real = value->kind == VALUE_INT ? (double) value->integer : value->real;
    if (value->kind == VALUE_NUMBER || value->kind == VALUE_TEXT) {
        if (!avro_real_of(value->bytes, value->length, single ? 32 : 64, &real))
            return refuse(cell, "the value is no number that it holds");
    } else if (value->kind == VALUE_INT) {
        /* 2^63 itself is no int64. */
        if (real >= 0x1p63 || (int64_t) real != value->integer)
            return refuse(cell, "the number has more digits than it holds");
    } else if (value->kind != VALUE_DOUBLE) {
        return refuse(cell, "the value is no number");
    }
    if (single && real - real == 0 && (double) (float) real != real)
        return refuse(cell, "the number has more digits than it holds");
    if (single)
        avro_put_float(cell->out, (float) real);
    else
        avro_put_double(cell->out, real);
    return ODS_OK;
}

/* Precision and scale are the column's: who reads rounds to them. */
static enum ods_status put_decimal(const struct cell *cell)
{
    const struct value *value = cell->value;
    const struct column *column = cell->column;
    struct buffer *out = cell->out;
    struct buffer bytes;
    char digits[24];
    size_t length = value->length;
    const char *text = value->bytes;
    enum ods_status status = ODS_OK;
    buffer_init(&bytes);
    if (value->kind == VALUE_INT) {
        length = (size_t) snprintf(digits, sizeof digits, "%lld", (long long) value->integer);
        text = digits;
    }
    if (value->kind == VALUE_BYTES && !length) {
        status = refuse(cell, "the value is no decimal: it has no bytes");
    } else if (value->kind == VALUE_BYTES) {
        buffer_add(&bytes, text, length);
    } else if (value->kind != VALUE_INT && value->kind != VALUE_NUMBER &&
               value->kind != VALUE_TEXT) {
        status = refuse(cell, "the value is no decimal");
    } else if (!decimal_to_bytes(&bytes, text, length,
                                 column->scale == INT32_MIN ? 0 : column->scale)) {
        status = refuse(cell, "the value is no decimal, or has more digits behind its point than "
                              "the type (cast: { column: decimal(p,s) } gives it others)");
    }
    if (status == ODS_OK && !bytes.failed &&
        !decimal_within(out, bytes.bytes, bytes.length, column->length > 0 ? column->length : 64))
        status = refuse(cell, "the decimal has more digits than its precision");
    if (status == ODS_OK)
        avro_put_bytes(out, bytes.bytes, bytes.length);
    out->failed |= bytes.failed;
    buffer_done(&bytes);
    return status;
}

static enum ods_status put_bytes(const struct cell *cell)
{
    const struct value *value = cell->value;
    if (cell->column->type == SEM_DECIMAL)
        return put_decimal(cell);
    if (value->kind != VALUE_BYTES)
        return refuse(cell, "the value is no bytes");
    avro_put_bytes(cell->out, value->bytes, value->length);
    return ODS_OK;
}

/* Bytes of a column whose type is not known stand as base64, as in JSON. */
static enum ods_status put_base64(const struct cell *cell)
{
    const struct value *value = cell->value;
    size_t length = BASE64_ENCODED((size_t) value->length);
    if (cell->column->type != SEM_UNKNOWN)
        return refuse(cell, "the value is bytes, and no text");
    avro_put_long(cell->out, (int64_t) length);
    char *at = buffer_take(cell->out, length);
    if (at)
        base64_encode(value->bytes, value->length, at);
    return ODS_OK;
}

/* A number's text is that number wherever any text may stand. */
static enum ods_status put_number_as_text(const struct cell *cell)
{
    const struct value *value = cell->value;
    enum semantic type = cell->column->type;
    struct buffer text;
    buffer_init(&text);
    if (type != SEM_UNKNOWN && type != SEM_STRING && type != SEM_JSON && connect_base(cell->column))
        return refuse(cell, "the value is no text");
    if (value->kind == VALUE_BOOL)
        buffer_puts(&text, value->integer ? "true" : "false");
    else if (value->kind == VALUE_INT)
        buffer_printf(&text, "%lld", (long long) value->integer);
    else
        text_real(&text, value->real, 64);
    avro_put_bytes(cell->out, text.bytes, text.length);
    cell->out->failed |= text.failed;
    buffer_done(&text);
    return ODS_OK;
}

static enum ods_status put_string(const struct cell *cell)
{
    const struct value *value = cell->value;
    switch ((enum value_kind) value->kind) {
    case VALUE_TEXT:
    case VALUE_NUMBER:
    case VALUE_JSON:
        if (!utf8_valid(value->bytes, value->length))
            return refuse(cell, "the text is not UTF-8");
        avro_put_bytes(cell->out, value->bytes, value->length);
        return ODS_OK;
    case VALUE_BYTES:
        return put_base64(cell);
    default:
        return put_number_as_text(cell);
    }
}

static enum ods_status put_nested(const struct cell *cell)
{
    const char *problem = NULL;
    if (cell->value->kind != VALUE_JSON)
        return refuse(cell, "the value is no JSON");
    if (avro_put_json(cell->out, cell->type, cell->value->bytes, cell->value->length, &problem))
        return ODS_OK;
    return problem ? refuse(cell, problem) : error_out_of_memory(cell->error);
}

static enum ods_status put_present(const struct cell *cell)
{
    switch (cell->type->kind) {
    case AVRO_BOOLEAN:
        if (cell->value->kind != VALUE_BOOL)
            return refuse(cell, "the value is neither true nor false");
        buffer_add(cell->out, cell->value->integer ? "\1" : "\0", 1);
        return ODS_OK;
    case AVRO_INT:
    case AVRO_LONG:
        return put_integer(cell);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return put_real(cell);
    case AVRO_BYTES:
        return put_bytes(cell);
    case AVRO_STRING:
        return put_string(cell);
    default:
        return put_nested(cell);
    }
}

/* --- what is not carried ------------------------------------------------------------------- */

static const struct avro_type *bare(const struct avro_type *type)
{
    return type->kind == AVRO_UNION ? type->other : type;
}

/* Appends Debezium's placeholder in the form that the type has for it. False: it has none. */
static bool put_placeholder(struct buffer *out, const char *placeholder,
                            const struct avro_type *type)
{
    bool many = type->kind == AVRO_ARRAY || type->kind == AVRO_MAP;
    const struct avro_type *inner = many ? bare(type->items) : type;
    if (inner->kind != AVRO_STRING && (many || inner->kind != AVRO_BYTES))
        return false;
    if (many)
        avro_put_long(out, 1);
    if (type->kind == AVRO_MAP)
        avro_put_bytes(out, placeholder, strlen(placeholder));
    if (many && form_avro_optional(type->items))
        avro_put_long(out, 1);
    avro_put_bytes(out, placeholder, strlen(placeholder));
    if (many)
        avro_put_long(out, 0);
    return true;
}

/* Of a row as it is now every value is told, or said not to be carried. An image before may have
 * NULL in its place, as Debezium's own have. */
static enum ods_status put_absent(const struct cell *cell, bool optional, bool whole)
{
    struct buffer *out = cell->out;
    size_t start = out->length;
    if (optional)
        avro_put_long(out, 1);
    bool number = cell->type->kind == AVRO_BYTES && !connect_is_bytes(cell->column);
    if (!number && put_placeholder(out, cell->form->placeholder, cell->type))
        return ODS_OK;
    out->length = start;
    if (whole || !optional)
        return refuse(cell, "the record does not carry its value, and the type has none that says "
                            "so");
    avro_put_long(out, 0);
    return ODS_OK;
}

enum ods_status form_avro_put_field(const struct form *form, const struct column *column,
                                    const struct avro_type *type, const struct value *value,
                                    bool whole, struct buffer *out, struct error *error)
{
    const struct cell cell = {form, column, bare(type), value, out, error};
    bool optional = form_avro_optional(type);
    if (value->kind == VALUE_ABSENT)
        return put_absent(&cell, optional, whole);
    if (value->kind == VALUE_NULL && !optional)
        return refuse(&cell, "the value is NULL, and its schema says that it is none");
    if (optional)
        avro_put_long(out, value->kind != VALUE_NULL);
    return value->kind == VALUE_NULL ? ODS_OK : put_present(&cell);
}
