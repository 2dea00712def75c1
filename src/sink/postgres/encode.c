/* Values into binary array elements. See encode.h. */
#include "sink/postgres/encode.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/text.h"

#define OID_VARCHAR       1043
#define OID_BPCHAR        1042
#define MODIFIER_OVERHEAD 4 /* a character type's modifier is its length plus this */

void encoder_init(struct encoder *encoder, const struct source_settings *source)
{
    *encoder = (struct encoder){.source = source};
}

void encoder_done(struct encoder *encoder)
{
    buffer_done(&encoder->text);
    buffer_done(&encoder->bytes);
    buffer_done(&encoder->digits);
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
        snprintf(error->sqlstate, sizeof error->sqlstate, "%s", sqlstate);
        snprintf(error->column, sizeof error->column, "%s", target->name);
    }
    return error_set(error, ODS_REJECT, "column \"%s\": %s", target->name, why);
}

enum ods_status encode_as_text(struct encoder *encoder, const struct column *source,
                               const struct value *value, const char **text, size_t *length,
                               struct error *error)
{
    if ((value->kind == VALUE_TEXT &&
         (source->type == SEM_STRING || source->type == SEM_UNKNOWN || source->type == SEM_JSON)) ||
        value->kind == VALUE_NUMBER) {
        *text = value->bytes;
        *length = value->length;
        return ODS_OK;
    }
    buffer_reset(&encoder->text);
    enum ods_status status = text_value(&encoder->text, source, value, error);
    if (status == ODS_OK && encoder->text.failed)
        status = error_set(error, ODS_RETRY, "out of memory");
    *text = encoder->text.bytes ? encoder->text.bytes : "";
    *length = encoder->text.length;
    return status;
}

static void put_bytes(struct buffer *out, const void *bytes, size_t length)
{
    encode_put32(out, (uint32_t) length);
    buffer_add(out, bytes, length);
}

/* --- integers, booleans, floats ------------------------------------------------------------ */

static bool bits_to_integer(const struct value *value, uint64_t *bits)
{
    *bits = 0;
    for (uint32_t i = value->length; i-- > 0;) {
        uint8_t byte = (uint8_t) value->bytes[i];
        if (i >= 8 && byte)
            return false;
        if (i < 8)
            *bits = *bits << 8 | byte;
    }
    return true;
}

static enum ods_status to_integer(struct encoder *encoder, const struct pg_column *target,
                                  const struct column *source, const struct value *value,
                                  int64_t *integer, struct error *error)
{
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL) {
        *integer = value->integer;
        return ODS_OK;
    }
    if (source->type == SEM_BITS && value->kind == VALUE_BYTES) {
        uint64_t bits;
        if (!bits_to_integer(value, &bits) || bits > INT64_MAX)
            return encode_refuse(target, "22003", "the bit string does not fit an integer", error);
        *integer = (int64_t) bits;
        return ODS_OK;
    }
    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status == ODS_OK && !encode_parse_integer(encoder, text, length, integer))
        status = encode_refuse(target, "22P02", "the value is not an integer of 64 bits", error);
    return status;
}

static enum ods_status encode_integer(struct encoder *encoder, struct buffer *out,
                                      const struct pg_column *target, const struct column *source,
                                      const struct value *value, struct error *error)
{
    int64_t integer;
    enum ods_status status = to_integer(encoder, target, source, value, &integer, error);
    if (status != ODS_OK)
        return status;
    switch (target->encoding) {
    case ENCODE_INT2:
        if (integer < INT16_MIN || integer > INT16_MAX)
            return encode_refuse(target, "22003", "the value is out of range for smallint", error);
        encode_put32(out, 2);
        encode_put16(out, (uint16_t) integer);
        break;
    case ENCODE_INT4:
        if (integer < INT32_MIN || integer > INT32_MAX)
            return encode_refuse(target, "22003", "the value is out of range for integer", error);
        encode_put32(out, 4);
        encode_put32(out, (uint32_t) integer);
        break;
    default:
        encode_put32(out, 8);
        encode_put64(out, (uint64_t) integer);
    }
    return ODS_OK;
}

