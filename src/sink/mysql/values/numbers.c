/* Integers and decimals; what numbers of every kind are read by. */
#include "sink/mysql/values/numbers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/text_nested.h"
#include "core/time.h"

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Reads an exponent up to the end of the text. */
static bool parse_exponent(const char *at, const char *end, int64_t *exponent)
{
    bool minus = false;
    *exponent = 0;
    if (at == end)
        return true;
    if ((*at++ | 0x20) != 'e' || at == end)
        return false;
    if (*at == '-' || *at == '+')
        minus = *at++ == '-';
    if (at == end)
        return false;
    for (; at < end && is_digit(*at); at++)
        if (*exponent < 1000000)
            *exponent = *exponent * 10 + (*at - '0');
    *exponent = minus ? -*exponent : *exponent;
    return at == end;
}

bool mysql_number_parse(const char *text, size_t length, char *digits, struct mysql_number *number)
{
    const char *at = text, *end = text + length;
    bool seen_point = false, seen_digit = false;
    int64_t exponent;
    *number = (struct mysql_number){.digits = digits};
    if (at < end && (*at == '-' || *at == '+'))
        number->negative = *at++ == '-';
    for (; at < end && (is_digit(*at) || (*at == '.' && !seen_point)); at++) {
        if (*at == '.') {
            seen_point = true;
            continue;
        }
        seen_digit = true;
        if (!number->count && *at == '0') {
            number->point -= seen_point; /* 0.00123 is 0.123 times 10^-2 */
            continue;
        }
        digits[number->count++] = *at;
        number->point += !seen_point;
    }
    if (!seen_digit || !parse_exponent(at, end, &exponent))
        return false;
    number->point += exponent;
    while (number->count && digits[number->count - 1] == '0')
        number->count--;
    if (!number->count)
        number->point = 0, number->negative = false;
    return true;
}

bool mysql_is_number(const char *text, size_t length)
{
    char few[64], *digits = length <= sizeof few ? few : malloc(length);
    struct mysql_number number;
    bool good = digits && mysql_number_parse(text, length, digits, &number);
    if (digits != few)
        free(digits);
    return good;
}

/* Rounds half away from zero to so many digits after the point, as MySQL rounds decimals. */
static void round_to(struct mysql_number *number, int64_t scale)
{
    int64_t keep = number->point + scale; /* digits that stay */
    if (keep < 0) {
        number->count = 0;
    } else if (keep < (int64_t) number->count) {
        bool up = number->digits[keep] >= '5';
        number->count = (size_t) keep;
        while (up && number->count && number->digits[number->count - 1] == '9')
            number->count--;
        if (up && number->count) {
            number->digits[number->count - 1]++;
        } else if (up) { /* 9.9 becomes 10 */
            number->digits[0] = '1';
            number->count = 1;
            number->point++;
        }
        while (number->count && number->digits[number->count - 1] == '0')
            number->count--;
    }
    if (!number->count)
        number->point = 0, number->negative = false;
}

/* --- where the digits come from ------------------------------------------------------------- */

/* The number by which a source writes an infinite moment is none of days or seconds. */
static bool is_infinite_moment(const struct column *source, int64_t number)
{
    switch (source->type) {
    case SEM_DATE:
        return time_date_infinite(number);
    case SEM_TIMESTAMP_MS:
        return time_ms_infinite(number);
    case SEM_TIMESTAMP_US:
        return time_us_infinite(number);
    case SEM_TIMESTAMP_NS:
        return time_ns_infinite(number);
    default:
        return false;
    }
}

bool mysql_bits_read(const struct value *value, uint64_t *bits)
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

/* A decimal's bytes are read as a number; those of other types are none. */
static bool has_number(const struct mysql_encoder *encoder)
{
    enum semantic type = encoder->source->type;
    switch ((enum value_kind) encoder->value->kind) {
    case VALUE_BYTES:
        return type == SEM_DECIMAL;
    case VALUE_JSON:
        return type == SEM_VARIABLE_DECIMAL;
    default:
        return true;
    }
}

/* The words that a tinyint(1) takes for a boolean. */
static bool word_of(const struct mysql_column *target, const char *text, size_t length,
                    const char **digit)
{
    static const char *const words[][2] = {{"false", "0"}, {"true", "1"}, {"f", "0"}, {"t", "1"}};
    if (target->type != MYSQL_IS_TINYINT || strncmp(target->column_type, "tinyint(1)", 10) != 0)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (length == strlen(words[i][0]) && strncasecmp(text, words[i][0], length) == 0) {
            *digit = words[i][1];
            return true;
        }
    return false;
}

