/* What a value means, where more than its record's schema has a say: the settings (source_types)
 * and the source's own type name, of which the plan has made a coding (source_column.c), and,
 * without a schema, the target's column. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yyjson.h>

#include <ods/json.h>
#include "core/base64.h"
#include "core/text_geometry.h"
#include "sink/mysql/values/encoder.h"
#include "sink/units.h"

/* More than the largest number of any database takes: a longer struct is no number. */
#define VARIABLE_DECIMAL_BYTES 65536

static bool is_text(enum mysql_type type)
{
    return type == MYSQL_IS_CHAR || type == MYSQL_IS_VARCHAR || type == MYSQL_IS_TEXT;
}

static bool is_binary(enum mysql_type type)
{
    return type >= MYSQL_IS_BINARY && type <= MYSQL_IS_BLOB;
}

static bool is_number(enum mysql_type type)
{
    return type >= MYSQL_IS_TINYINT && type <= MYSQL_IS_DOUBLE;
}

static void set_bytes(struct mysql_sense *room, enum value_kind kind, const char *bytes,
                      size_t length)
{
    room->value.kind = (uint8_t) kind;
    room->value.bytes = bytes;
    room->value.length = (uint32_t) length;
}

/* What is in the buffer becomes the value; the buffer is done. */
static enum ods_status keep(struct mysql_encoder *encoder, struct mysql_sense *room,
                            enum value_kind kind, struct buffer *buffer)
{
    char *own = buffer->failed ? NULL : arena_alloc(encoder->arena, buffer->length + 1);
    if (own) {
        memcpy(own, buffer->length ? buffer->bytes : "", buffer->length);
        set_bytes(room, kind, own, buffer->length);
    }
    buffer_done(buffer);
    return own ? ODS_OK : error_out_of_memory(encoder->error);
}

/* The type of the same time as ISO 8601 text, as time.precision.mode=isostring sends it. */
static enum semantic iso_twin(enum semantic type)
{
    switch (type) {
    case SEM_DATE:
        return SEM_ISO_DATE;
    case SEM_TIME_MS:
    case SEM_TIME_US:
    case SEM_TIME_NS:
        return SEM_ISO_TIME;
    case SEM_TIMESTAMP_MS:
    case SEM_TIMESTAMP_US:
    case SEM_TIMESTAMP_NS:
        return SEM_ISO_TIMESTAMP;
    case SEM_DURATION_US:
        return SEM_INTERVAL;
    default:
        return type;
    }
}

/* --- bytes that came as text ---------------------------------------------------------------- */

static int hex_digit(char byte)
{
    char low = (char) (byte | 0x20);
    return byte >= '0' && byte <= '9' ? byte - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static bool undo_hex(const char *text, size_t length, char *out, size_t *count)
{
    *count = length / 2;
    for (size_t i = 0; i + 1 < length; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *out++ = (char) (high << 4 | low);
    }
    return length % 2 == 0;
}

/* base64url as base64, with the padding that it may omit; `to` has room for three bytes more. */
static size_t from_url_alphabet(const char *text, size_t length, char *to)
{
    for (size_t i = 0; i < length; i++)
        to[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    while (length % 4)
        to[length++] = '=';
    return length;
}

/* *good: the text is such a coding, and the value its bytes. */
static enum ods_status try_undo(struct mysql_encoder *encoder, struct mysql_sense *room,
                                enum coding coding, bool *good)
{
    const char *text = room->value.bytes;
    size_t length = room->value.length, count = 0;
    char *bytes = arena_alloc(encoder->arena, 2 * length + 8);
    if (!bytes)
        return error_out_of_memory(encoder->error);
    if (coding == CODING_BASE64URL) {
        char *url = bytes + length + 4;
        length = from_url_alphabet(text, length, url);
        text = url;
    }
    *good = coding == CODING_HEX
                ? undo_hex(text, length, bytes, &count)
                : base64_decode(text, length, (unsigned char *) bytes, &count);
    if (*good)
        set_bytes(room, VALUE_BYTES, bytes, count);
    return ODS_OK;
}

static enum ods_status undo(struct mysql_encoder *encoder, struct mysql_sense *room,
                            enum coding coding)
{
    bool good = false;
    enum ods_status status = try_undo(encoder, room, coding, &good);
    if (status != ODS_OK || good)
        return status;
    return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                        coding == CODING_HEX
                            ? "the value is not hexadecimal digits"
                            : "the value is not base64, as which a record without schema carries "
                              "bytes, bits and decimals");
}

/* Hexadecimal or base64: by what only one of them has. Sixteen lower-case hexadecimal digits are
 * taken as such, since base64 practically never looks so. */
static enum ods_status undo_bytes(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    const char *text = room->value.bytes;
    size_t length = room->value.length, digits = 0, upper = 0;
    bool url = false;
    if (!is_binary(encoder->target->type)) {
        room->source.column.type = SEM_STRING;
        return ODS_OK;
    }
    for (size_t i = 0; i < length; i++) {
        digits += hex_digit(text[i]) >= 0;
        upper += text[i] >= 'A' && text[i] <= 'F';
        url |= text[i] == '-' || text[i] == '_';
    }
    bool hex = digits == length && length % 2 == 0;
    if (hex && length && length % 4 == 0 && (upper || length < 16))
        return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                            "this text may be hexadecimal or base64: name the column's type in "
                            "source_types (bytes hex, bytes base64)");
    return undo(encoder, room, hex ? CODING_HEX : url ? CODING_BASE64URL : CODING_BASE64);
}

