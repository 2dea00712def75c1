/* Values of columns that the settings or the source's type name correct, where the record's schema
 * says too little (source_column.c).
 */
#include <stdio.h>
#include <string.h>

#include "core/base64.h"
#include "sink/postgres/values/encode.h"

/* --- bytes that came as text ---------------------------------------------------------------- */

static bool undo_hex(const char *text, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    if (length % 2)
        return false;
    for (size_t i = 0; i < length; i += 2) {
        const char *high = text[i] ? strchr(digits, text[i] | 0x20) : NULL;
        const char *low = text[i + 1] ? strchr(digits, text[i + 1] | 0x20) : NULL;
        if (!high || !low || !*high || !*low)
            return false;
        *out++ = (char) ((high - digits) << 4 | (low - digits));
    }
    return true;
}

/* Rewrites base64url as base64, and adds the padding that base64url may omit. */
static const char *from_url_alphabet(struct encoder *encoder, const char *text, size_t *length)
{
    struct buffer *out = &encoder->digits;
    buffer_reset(out);
    char *to = buffer_take(out, *length + 3);
    if (!to)
        return NULL;
    for (size_t i = 0; i < *length; i++)
        to[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    while (*length % 4)
        to[(*length)++] = '=';
    return to;
}

enum ods_status encode_undo(struct encoder *encoder, const struct pg_column *target,
                            enum coding coding, struct inferred *inferred, struct error *error)
{
    const char *text = inferred->value.bytes;
    size_t length = inferred->value.length, count = length / 2;
    if (coding == CODING_BASE64URL)
        text = from_url_alphabet(encoder, text, &length);
    buffer_reset(&encoder->bytes);
    char *bytes = buffer_take(&encoder->bytes, length + 1);
    if (!text || !bytes)
        return error_out_of_memory(error);
    bool good = coding == CODING_HEX ? undo_hex(text, length, bytes)
                                     : base64_decode(text, length, (unsigned char *) bytes, &count);
    if (!good)
        return encode_refuse(target, "22023",
                             coding == CODING_HEX ? "the value is not hexadecimal digits"
                                                  : "the value is not base64, as which a record "
                                                    "without schema carries bytes, bits and "
                                                    "decimals",
                             error);
    inferred->value.kind = VALUE_BYTES;
    inferred->value.bytes = bytes;
    inferred->value.length = (uint32_t) count;
    return ODS_OK;
}

/* A connector writes all its bytes in one coding, so what one value shows is true for all. Sixteen
 * lower-case hexadecimal digits are taken as hexadecimal: base64 practically never looks so.
 * CODING_NONE: the text fits none, or more than one. */
static enum coding bytes_coding(struct encoder *encoder, const char *text, size_t length)
{
    size_t digits = 0, lower = 0;
    bool url = false;
    for (size_t i = 0; i < length; i++) {
        lower += (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        digits += strchr("0123456789abcdefABCDEF", text[i]) && text[i];
        url |= text[i] == '-' || text[i] == '_';
    }
    bool hex = digits == length && length % 2 == 0;
    if (hex && (length % 4 || (lower == length && length >= 16)))
        encoder->evidence.hex_bytes = true;
    else if (!hex)
        encoder->evidence.base64_bytes = true;
    else if (length && encoder->evidence.hex_bytes == encoder->evidence.base64_bytes)
        return CODING_NONE;
    else
        hex = encoder->evidence.hex_bytes;
    return hex ? CODING_HEX : url ? CODING_BASE64URL : CODING_BASE64;
}

static enum ods_status undo_bytes(struct encoder *encoder, const struct pg_column *target,
                                  struct inferred *inferred, struct error *error)
{
    enum coding coding = bytes_coding(encoder, inferred->value.bytes, inferred->value.length);
    if (target->encoding != ENCODE_BYTEA) {
        inferred->column.type = SEM_STRING;
        return ODS_OK;
    }
    if (coding == CODING_NONE)
        return encode_refuse(target, "22023",
                             "this text may be hexadecimal or base64, and no value has shown yet "
                             "which of them it is: name the column's type in source_types (bytes "
                             "hex, bytes base64)",
                             error);
    return encode_undo(encoder, target, coding, inferred, error);
}

/* --- decimals ------------------------------------------------------------------------------- */

/* Could this number be base64 as well? It would then stand for a negative number whose first byte
 * is 0xD0 to 0xF7, as digits have the highest values of the alphabet. */
static bool may_be_base64(const char *text, size_t length, int32_t precision)
{
    if (!length || length % 4 || memchr(text, '.', length) || memchr(text, '-', length))
        return false;
    /* It has at least log10(8 * 256^(bytes - 1)) digits. */
    size_t bytes = length / 4 * 3;
    return precision < 0 || ((bytes - 1) * 2408 + 903) / 1000 <= (size_t) precision;
}

/* decimal.handling.mode is set for the whole connector, so what one value shows is true for all.
 * DECIMAL_AUTO: no value has shown it yet, or values have shown both. */
static enum decimal_mode decimal_mode(struct encoder *encoder, const char *text, size_t length,
                                      int32_t precision)
{
    if (encoder->source->decimals != DECIMAL_AUTO)
        return encoder->source->decimals;
    bool number = encode_is_number(text, length);
    if (!number)
        return DECIMAL_PRECISE;
    if (!may_be_base64(text, length, precision)) {
        encoder->evidence.digits = true;
        return DECIMAL_STRING;
    }
    if (encoder->evidence.digits == encoder->evidence.base64)
        return DECIMAL_AUTO;
    return encoder->evidence.digits ? DECIMAL_STRING : DECIMAL_PRECISE;
}

enum ods_status encode_decimal_text(struct encoder *encoder, const struct pg_column *target,
                                    int32_t precision, int32_t scale, struct inferred *inferred,
                                    struct error *error)
{
    const struct value text = inferred->value;
    switch (decimal_mode(encoder, inferred->value.bytes, inferred->value.length, precision)) {
    case DECIMAL_AUTO:
        return encode_refuse(target, "22023",
                             "these digits are a decimal, or base64 of another one, and a record "
                             "without schema does not tell: set source.decimals to string or "
                             "precise",
                             error);
    case DECIMAL_STRING:
    case DECIMAL_DOUBLE:
        inferred->column.type = SEM_STRING;
        return ODS_OK;
    case DECIMAL_PRECISE:
        break;
    }
    bool told = encoder->source->decimals == DECIMAL_PRECISE;
    inferred->column.type = SEM_DECIMAL;
    inferred->column.scale = scale;
    enum ods_status status = encode_undo(encoder, target, CODING_BASE64, inferred, error);
    bool none = status == ODS_REJECT || (status == ODS_OK && !inferred->value.length);
    if (!told && none && target->encoding != ENCODE_TEXT && target->encoding != ENCODE_BYTEA) {
        /* It is neither: a number that is written otherwise, or no number. */
        inferred->value = text;
        inferred->column.type = SEM_STRING;
        return ODS_OK;
    }
    encoder->evidence.base64 |= status == ODS_OK && !told;
    if (status == ODS_OK && scale == INT32_MIN)
        return encode_refuse(target, "22023",
                             "a record without schema does not tell the scale of its decimals: "
                             "declare the column numeric(p,s), or name its type in source_types, "
                             "or let the connector send decimal.handling.mode=string",
                             error);
    return status;
}

/* --- values --------------------------------------------------------------------------------- */

/* The type of the same time as ISO 8601 text, as time.precision.mode=isostring sends it. */
enum semantic encode_iso_twin(enum semantic type)
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

static enum ods_status correct_text(struct encoder *encoder, const struct pg_column *target,
                                    enum coding coding, struct inferred *inferred,
                                    struct error *error)
{
    switch (coding) {
    case CODING_BASE64:
    case CODING_BASE64URL:
    case CODING_HEX:
        return encode_undo(encoder, target, coding, inferred, error);
    case CODING_BYTES:
        return undo_bytes(encoder, target, inferred, error);
    case CODING_DECIMAL:
        return encode_decimal_text(encoder, target, inferred->column.length, inferred->column.scale,
                                   inferred, error);
    case CODING_UNSIGNED: /* bigint.unsigned.handling.mode=precise */
        return encode_decimal_text(encoder, target, 20, 0, inferred, error);
    default:
        inferred->column.type = encode_iso_twin(inferred->column.type);
        return ODS_OK;
    }
}

static enum ods_status correct_integer(struct encoder *encoder, enum coding coding,
                                       struct inferred *inferred, struct error *error)
{
    struct buffer *digits = &encoder->bytes;
    switch (coding) {
    case CODING_UNSIGNED:
        inferred->column.type = SEM_INT64;
        inferred->column.source_type = NULL;
        if (inferred->value.integer >= 0)
            return ODS_OK;
        buffer_reset(digits);
        buffer_printf(digits, "%llu", (unsigned long long) inferred->value.integer);
        if (digits->failed)
            return error_out_of_memory(error);
        inferred->column.type = SEM_DECIMAL;
        inferred->value = (struct value){
            .kind = VALUE_NUMBER, .length = (uint32_t) digits->length, .bytes = digits->bytes};
        return ODS_OK;
    case CODING_MS:
        inferred->column.type = SEM_TIMESTAMP_MS;
        return ODS_OK;
    case CODING_US:
        inferred->column.type = SEM_TIMESTAMP_US;
        return ODS_OK;
    case CODING_NS:
        inferred->column.type = SEM_TIMESTAMP_NS;
        return ODS_OK;
    case CODING_DECIMAL: /* decimal.format=NUMERIC */
        inferred->column.type = SEM_INT64;
        return ODS_OK;
    default:
        return ODS_OK;
    }
}

enum ods_status correct_value(struct encoder *encoder, const struct pg_column *target,
                              enum coding coding, const struct column **column,
                              const struct value **value, struct inferred *inferred,
                              struct error *error)
{
    inferred->column = **column;
    inferred->value = **value;
    *column = &inferred->column;
    *value = &inferred->value;
    switch (inferred->value.kind) {
    case VALUE_TEXT:
        return correct_text(encoder, target, coding, inferred, error);
    case VALUE_INT:
        return correct_integer(encoder, coding, inferred, error);
    case VALUE_JSON:
        if (coding == CODING_DECIMAL)
            inferred->column.type = SEM_VARIABLE_DECIMAL;
        return ODS_OK;
    default:
        return ODS_OK;
    }
}