static void trim(const char **text, size_t *length)
{
    for (; *length && isspace((unsigned char) **text); --*length)
        ++*text;
    while (*length && isspace((unsigned char) (*text)[*length - 1]))
        --*length;
}

enum ods_status mysql_number_text(struct mysql_encoder *encoder, struct buffer *room,
                                   const char **text, size_t *length)
{
    const struct value *value = encoder->value;
    enum ods_status status = ODS_OK;
    uint64_t bits;
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL) {
        if (value->kind == VALUE_INT && is_infinite_moment(encoder->source, value->integer))
            return mysql_refuse(encoder, MYSQL_OUT_OF_RANGE,
                                "infinity is no number of days or seconds");
        buffer_printf(room, "%lld", (long long) value->integer);
    } else if (value->kind == VALUE_NUMBER) {
        *text = value->bytes;
        *length = value->length;
        return ODS_OK;
    } else if (value->kind == VALUE_DOUBLE) {
        text_real(room, value->real, encoder->source->type == SEM_FLOAT32 ? 32 : 64);
    } else if (encoder->source->type == SEM_BITS && value->kind == VALUE_BYTES) {
        if (!mysql_bits_read(value, &bits))
            return mysql_refuse(encoder, MYSQL_OUT_OF_RANGE,
                                "the bit string does not fit a number of 64 bits");
        buffer_printf(room, "%llu", (unsigned long long) bits);
    } else if (!has_number(encoder)) {
        return mysql_refuse(encoder, MYSQL_BAD_VALUE, "the value is not a number");
    } else {
        status = mysql_as_text(encoder, room, text, length);
        if (status == ODS_OK)
            trim(text, length);
        return status;
    }
    if (room->failed)
        return error_out_of_memory(encoder->error);
    *text = room->bytes;
    *length = room->length;
    return ODS_OK;
}

/* --- integers and decimals ------------------------------------------------------------------ */

static bool range_of(const struct mysql_column *target, struct mysql_range *range)
{
    int bits = target->type == MYSQL_IS_TINYINT     ? 8
               : target->type == MYSQL_IS_SMALLINT  ? 16
               : target->type == MYSQL_IS_MEDIUMINT ? 24
               : target->type == MYSQL_IS_INT       ? 32
               : target->type == MYSQL_IS_BIGINT    ? 64
                                                    : 0;
    if (!bits)
        return false;
    range->most = UINT64_MAX >> (64 - bits + !target->is_unsigned);
    range->least = target->is_unsigned ? 0 : -(int64_t) range->most - 1;
    return true;
}

enum ods_status mysql_out_of_range(struct mysql_encoder *encoder)
{
    return mysql_refuse(encoder, MYSQL_OUT_OF_RANGE, "the number is out of range for %s",
                        encoder->target->column_type);
}

static enum ods_status put_integer(struct mysql_encoder *encoder, int64_t integer,
                                   const struct mysql_range *range)
{
    char digits[24], *end = digits + sizeof digits, *at = end;
    if (integer < range->least || (integer > 0 && (uint64_t) integer > range->most))
        return mysql_out_of_range(encoder);
    uint64_t magnitude = integer < 0 ? 0 - (uint64_t) integer : (uint64_t) integer;
    do
        *--at = (char) ('0' + magnitude % 10);
    while (magnitude /= 10);
    if (integer < 0)
        *--at = '-';
    return mysql_put(encoder, MYSQL_NUMBER, at, (size_t) (end - at), true);
}

bool mysql_number_within(const struct mysql_number *number, const struct mysql_range *range)
{
    uint64_t magnitude = 0;
    if (number->point > 20)
        return false;
    for (int64_t i = 0; i < number->point; i++) {
        unsigned digit =
            i < (int64_t) number->count ? (unsigned) (number->digits[i] - '0') : 0;
        if (__builtin_mul_overflow(magnitude, 10u, &magnitude) ||
            __builtin_add_overflow(magnitude, digit, &magnitude))
            return false;
    }
    return number->negative ? magnitude <= (uint64_t) 0 - (uint64_t) range->least
                            : magnitude <= range->most;
}