/* --- decimals that came as text ------------------------------------------------------------- */

/* Could this number be base64 as well? It would then stand for a negative number whose first byte
 * is 0xD0 to 0xF7, as digits have the highest values of the alphabet. */
static bool may_be_base64(const char *text, size_t length, int32_t precision)
{
    if (!length || length % 4 || memchr(text, '.', length) || memchr(text, '-', length))
        return false;
    size_t bytes = length / 4 * 3; /* at least log10(8 * 256^(bytes - 1)) digits */
    return precision < 0 || ((bytes - 1) * 2408 + 903) / 1000 <= (size_t) precision;
}

static enum ods_status decimal_text(struct mysql_encoder *encoder, struct mysql_sense *room,
                                    int32_t precision, int32_t scale)
{
    const char *text = room->value.bytes;
    size_t length = room->value.length;
    enum decimal_mode mode = encoder->encoding->source->decimals;
    bool told = mode != DECIMAL_AUTO, number = mysql_is_number(text, length), good = false;
    if (!told && number && may_be_base64(text, length, precision))
        return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                            "these digits are a decimal, or base64 of another one, and a record "
                            "without schema does not tell: set source.decimals to string or "
                            "precise");
    room->source.column.type = SEM_STRING;
    if (told ? mode != DECIMAL_PRECISE : number)
        return ODS_OK;
    enum ods_status status = try_undo(encoder, room, CODING_BASE64, &good);
    if (status != ODS_OK)
        return status;
    if (!good || !room->value.length)
        return mysql_refuse(encoder, MYSQL_BAD_VALUE, "the value is neither a number nor base64");
    if (scale == INT32_MIN)
        return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                            "a record without schema does not tell the scale of its decimals: name "
                            "the column's type in source_types, or let the connector send "
                            "decimal.handling.mode=string");
    room->source.column.type = SEM_DECIMAL;
    room->source.column.scale = scale;
    return ODS_OK;
}

/* --- columns that the settings or the source's type name correct ----------------------------- */

static enum ods_status correct_text(struct mysql_encoder *encoder, struct mysql_sense *room,
                                    enum coding coding)
{
    struct column *column = &room->source.column;
    switch (coding) {
    case CODING_BASE64:
    case CODING_BASE64URL:
    case CODING_HEX:
        return undo(encoder, room, coding);
    case CODING_BYTES:
        return undo_bytes(encoder, room);
    case CODING_DECIMAL:
        return decimal_text(encoder, room, column->length, column->scale);
    case CODING_UNSIGNED: /* bigint.unsigned.handling.mode=precise */
        return decimal_text(encoder, room, 20, 0);
    default:
        column->type = iso_twin(column->type);
        return ODS_OK;
    }
}

static enum ods_status correct_integer(struct mysql_encoder *encoder, struct mysql_sense *room,
                                       enum coding coding)
{
    struct column *column = &room->source.column;
    struct buffer digits;
    switch (coding) {
    case CODING_UNSIGNED: /* a negative number stands for itself plus 2^64 */
        column->type = SEM_INT64;
        column->source_type = NULL;
        if (room->value.integer >= 0)
            return ODS_OK;
        buffer_init(&digits);
        buffer_printf(&digits, "%llu", (unsigned long long) room->value.integer);
        column->type = SEM_DECIMAL;
        return keep(encoder, room, VALUE_NUMBER, &digits);
    case CODING_MS:
        column->type = SEM_TIMESTAMP_MS;
        return ODS_OK;
    case CODING_US:
        column->type = SEM_TIMESTAMP_US;
        return ODS_OK;
    case CODING_NS:
        column->type = SEM_TIMESTAMP_NS;
        return ODS_OK;
    case CODING_DECIMAL: /* decimal.format=NUMERIC */
        column->type = SEM_INT64;
        return ODS_OK;
    default:
        return ODS_OK;
    }
}

