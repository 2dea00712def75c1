/* Values into elements of binary arrays: chooses the encoder; encodes strings, bytes, and texts for
 * PostgreSQL's own input functions. See encode.h. */
#include "sink/postgres/values/encode.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "core/text_geometry.h"
#include "core/time.h"
#include "core/utf8.h"
#include "sink/postgres/values/encode_plain.h"

#define VALUE_BYTES_MAX   0x3fffffff /* of PostgreSQL's varlena */
#define MODIFIER_OVERHEAD 4          /* a character type's modifier is its length plus this */

void encoder_init(struct encoder *encoder, const struct source_settings *source)
{
    *encoder = (struct encoder){.source = source};
}

void encoder_done(struct encoder *encoder)
{
    buffer_done(&encoder->text);
    buffer_done(&encoder->bytes);
    buffer_done(&encoder->digits);
    buffer_done(&encoder->array);
    buffer_done(&encoder->item);
}

void encode_put16(struct buffer *out, uint16_t value)
{
    value = htobe16(value);
    buffer_add(out, &value, sizeof value);
}

void encode_put32(struct buffer *out, uint32_t value)
{
    value = htobe32(value);
    buffer_add(out, &value, sizeof value);
}

void encode_put64(struct buffer *out, uint64_t value)
{
    value = htobe64(value);
    buffer_add(out, &value, sizeof value);
}

enum ods_status encode_refuse(const struct pg_column *target, const char *sqlstate, const char *why,
                              struct error *error)
{
    if (error) {
        error->fault = FAULT_ROW;
        snprintf(error->code, sizeof error->code, "%s", sqlstate);
        utf8_copy(error->column, sizeof error->column, target->name, strlen(target->name));
    }
    return error_set(error, ODS_REJECT, "column \"%s\": %s", target->name, why);
}

enum ods_status encode_unreadable(struct encoder *encoder, const struct pg_column *target,
                                  const char *sqlstate, const char *why, struct error *error)
{
    encoder->unreadable = true;
    return encode_refuse(target, sqlstate, why, error);
}

bool encode_nanoseconds(struct encoder *encoder)
{
    encoder->losses.rounded += encoder->inexact == INEXACT_NANOSECONDS;
    return encoder->inexact == INEXACT_NANOSECONDS;
}

enum ods_status encode_inexact(struct encoder *encoder, const struct pg_column *target,
                               const char *sqlstate, const char *why, struct error *error)
{
    char text[256];
    if (encoder->inexact == INEXACT_ROUND) {
        encoder->losses.rounded++;
        return ODS_OK;
    }
    snprintf(text, sizeof text, "%s (inexact: round would let it)", why);
    return encode_refuse(target, sqlstate, text, error);
}

enum ods_status encode_as_text(struct encoder *encoder, const struct column *source,
                               const struct value *value, const char **text, size_t *length,
                               struct error *error)
{
    if ((value->kind == VALUE_TEXT &&
         (source->type == SEM_STRING || source->type == SEM_UNKNOWN || source->type == SEM_JSON)) ||
        (value->kind == VALUE_NUMBER && source->type == SEM_UNKNOWN)) {
        *text = value->bytes;
        *length = value->length;
        return ODS_OK;
    }
    buffer_reset(&encoder->text);
    enum ods_status status = text_value(&encoder->text, source, value, error);
    encoder->unreadable |= status == ODS_REJECT && value->kind == VALUE_TEXT;
    if (status == ODS_OK && encoder->text.failed)
        status = error_out_of_memory(error);
    *text = encoder->text.bytes ? encoder->text.bytes : "";
    *length = encoder->text.length;
    return status;
}

void encode_put_bytes(struct buffer *out, const void *bytes, size_t length)
{
    encode_put32(out, (uint32_t) length);
    buffer_add(out, bytes, length);
}

void encode_array_begin(struct buffer *out, Oid element, uint32_t count)
{
    buffer_reset(out);
    encode_put32(out, 1); /* dimension */
    encode_put32(out, 1); /* it may have NULLs */
    encode_put32(out, element);
    encode_put32(out, count);
    encode_put32(out, 1); /* the first index */
}

/* --- strings and bytes --------------------------------------------------------------------- */

static size_t characters(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((uint8_t) text[i] & 0xc0) != 0x80;
    return count;
}