static bool word_is(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static enum ods_status encode_boolean(struct encoder *encoder, struct buffer *out,
                                      const struct pg_column *target, const struct column *source,
                                      const struct value *value, struct error *error)
{
    static const char *const words[][2] = {{"0", "1"}, {"f", "t"},    {"false", "true"},
                                           {"n", "y"}, {"no", "yes"}, {"off", "on"}};
    const char *text;
    size_t length;
    uint64_t bits;
    int answer = -1;
    if ((value->kind == VALUE_BOOL || value->kind == VALUE_INT) && (uint64_t) value->integer <= 1) {
        answer = (int) value->integer;
    } else if (source->type == SEM_BITS && value->kind == VALUE_BYTES) {
        answer = bits_to_integer(value, &bits) && bits <= 1 ? (int) bits : -1;
    } else {
        enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
        if (status != ODS_OK)
            return status;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            for (int side = 0; side < 2; side++)
                if (word_is(text, length, words[i][side]))
                    answer = side;
    }
    if (answer < 0)
        return encode_refuse(target, "22P02", "the value is neither true nor false", error);
    char byte = (char) answer;
    put_bytes(out, &byte, 1);
    return ODS_OK;
}

static enum ods_status to_real(struct encoder *encoder, const struct pg_column *target,
                               const struct column *source, const struct value *value, double *real,
                               struct error *error)
{
    if (value->kind == VALUE_DOUBLE) {
        *real = value->real;
        return ODS_OK;
    }
    if (value->kind == VALUE_INT) {
        *real = (double) value->integer;
        /* 2^63 itself would overflow on the way back. */
        if (*real >= 9223372036854775808.0 || (int64_t) *real != value->integer)
            return encode_refuse(target, "22003", "a float can't hold this integer exactly", error);
        return ODS_OK;
    }
    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    char number[512];
    if (length == 0 || length >= sizeof number)
        return encode_refuse(target, "22P02", "the value is not a number", error);
    memcpy(number, text, length);
    number[length] = '\0';
    char *end;
    errno = 0;
    *real = strtod(number, &end);
    /* strtod also takes blanks and hexadecimal, which no source means. */
    if (*end || strpbrk(number, "xXpP \t\n"))
        return encode_refuse(target, "22P02", "the value is not a number", error);
    if (errno == ERANGE && isinf(*real))
        return encode_refuse(target, "22003", "the value is out of range for a float", error);
    return ODS_OK;
}

static enum ods_status encode_real(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    double real;
    enum ods_status status = to_real(encoder, target, source, value, &real, error);
    if (status != ODS_OK)
        return status;
    if (target->encoding == ENCODE_FLOAT8) {
        uint64_t bits;
        memcpy(&bits, &real, sizeof bits);
        encode_put32(out, 8);
        encode_put64(out, bits);
        return ODS_OK;
    }
    float single = (float) real;
    if (isinf(single) && !isinf(real))
        return encode_refuse(target, "22003", "the value is out of range for real", error);
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    encode_put32(out, 4);
    encode_put32(out, bits);
    return ODS_OK;
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
        return error_set(error, ODS_RETRY, "out of memory");
    *text = encoder->digits.bytes ? encoder->digits.bytes : "";
    *length = encoder->digits.length;
    encoder->stripped++;
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
    put_bytes(out, text, length);
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

static enum ods_status encode_bytea(struct encoder *encoder, struct buffer *out,
                                    const struct pg_column *target, const struct column *source,
                                    const struct value *value, struct error *error)
{
    if (value->kind == VALUE_BYTES) {
        put_bytes(out, value->bytes, value->length);
        return ODS_OK;
    }
    /* Text that a schema calls text: its bytes as they are. */
    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status == ODS_OK)
        put_bytes(out, text, length);
    return status;
}

/* Is there an escaped U+0000 at this backslash, which an even number of others precedes? */
static bool is_escaped_nul(const char *at, const char *end)
{
    return end - at >= 6 && memcmp(at, "\\u0000", 6) == 0;
}

/* JSON without its escaped U+0000, which json keeps and jsonb has no place for. */
static enum ods_status strip_json(struct encoder *encoder, const char **text, size_t *length,
                                  struct error *error)
{
    if (!memmem(*text, *length, "\\u0000", 6))
        return ODS_OK;
    struct buffer *out = &encoder->digits;
    bool stripped = false;
    buffer_reset(out);
    for (const char *at = *text, *end = at + *length; at < end;) {
        if (is_escaped_nul(at, end)) {
            stripped = true;
            at += 6;
            continue;
        }
        size_t pair = *at == '\\' && at + 1 < end ? 2 : 1; /* an escaped backslash is one thing */
        buffer_add(out, at, pair);
        at += pair;
    }
    if (out->failed)
        return error_set(error, ODS_RETRY, "out of memory");
    *text = out->bytes ? out->bytes : "";
    *length = out->length;
    encoder->stripped += stripped;
    return ODS_OK;
}

static enum ods_status encode_json(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    const char *text = value->bytes;
    size_t length = value->length;
    enum ods_status status = ODS_OK;
    if (value->kind != VALUE_JSON)
        status = encode_as_text(encoder, source, value, &text, &length, error);
    bool binary = target->encoding == ENCODE_JSONB;
    if (status == ODS_OK && binary && encoder->strip_nul)
        status = strip_json(encoder, &text, &length, error);
    if (status != ODS_OK)
        return status;
    encode_put32(out, (uint32_t) (length + binary));
    if (binary)
        buffer_add(out, "\1", 1); /* jsonb_recv's format version */
    buffer_add(out, text, length);
    return ODS_OK;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static enum ods_status encode_uuid(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    const char *text;
    size_t length, count = 0;
    uint8_t uuid[16] = {0};
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    if (value->kind == VALUE_BYTES && value->length == sizeof uuid) {
        put_bytes(out, value->bytes, sizeof uuid);
        return ODS_OK;
    }
    for (size_t i = 0; i < length; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0 && (text[i] == '-' || text[i] == '{' || text[i] == '}'))
            continue;
        if (digit < 0 || count == 32) {
            count = 0;
            break;
        }
        uuid[count / 2] = (uint8_t) (uuid[count / 2] << 4 | digit);
        count++;
    }
    if (count != 32)
        return encode_refuse(target, "22P02", "the value is not a UUID", error);
    put_bytes(out, uuid, sizeof uuid);
    return ODS_OK;
}

/* Everything else travels as text and meets the type's own input function in the statement. */
static enum ods_status encode_cast(struct encoder *encoder, struct buffer *out,
                                   const struct pg_column *target, const struct column *source,
                                   const struct value *value, struct error *error)
{
    if (value->kind == VALUE_BOOL && (target->type == 1560 || target->type == 1562)) {
        put_bytes(out, value->integer ? "1" : "0", 1);
        return ODS_OK;
    }
    bool handled = false;
    enum ods_status status = encode_notation(encoder, out, target, source, value, &handled, error);
    return status != ODS_OK || handled ? status
                                       : encode_text(encoder, out, target, source, value, error);
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

enum ods_status encode_value(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct source_column *source,
                             const struct value *value, struct error *error)
{
    if (value->kind == VALUE_NULL) {
        encode_put32(out, UINT32_MAX);
        return ODS_OK;
    }
    if (source->refusal)
        return encode_refuse(target, "42804", source->refusal, error);
    const struct column *column = &source->column;
    struct inferred inferred;
    enum ods_status status = ODS_OK;
    encoder->strip_nul = source->strip_nul;
    if (source->coding)
        status = correct_value(encoder, target, source->coding, &column, &value, &inferred, error);
    else if (column->type == SEM_UNKNOWN)
        status = infer_value(encoder, target, &column, &value, &inferred, error);
    if (status == ODS_OK)
        status = encode_functions[target->encoding](encoder, out, target, column, value, error);
    if (status == ODS_REJECT && error && !error->column[0]) {
        /* A conversion below knows the value but not where it goes. */
        snprintf(error->column, sizeof error->column, "%s", target->name);
        error_prefix(error, "column \"%s\": ", target->name);
    }
    return status;
}
