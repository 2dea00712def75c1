/* Numbers into PostgreSQL's numeric: base-10000 digits (numeric_recv in src/backend/utils/adt). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sink/postgres/values/encode.h"

#define SIGN_NEGATIVE       0x4000
#define SIGN_NAN            0xC000
#define SIGN_PLUS_INFINITY  0xD000
#define SIGN_MINUS_INFINITY 0xF000
#define MOST_DIGITS         131072 /* before the point; 16383 after it */
#define MOST_SCALE          16383
#define MODIFIER_OVERHEAD   4

/* A decimal number: 0.d1d2d3… times 10^point. No leading and no trailing zeros in digits. */
struct number {
    const char *digits;
    size_t count;
    int64_t point; /* digits before the decimal point; may be negative */
    int64_t scale; /* digits after the point as written */
    bool negative;
};

static bool is_digit(char at)
{
    return at >= '0' && at <= '9';
}

/* Read sign, digits, point, exponent. The digits go to encoder->digits. */
static bool parse(struct encoder *encoder, const char *text, size_t length, struct number *number)
{
    const char *at = text, *end = text + length;
    *number = (struct number){0};
    if (at < end && (*at == '-' || *at == '+'))
        number->negative = *at++ == '-';
    buffer_reset(&encoder->digits);
    char *to = buffer_take(&encoder->digits, length + 1);
    if (!to)
        return false;
    number->digits = to;
    bool seen_point = false, seen_digit = false, leading = true;
    for (; at < end; at++) {
        if (*at == '.' && !seen_point) {
            seen_point = true;
            continue;
        }
        if (!is_digit(*at))
            break;
        seen_digit = true;
        number->scale += seen_point;
        if (leading && *at == '0') {
            number->point -= seen_point; /* 0.00123 is 0.123 times 10^-2 */
            continue;
        }
        leading = false;
        *to++ = *at;
        number->point += !seen_point;
    }
    if (!seen_digit)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        int64_t exponent = 0;
        bool minus = false;
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            minus = *at++ == '-';
        if (at == end)
            return false;
        for (; at < end && is_digit(*at); at++)
            if (exponent < 1000000)
                exponent = exponent * 10 + (*at - '0');
        exponent = minus ? -exponent : exponent;
        number->point += exponent;
        number->scale = number->scale > exponent ? number->scale - exponent : 0;
    }
    if (at != end)
        return false;
    number->count = (size_t) (to - number->digits);
    while (number->count && number->digits[number->count - 1] == '0')
        number->count--;
    if (!number->count)
        number->point = 0, number->negative = false;
    return true;
}

/* The sign field for NaN and the infinities; 0: the text is none of them. */
static uint16_t special_sign(const char *text, size_t length)
{
    static const struct {
        const char *word;
        uint16_t sign;
    } words[] = {{"nan", SIGN_NAN},
                 {"infinity", SIGN_PLUS_INFINITY},
                 {"-infinity", SIGN_MINUS_INFINITY},
                 {"positive_infinity", SIGN_PLUS_INFINITY},
                 {"negative_infinity", SIGN_MINUS_INFINITY}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (length == strlen(words[i].word) && strncasecmp(text, words[i].word, length) == 0)
            return words[i].sign;
    return 0;
}

bool encode_is_number(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    if (special_sign(text, length))
        return true;
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    size_t digits = 0, points = 0;
    for (; at < end && (is_digit(*at) || *at == '.'); at++)
        *at == '.' ? points++ : digits++;
    if (!digits || points > 1)
        return false;
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end)
            return false;
        while (at < end && is_digit(*at))
            at++;
    }
    return at == end;
}