/* PostgreSQL's text types hold every character but U+0000. */
enum ods_status encode_check_nul(struct encoder *encoder, const struct pg_column *target,
                                 const char **text, size_t *length, struct error *error)
{
    if (!memchr(*text, '\0', *length))
        return ODS_OK;
    if (!encoder->strip_nul)
        return encode_refuse(target, "22021",
                             "the text holds a NUL character (U+0000), which PostgreSQL's text "
                             "types can't; nul: strip leaves it out",
                             error);
    buffer_reset(&encoder->digits);
    for (size_t i = 0; i < *length; i++)
        if ((*text)[i])
            buffer_add(&encoder->digits, &(*text)[i], 1);
    if (encoder->digits.failed)
        return error_out_of_memory(error);
    *text = encoder->digits.bytes ? encoder->digits.bytes : "";
    *length = encoder->digits.length;
    encoder->losses.stripped++;
    return ODS_OK;
}

static enum ods_status put_text(struct encoder *encoder, struct buffer *out,
                                const struct pg_column *target, const char *text, size_t length,
                                struct error *error)
{
    enum ods_status status = encode_check_nul(encoder, target, &text, &length, error);
    if (status != ODS_OK)
        return status;
    if ((target->type == OID_VARCHAR || target->type == OID_BPCHAR) && target->modifier >= 0) {
        size_t most = (size_t) (target->modifier - MODIFIER_OVERHEAD);
        if (length > most && characters(text, length) > most) {
            char why[96];
            snprintf(why, sizeof why, "the text has %zu characters, the column takes %zu",
                     characters(text, length), most);
            return encode_refuse(target, "22001", why, error);
        }
    }
    encode_put_bytes(out, text, length);
    return ODS_OK;
}

static enum ods_status encode_text(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    return status == ODS_OK ? put_text(encoder, out, target, text, length, error) : status;
}

/* Has the value bytes of its own? A text has; for a number or a moment nobody says which bytes. */
static bool has_bytes(const struct column *source, const struct value *value)
{
    switch (source->type) {
    case SEM_UNKNOWN:
    case SEM_STRING:
    case SEM_JSON:
    case SEM_XML:
    case SEM_ENUM:
    case SEM_ENUM_SET:
        return value->kind == VALUE_TEXT;
    case SEM_MAP:
    case SEM_STRUCT:
        return value->kind == VALUE_JSON;
    default:
        return false;
    }
}

