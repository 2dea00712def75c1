/* Integers, booleans and floats. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/time.h"
#include "sink/postgres/values/encode.h"

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
        if (!bits_to_integer(value, &bits) || bits > INT64_MAX) {
            encode_refuse(target, "22003", "the bit string does not fit an integer", error);
            return ODS_REJECT; /* what it answers, which an analyzer of this file can't know */
        }
        *integer = (int64_t) bits;
        return ODS_OK;
    }
    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK || encode_parse_integer(encoder, text, length, integer))
        return status;
    if (encoder->digits.failed)
        return error_out_of_memory(error);
    return encode_unreadable(encoder, target, "22P02", "the value is not an integer of 64 bits",
                             error);
}

/* Refuses bits, which are no decimal digits, and the numbers by which a source writes an infinite
 * moment. */
enum ods_status encode_check_countable(const struct pg_column *target, const struct column *source,
                                       const struct value *value, struct error *error)
{
    bool infinite = false;
    if (value->kind == VALUE_INT)
        infinite = source->type == SEM_DATE           ? time_date_infinite(value->integer)
                   : source->type == SEM_TIMESTAMP_MS ? time_ms_infinite(value->integer)
                   : source->type == SEM_TIMESTAMP_US ? time_us_infinite(value->integer)
                   : source->type == SEM_TIMESTAMP_NS ? time_ns_infinite(value->integer)
                                                      : 0;
    if (infinite)
        return encode_refuse(target, "22003", "infinity is no number of days or seconds", error);
    if (source->type == SEM_BITS && value->kind == VALUE_BYTES)
        return encode_refuse(target, "42804", "bits go into integers and bit strings only", error);
    return ODS_OK;
}

enum ods_status encode_integer(struct encoder *encoder, struct buffer *out,
                               const struct pg_column *target, const struct column *source,
                               const struct value *value, struct error *error)
{
    int64_t integer;
    enum ods_status status =
        source->type == SEM_BITS ? ODS_OK : encode_check_countable(target, source, value, error);
    if (status == ODS_OK)
        status = to_integer(encoder, target, source, value, &integer, error);
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

enum ods_status encode_boolean(struct encoder *encoder, struct buffer *out,
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
        return encode_unreadable(encoder, target, "22P02", "the value is neither true nor false",
                                 error);
    char byte = (char) answer;
    encode_put_bytes(out, &byte, 1);
    return ODS_OK;
}

/* Reads a number's text as a float of the target's size. */
static enum ods_status parse_real(struct encoder *encoder, const struct pg_column *target,
                                  const char *text, size_t length, double *real,
                                  struct error *error)
{
    char number[512], *end;
    if (length == 0 || length >= sizeof number)
        return encode_unreadable(encoder, target, "22P02", "the value is not a number", error);
    memcpy(number, text, length);
    number[length] = '\0';
    errno = 0;
    /* Directly into the target's size: by way of a double a real would be rounded twice. */
    *real =
        target->encoding == ENCODE_FLOAT4 ? (double) strtof(number, &end) : strtod(number, &end);
    /* strtod also reads leading blanks, hexadecimal and "nan(…)", which are refused here. */
    if (end != number + length || isspace((unsigned char) *number) || strpbrk(number, "xXpP("))
        return encode_unreadable(encoder, target, "22P02", "the value is not a number", error);
    if (errno == ERANGE && (isinf(*real) || *real == 0))
        return encode_refuse(target, "22003", "the value is out of range for a float", error);
    return ODS_OK;
}

static enum ods_status to_real(struct encoder *encoder, const struct pg_column *target,
                               const struct column *source, const struct value *value, double *real,
                               struct error *error)
{
    int bits = target->encoding == ENCODE_FLOAT4 ? 32 : 64;
    const char *text;
    size_t length;
    char digits[64];
    enum ods_status status = encode_check_countable(target, source, value, error);
    if (status != ODS_OK)
        return status;
    if (value->kind == VALUE_DOUBLE && bits == 64) {
        *real = value->real;
        return ODS_OK;
    }
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL) {
        length = (size_t) snprintf(digits, sizeof digits, "%lld", (long long) value->integer);
        text = digits;
    } else if (value->kind == VALUE_NUMBER) {
        text = value->bytes;
        length = value->length;
    } else {
        status = encode_as_text(encoder, source, value, &text, &length, error);
        for (; status == ODS_OK && length && isspace((unsigned char) *text); length--)
            text++;
        while (status == ODS_OK && length && isspace((unsigned char) text[length - 1]))
            length--;
    }
    if (status == ODS_OK)
        status = parse_real(encoder, target, text, length, real, error);
    bool itself = source->type == SEM_FLOAT32 || (source->type == SEM_FLOAT64 && bits == 64);
    if (status != ODS_OK || itself || !isfinite(*real) ||
        encode_float_shows(encoder, text, length, *real, bits))
        return status;
    return encode_inexact(encoder, target, "22003",
                          "the number has more digits than a float of this size holds", error);
}

enum ods_status encode_real(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error)
{
    double real = 0;
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
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    encode_put32(out, 4);
    encode_put32(out, bits);
    return ODS_OK;
}