bool encode_parse_integer(struct encoder *encoder, const char *text, size_t length,
                          int64_t *integer)
{
    struct number number;
    if (!parse(encoder, text, length, &number) || number.point < (int64_t) number.count ||
        number.point > 19)
        return false;
    uint64_t magnitude = 0;
    for (int64_t i = 0; i < number.point; i++) {
        unsigned digit = i < (int64_t) number.count ? (unsigned) (number.digits[i] - '0') : 0;
        if (magnitude > (UINT64_MAX - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    if (magnitude > (uint64_t) INT64_MAX + number.negative)
        return false;
    *integer = number.negative ? (int64_t) (0 - magnitude) : (int64_t) magnitude;
    return true;
}

bool encode_float_shows(struct encoder *encoder, const char *text, size_t length, double real,
                        int bits)
{
    size_t most = bits == 32 ? 9 : 17;
    struct number number;
    char digits[17], shown[40];
    if (!parse(encoder, text, length, &number) || number.count > most)
        return false;
    if (!number.count)
        return real == 0;
    memcpy(digits, number.digits, number.count);
    size_t count = number.count;
    int64_t point = number.point;
    int written = snprintf(shown, sizeof shown, "%.*e", (int) count - 1, real);
    return parse(encoder, shown, (size_t) written, &number) && number.point == point &&
           number.count == count && memcmp(number.digits, digits, count) == 0;
}

static void put_header(struct buffer *out, uint16_t digits, int16_t weight, uint16_t sign,
                       uint16_t scale)
{
    encode_put32(out, 8 + digits * 2u);
    encode_put16(out, digits);
    encode_put16(out, (uint16_t) weight);
    encode_put16(out, sign);
    encode_put16(out, scale);
}

static void put_number(struct buffer *out, const struct number *number)
{
    uint16_t scale = (uint16_t) number->scale;
    if (!number->count) {
        put_header(out, 0, 0, 0, scale);
        return;
    }
    int64_t rest;
    /* The first group of four ends at a multiple of four digits before the point. */
    int64_t weight =
        (number->point - 1 >= 0 ? (number->point - 1) / 4 : -((-(number->point - 1) + 3) / 4));
    int64_t lead = (weight + 1) * 4 - number->point; /* zeros before the first digit */
    rest = (int64_t) number->count + lead;
    uint16_t groups = (uint16_t) ((rest + 3) / 4);
    put_header(out, groups, (int16_t) weight, number->negative ? SIGN_NEGATIVE : 0, scale);
    for (int64_t group = 0; group < groups; group++) {
        unsigned digits = 0;
        for (int64_t place = group * 4; place < group * 4 + 4; place++) {
            int64_t at = place - lead;
            bool inside = at >= 0 && at < (int64_t) number->count;
            digits = digits * 10 + (inside ? (unsigned) (number->digits[at] - '0') : 0);
        }
        encode_put16(out, (uint16_t) digits);
    }
}

/* numeric(p,s): a number that does not fit without rounding is refused; the scale becomes s. */
static enum ods_status fit(struct encoder *encoder, const struct pg_column *target,
                           struct number *number, struct error *error)
{
    int64_t fraction = (int64_t) number->count - number->point; /* significant digits after it */
    if (number->point > MOST_DIGITS || fraction > MOST_SCALE || number->scale > MOST_SCALE)
        return encode_refuse(target, "22003", "the number has more digits than numeric can hold",
                             error);
    if (target->modifier < MODIFIER_OVERHEAD)
        return ODS_OK;
    uint32_t packed = (uint32_t) target->modifier - MODIFIER_OVERHEAD;
    int64_t precision = packed >> 16 & 0xffff;
    int64_t scale = (int64_t) ((packed & 0x7ff) ^ 1024) - 1024; /* eleven bits, signed */
    char why[128];
    if (number->count && number->point > precision - scale) {
        snprintf(why, sizeof why,
                 "the number has %lld digits before the point, numeric(%lld,%lld) "
                 "takes %lld",
                 (long long) number->point, (long long) precision, (long long) scale,
                 (long long) (precision - scale));
        return encode_refuse(target, "22003", why, error);
    }
    if (number->count && fraction > scale) {
        snprintf(why, sizeof why,
                 "the number has %lld digits after the point, numeric(%lld,%lld) "
                 "would round it",
                 (long long) fraction, (long long) precision, (long long) scale);
        return encode_inexact(encoder, target, "22003", why, error);
    }
    number->scale = scale > 0 ? scale : 0;
    return ODS_OK;
}

/* Writes the digits of a decimal of up to eight bytes, the common case. */
static size_t format_decimal(char *to, const struct value *value, bool *negative)
{
    uint64_t bits = value->length && (value->bytes[0] & 0x80) ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < value->length; i++)
        bits = bits << 8 | (uint8_t) value->bytes[i];
    *negative = (int64_t) bits < 0;
    uint64_t magnitude = *negative ? 0 - bits : bits;
    char digits[20], *at = digits + sizeof digits;
    while (magnitude) {
        *--at = (char) ('0' + magnitude % 10);
        magnitude /= 10;
    }
    size_t count = (size_t) (digits + sizeof digits - at);
    memcpy(to, at, count);
    return count;
}

enum ods_status encode_numeric(struct encoder *encoder, struct buffer *out,
                               const struct pg_column *target, const struct column *source,
                               const struct value *value, struct error *error)
{
    struct number number = {0};
    char digits[32];
    enum ods_status status = encode_check_countable(target, source, value, error);
    if (status != ODS_OK)
        return status;
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL) {
        /* A moment is the number that the source sends: days, milliseconds … */
        int written = snprintf(digits, sizeof digits, "%lld", (long long) value->integer);
        if (!parse(encoder, digits, (size_t) written, &number))
            return error_out_of_memory(error);
    } else if (source->type == SEM_DECIMAL && value->kind == VALUE_BYTES && value->length <= 8 &&
               source->scale >= 0 && source->scale <= MOST_SCALE) {
        number.digits = digits;
        number.count = format_decimal(digits, value, &number.negative);
        number.scale = source->scale;
        number.point = (int64_t) number.count - source->scale;
        while (number.count && digits[number.count - 1] == '0')
            number.count--;
        if (!number.count)
            number.point = 0;
    } else {
        const char *text;
        size_t length;
        status = encode_as_text(encoder, source, value, &text, &length, error);
        if (status != ODS_OK)
            return status;
        uint16_t sign = special_sign(text, length);
        if (sign) {
            put_header(out, 0, 0, sign, 0);
            return ODS_OK;
        }
        if (!parse(encoder, text, length, &number))
            return encoder->digits.failed
                       ? error_out_of_memory(error)
                       : encode_unreadable(encoder, target, "22P02",
                                           "the value is not a decimal number", error);
    }
    status = fit(encoder, target, &number, error);
    if (status == ODS_OK)
        put_number(out, &number);
    return status;
}