static enum ods_status correct(struct mysql_encoder *encoder, struct mysql_sense *room,
                               enum coding coding)
{
    switch (room->value.kind) {
    case VALUE_TEXT:
        return correct_text(encoder, room, coding);
    case VALUE_INT:
        return correct_integer(encoder, room, coding);
    case VALUE_JSON:
        if (coding == CODING_DECIMAL)
            room->source.column.type = SEM_VARIABLE_DECIMAL;
        return ODS_OK;
    default:
        return ODS_OK;
    }
}

/* --- values without a schema ---------------------------------------------------------------- */

static enum ods_status infer_integer(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    const struct mysql_column *target = encoder->target;
    struct unit_asked asked = {.source = encoder->encoding->source,
                               .connector = room->source.connector,
                               .precision = (int32_t) target->precision,
                               .number = room->value.integer};
    switch (target->type) {
    case MYSQL_IS_DATE:
        asked.what = UNIT_OF_DATE;
        break;
    case MYSQL_IS_TIME:
        asked.what = UNIT_OF_TIME;
        break;
    case MYSQL_IS_DATETIME:
    case MYSQL_IS_TIMESTAMP:
        asked.what = UNIT_OF_TIMESTAMP;
        break;
    default:
        room->source.column.type = SEM_INT64;
        return ODS_OK;
    }
    struct error why;
    error_init(&why);
    enum ods_status status = unit_of_number(&asked, &room->source.column.type, &why);
    return status == ODS_REJECT ? mysql_refuse(encoder, MYSQL_BAD_TIME, "%s", why.text) : status;
}

static enum ods_status infer_text(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    const struct mysql_column *target = encoder->target;
    unsigned char uuid[16];
    room->source.column.type = SEM_STRING;
    if (target->type == MYSQL_IS_DECIMAL && !room->source.literal)
        return decimal_text(encoder, room, (int32_t) target->precision, (int32_t) target->scale);
    if (target->type == MYSQL_IS_BIT && !room->source.literal) {
        room->source.column.type = SEM_BITS;
        return undo(encoder, room, CODING_BASE64);
    }
    if (!is_binary(target->type) ||
        (target->length == 16 && mysql_read_uuid(room->value.bytes, room->value.length, uuid)))
        return ODS_OK;
    room->source.column.type = SEM_BYTES;
    return undo(encoder, room, CODING_BASE64);
}

/* {"scale":0,"value":"AQ=="} is the number of a column in which each value has its own scale
 * (Oracle's NUMBER, PostgreSQL's numeric). No other type is written like that. */
static bool is_variable_decimal(const struct value *value)
{
    if (value->length > VARIABLE_DECIMAL_BYTES || !value->length || value->bytes[0] != '{')
        return false;
    yyjson_doc *document = yyjson_read(value->bytes, value->length, 0);
    yyjson_val *root = yyjson_doc_get_root(document);
    bool alike = yyjson_obj_size(root) == 2 && yyjson_is_int(yyjson_obj_get(root, "scale")) &&
                 yyjson_is_str(yyjson_obj_get(root, "value"));
    yyjson_doc_free(document);
    return alike;
}

static void infer_json(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    enum mysql_type target = encoder->target->type;
    enum semantic *type = &room->source.column.type;
    *type = target == MYSQL_IS_GEOMETRY ? SEM_GEOMETRY
            : target == MYSQL_IS_VECTOR ? SEM_VECTOR
                                        : SEM_STRUCT;
    if ((is_number(target) || is_text(target)) && is_variable_decimal(&room->value))
        *type = SEM_VARIABLE_DECIMAL;
}

static enum ods_status infer(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    switch (room->value.kind) {
    case VALUE_INT:
        return infer_integer(encoder, room);
    case VALUE_TEXT:
        return infer_text(encoder, room);
    case VALUE_JSON:
        infer_json(encoder, room);
        return ODS_OK;
    case VALUE_BOOL:
        room->source.column.type = SEM_BOOLEAN;
        return ODS_OK;
    default: /* a number kept as text: a decimal, unless the column is a double itself */
        if (encoder->target->type == MYSQL_IS_DOUBLE)
            room->source.column.type = SEM_FLOAT64;
        return ODS_OK;
    }
}