static enum ods_status encode_bytea(struct encoder *encoder, struct buffer *out,
                                    const struct pg_column *target, const struct column *source,
                                    const struct value *value, struct error *error)
{
    if (value->kind == VALUE_BYTES && source->type != SEM_DECIMAL) {
        encode_put_bytes(out, value->bytes, value->length);
        return ODS_OK;
    }
    if (text_is_geometry(source->type) && value->kind == VALUE_JSON) {
        buffer_reset(&encoder->text);
        enum ods_status status =
            text_geometry_value(&encoder->text, source, value, GEOMETRY_WKB, error);
        if (status == ODS_OK)
            encode_put_bytes(out, buffer_text(&encoder->text), encoder->text.length);
        return status;
    }
    if (!has_bytes(source, value))
        return encode_refuse(target, "42804", "the source's type is neither bytes nor text", error);
    encode_put_bytes(out, value->bytes, value->length);
    return ODS_OK;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Reads what PostgreSQL reads: hyphens after any group of four digits, braces around the whole. */
static bool parse_uuid(const char *text, size_t length, uint8_t uuid[16])
{
    bool braces = length && *text == '{';
    const char *at = text + braces, *end = text + length - braces;
    if (braces && (length < 2 || *end != '}'))
        return false;
    for (size_t i = 0; i < 16; i++, at += 2) {
        if (i && i % 2 == 0 && at < end && *at == '-')
            at++;
        if (end - at < 2 || hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
            return false;
        uuid[i] = (uint8_t) (hex_digit(at[0]) << 4 | hex_digit(at[1]));
    }
    return at == end;
}

static enum ods_status encode_uuid(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    const char *text;
    size_t length;
    uint8_t uuid[16] = {0};
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    if (value->kind == VALUE_BYTES && source->type == SEM_BYTES && value->length == sizeof uuid) {
        encode_put_bytes(out, value->bytes, sizeof uuid);
        return ODS_OK;
    }
    if (!parse_uuid(text, length, uuid))
        return encode_unreadable(encoder, target, "22P02", "the value is not a UUID", error);
    encode_put_bytes(out, uuid, sizeof uuid);
    return ODS_OK;
}

/* An input function may read a text otherwise than the source means it: "2023" is 20:23 to timetz,
 * "7" is seven seconds to interval, and timetz ignores the date of a timestamp. */
static bool reads_rightly(Oid type, enum semantic source)
{
    bool text = source == SEM_UNKNOWN || source == SEM_STRING || source == SEM_JSON ||
                source == SEM_ENUM || source == SEM_ENUM_SET;
    bool clock = (source >= SEM_TIME_MS && source <= SEM_TIME_NS) || source == SEM_ISO_TIME ||
                 source == SEM_STRUCTURED_TIME;
    switch (type) {
    case OID_TIMETZ:
        return text || clock || source == SEM_ZONED_TIME || source == SEM_STRUCTURED_ZONED_TIME;
    case OID_INTERVAL:
        return text || clock || source == SEM_DURATION_US || source == SEM_DURATION_NS ||
               source == SEM_INTERVAL || source == SEM_STRUCTURED_DURATION;
    case OID_TSVECTOR:
        return text || source == SEM_TSVECTOR;
    case OID_XML:
        return text || source == SEM_XML;
    case OID_MONEY:
    case OID_OID:
    case OID_XID:
    case OID_CID: /* bits would be read as decimal digits */
        return source != SEM_BITS;
    default:
        return true;
    }
}

/* Refuses texts that PostgreSQL's input functions would accept, but cut, wrap or round. */
static enum ods_status check_input(struct encoder *encoder, const struct pg_column *target,
                                   const char *text, size_t length, struct error *error)
{
    switch (target->type) {
    case OID_CHAR:
        return length <= 1 ? ODS_OK
                           : encode_refuse(target, "22001", "\"char\" takes one character", error);
    case OID_NAME:
        return length <= 63 ? ODS_OK : encode_refuse(target, "22001", "name takes 63 bytes", error);
    case OID_OID:
    case OID_XID:
    case OID_CID:
        return !length || *text != '-'
                   ? ODS_OK
                   : encode_refuse(target, "22003", "the type takes no negative numbers", error);
    case OID_INTERVAL: {
        enum ods_status status = encode_check_interval(encoder, target, text, length, error);
        return status == ODS_OK ? encode_check_fraction(encoder, target, text, length, error)
                                : status;
    }
    case OID_TSRANGE:
    case OID_TSTZRANGE:
    case OID_DATERANGE:
    case OID_TSMULTIRANGE:
    case OID_TSTZMULTIRANGE:
    case OID_DATEMULTIRANGE:
        return encode_asks_clock(text, length) ? encode_refuse_clock(target, error) : ODS_OK;
    case OID_TIMETZ:
        if (encode_asks_clock(text, length))
            return encode_refuse_clock(target, error);
        return encode_check_fraction(encoder, target, text, length, error);
    case OID_MONEY:
        return encode_check_fraction(encoder, target, text, length, error);
    default:
        return ODS_OK;
    }
}

static enum ods_status encode_input(struct encoder *encoder, struct buffer *out,
                                    const struct pg_column *target, const struct column *source,
                                    const struct value *value, struct error *error)
{
    const char *text;
    size_t length;
    if (!reads_rightly(target->type, source->type))
        return encode_refuse(target, "42804", "the source's type is none that the column means",
                             error);
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status == ODS_OK)
        status = check_input(encoder, target, text, length, error);
    return status == ODS_OK ? put_text(encoder, out, target, text, length, error) : status;
}

/* Every other type: the value is sent as text, which the type's input function reads in the
 * statement. */
static enum ods_status encode_cast(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    if (value->kind == VALUE_BOOL && encode_is_bit_string(target)) {
        encode_put_bytes(out, value->integer ? "1" : "0", 1);
        return ODS_OK;
    }
    if (target->item &&
        (value->kind == VALUE_JSON && (source->type == SEM_ARRAY || source->type == SEM_VECTOR)))
        return encode_array(encoder, out, target, source, value, error);
    bool handled = false;
    enum ods_status status = encode_notation(encoder, out, target, source, value, &handled, error);
    return status != ODS_OK || handled ? status
                                       : encode_input(encoder, out, target, source, value, error);
}

typedef enum ods_status encode_function(struct encoder *, struct buffer *, const struct pg_column *,
                                        const struct column *, const struct value *,
                                        struct error *);

static encode_function *const encode_functions[] = {
    [ENCODE_CAST] = encode_cast,           [ENCODE_BOOL] = encode_boolean,
    [ENCODE_INT2] = encode_integer,        [ENCODE_INT4] = encode_integer,
    [ENCODE_INT8] = encode_integer,        [ENCODE_FLOAT4] = encode_real,
    [ENCODE_FLOAT8] = encode_real,         [ENCODE_NUMERIC] = encode_numeric,
    [ENCODE_TEXT] = encode_text,           [ENCODE_BYTEA] = encode_bytea,
    [ENCODE_DATE] = encode_date,           [ENCODE_TIME] = encode_time,
    [ENCODE_TIMESTAMP] = encode_timestamp, [ENCODE_TIMESTAMPTZ] = encode_timestamp,
    [ENCODE_UUID] = encode_uuid,           [ENCODE_JSON] = encode_json,
    [ENCODE_JSONB] = encode_json,
};

enum ods_status encode_as(struct encoder *encoder, struct buffer *out,
                          const struct pg_column *target, const struct column *source,
                          const struct value *value, struct error *error)
{
    return encode_functions[target->encoding](encoder, out, target, source, value, error);
}

/* --- zero dates ----------------------------------------------------------------------------- */

/* 0000-00-00, and every date whose month or day is zero: MySQL has them, PostgreSQL has not. */
static bool is_zero_date(const struct pg_column *target, const struct value *value)
{
    if (value->kind != VALUE_TEXT || value->length < 10 || target->encoding < ENCODE_DATE ||
        target->encoding > ENCODE_TIMESTAMPTZ || target->encoding == ENCODE_TIME)
        return false;
    for (size_t i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? value->bytes[i] != '-'
                             : value->bytes[i] < '0' || value->bytes[i] > '9')
            return false;
    return memcmp(value->bytes + 5, "00", 2) == 0 || memcmp(value->bytes + 8, "00", 2) == 0;
}

static enum ods_status encode_zero_date(struct encoder *encoder, struct buffer *out,
                                        const struct pg_column *target,
                                        const struct source_column *source, struct error *error)
{
    if (!source->zero_is_null)
        return encode_refuse(target, "22008",
                             "a date with a zero month or day, which PostgreSQL does not have "
                             "(zero_dates: null makes it NULL, but in a key)",
                             error);
    encode_put32(out, UINT32_MAX);
    encoder->losses.zeroed++;
    return ODS_OK;
}

enum ods_status encode_value(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct source_column *source,
                             const struct value *value, struct error *error)
{
    if (value->kind == VALUE_NULL) {
        encode_put32(out, UINT32_MAX);
        return ODS_OK;
    }
    if (!source->refusal && !source->literal && !source->coding &&
        encode_plain(out, target, &source->column, value))
        return ODS_OK;
    if (source->refusal)
        return encode_refuse(target, "42804", source->refusal, error);
    if (is_zero_date(target, value))
        return encode_zero_date(encoder, out, target, source, error);
    const struct column *column = &source->column;
    struct inferred inferred, read;
    enum ods_status status = ODS_OK;
    size_t start = out->length;
    encoder->strip_nul = source->strip_nul;
    encoder->inexact = source->inexact;
    encoder->connector = source->connector;
    enum coding coding = source->literal ? literal_coding(source->coding) : source->coding;
    if (source->literal)
        status = literal_value(encoder, target, &column, &value, &inferred, error);
    if (status == ODS_OK && coding)
        status = correct_value(encoder, target, coding, &column, &value, &inferred, error);
    else if (status == ODS_OK && column->type == SEM_UNKNOWN)
        status = infer_value(encoder, target, &column, &value, &inferred, error);
    bool meant = column != &source->column; /* its meaning was found only now */
    if (status == ODS_OK && !(meant && encode_plain(out, target, column, value)))
        status = encode_as(encoder, out, target, column, value, error);
    if (status == ODS_REJECT && encoder->unreadable) {
        out->length = start;
        status = encode_reading(encoder, target, &column, &value, &read, error);
        if (status == ODS_OK)
            status = encode_as(encoder, out, target, column, value, error);
    }
    if (status == ODS_OK && out->length - start > VALUE_BYTES_MAX)
        status = encode_refuse(target, "54000", "the value has more than 1 GB", error);
    if (status == ODS_REJECT && error && !error->column[0]) {
        /* The conversions above know the value, but not the column that it goes into. */
        utf8_copy(error->column, sizeof error->column, target->name, strlen(target->name));
        error_prefix(error, "column \"%s\": ", target->name);
    }
    return status;
}