/* Writes the number with exactly `scale` digits after the point. */
static enum ods_status put_number(struct mysql_encoder *encoder, const struct mysql_number *number,
                                  int64_t scale)
{
    int64_t whole = number->point > 0 ? number->point : 0;
    size_t length = (size_t) (number->negative + (whole ? whole : 1) + (scale ? scale + 1 : 0));
    char *bytes = arena_alloc(encoder->arena, length), *to = bytes;
    if (!bytes)
        return error_out_of_memory(encoder->error);
    if (number->negative)
        *to++ = '-';
    if (!whole)
        *to++ = '0';
    for (int64_t place = 0; place < whole + scale; place++) {
        int64_t at = place - whole + number->point;
        if (place == whole)
            *to++ = '.';
        *to++ = at >= 0 && at < (int64_t) number->count ? number->digits[at] : '0';
    }
    return mysql_put(encoder, MYSQL_NUMBER, bytes, length, false);
}

static enum ods_status fit(struct mysql_encoder *encoder, struct mysql_number *number,
                           const struct mysql_range *range)
{
    const struct mysql_column *target = encoder->target;
    int64_t scale = range ? 0 : target->scale;
    int64_t fraction = (int64_t) number->count - number->point;
    if (number->count && fraction > scale) {
        enum ods_status status =
            mysql_inexact(encoder, false, "the number has %lld digits after the point, which %s "
                                          "would round",
                          (long long) fraction, target->column_type);
        if (status != ODS_OK)
            return status;
        round_to(number, scale);
    }
    bool fits = range ? mysql_number_within(number, range)
                      : number->point <= (int64_t) target->precision - scale &&
                            !(number->negative && target->is_unsigned);
    return fits ? put_number(encoder, number, scale) : mysql_out_of_range(encoder);
}

static enum ods_status encode_digits(struct mysql_encoder *encoder, const char *text,
                                     size_t length, const struct mysql_range *range)
{
    char few[80], *digits = length <= sizeof few ? few : malloc(length);
    struct mysql_number number;
    const char *digit;
    if (!digits)
        return error_out_of_memory(encoder->error);
    enum ods_status status =
        mysql_number_parse(text, length, digits, &number) ? fit(encoder, &number, range)
        : encoder->value->kind == VALUE_TEXT && word_of(encoder->target, text, length, &digit)
            ? mysql_put(encoder, MYSQL_NUMBER, digit, 1, false)
            : mysql_refuse(encoder, MYSQL_BAD_VALUE, "the value is not a decimal number");
    if (digits != few)
        free(digits);
    return status;
}

/* A decimal of up to eight bytes, as most are: its digits without the way through a text. */
static enum ods_status encode_short_decimal(struct mysql_encoder *encoder,
                                            const struct mysql_range *range)
{
    const struct value *value = encoder->value;
    uint64_t bits = value->bytes[0] & 0x80 ? UINT64_MAX : 0;
    char digits[24], *end = digits + sizeof digits, *at = end;
    for (uint32_t i = 0; i < value->length; i++)
        bits = bits << 8 | (uint8_t) value->bytes[i];
    struct mysql_number number = {.negative = (int64_t) bits < 0};
    for (uint64_t magnitude = number.negative ? 0 - bits : bits; magnitude; magnitude /= 10)
        *--at = (char) ('0' + magnitude % 10);
    number.digits = at;
    number.count = (size_t) (end - at);
    number.point = number.count ? (int64_t) number.count - encoder->source->scale : 0;
    while (number.count && at[number.count - 1] == '0')
        number.count--;
    return fit(encoder, &number, range);
}

static bool is_short_decimal(const struct column *source, const struct value *value)
{
    return source->type == SEM_DECIMAL && value->kind == VALUE_BYTES && value->length &&
           value->length <= 8 && source->scale >= 0 && source->scale <= 1000;
}

enum ods_status mysql_encode_exact(struct mysql_encoder *encoder)
{
    struct mysql_range range;
    struct buffer room;
    const char *text;
    size_t length;
    const struct value *value = encoder->value;
    bool whole = range_of(encoder->target, &range);
    if (whole && (value->kind == VALUE_INT || value->kind == VALUE_BOOL) &&
        !is_infinite_moment(encoder->source, value->integer))
        return put_integer(encoder, value->integer, &range);
    if (is_short_decimal(encoder->source, value))
        return encode_short_decimal(encoder, whole ? &range : NULL);
    buffer_init(&room);
    enum ods_status status = mysql_number_text(encoder, &room, &text, &length);
    if (status == ODS_OK)
        status = encode_digits(encoder, text, length, whole ? &range : NULL);
    buffer_done(&room);
    return status;
}