/* --- values of literal shapes (struct shape) ------------------------------------------------- */

/* A text for json becomes a JSON string, since JSON itself comes as JSON. */
static enum ods_status literal_text(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    enum mysql_type target = encoder->target->type;
    enum semantic *type = &room->source.column.type;
    bool quoted = target == MYSQL_IS_JSON ? *type == SEM_UNKNOWN || *type == SEM_JSON
                                          : *type == SEM_JSON && is_text(target);
    if (quoted) {
        struct buffer text;
        buffer_init(&text);
        json_quote(&text, room->value.bytes, room->value.length);
        *type = SEM_JSON;
        return keep(encoder, room, VALUE_JSON, &text);
    }
    if (*type == SEM_DECIMAL || text_is_geometry(*type))
        *type = SEM_STRING;
    else if (*type != SEM_UNKNOWN)
        *type = iso_twin(*type);
    return ODS_OK;
}

/* Turns ["x","z"] into x,z. False: it is no array, or an element is no string. */
static bool put_labels(struct buffer *out, const struct value *value)
{
    yyjson_read_err problem = {0};
    yyjson_doc *document =
        yyjson_read_opts((char *) (uintptr_t) value->bytes, value->length, 0, NULL, &problem);
    out->failed |= problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    yyjson_val *root = yyjson_doc_get_root(document), *label;
    bool good = yyjson_is_arr(root);
    size_t index, max;
    yyjson_arr_foreach(root, index, max, label)
    {
        good = good && yyjson_is_str(label);
        if (!good)
            break;
        buffer_puts(out, index ? "," : "");
        buffer_add(out, yyjson_get_str(label), yyjson_get_len(label));
    }
    yyjson_doc_free(document);
    return good;
}

/* An array for a text column is a set of MySQL. */
static enum ods_status literal_json(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    enum mysql_type target = encoder->target->type;
    enum semantic *type = &room->source.column.type;
    struct buffer labels;
    bool may_be = *type == SEM_ENUM_SET || *type == SEM_UNKNOWN;
    if (!may_be || !(is_text(target) || target == MYSQL_IS_SET)) {
        if (*type == SEM_ENUM_SET)
            *type = SEM_JSON;
        return ODS_OK;
    }
    buffer_init(&labels);
    if (put_labels(&labels, &room->value) || labels.failed) {
        *type = SEM_ENUM_SET;
        return keep(encoder, room, VALUE_TEXT, &labels);
    }
    buffer_done(&labels);
    return ODS_OK;
}

/* A number is only a number: it is never a moment. */
static void literal_number(struct mysql_sense *room)
{
    enum semantic *type = &room->source.column.type;
    bool number = (*type >= SEM_BOOLEAN && *type <= SEM_FLOAT64) || *type == SEM_YEAR ||
                  *type == SEM_JSON;
    if (room->value.kind == VALUE_INT && !number)
        *type = SEM_INT64;
}

static enum ods_status read_literal(struct mysql_encoder *encoder, struct mysql_sense *room)
{
    switch (room->value.kind) {
    case VALUE_TEXT:
        return literal_text(encoder, room);
    case VALUE_JSON:
        return literal_json(encoder, room);
    default:
        literal_number(room);
        return ODS_OK;
    }
}

/* --- all together ---------------------------------------------------------------------------- */

enum ods_status mysql_find_meaning(struct mysql_encoder *encoder,
                                   const struct source_column *source, struct mysql_sense *room)
{
    if (!source->literal && !source->coding && source->column.type != SEM_UNKNOWN)
        return ODS_OK; /* the record's schema says it */
    room->source = *source;
    room->value = *encoder->value;
    encoder->source = &room->source.column;
    encoder->value = &room->value;
    enum coding coding = source->coding;
    enum ods_status status = ODS_OK;
    if (source->literal) {
        status = read_literal(encoder, room);
        coding = coding >= CODING_BASE64 && coding <= CODING_BYTES ? coding : CODING_NONE;
    }
    if (status == ODS_OK && coding)
        status = correct(encoder, room, coding);
    else if (status == ODS_OK && room->source.column.type == SEM_UNKNOWN)
        status = infer(encoder, room);
    return status;
}
