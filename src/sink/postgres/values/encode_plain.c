/* The forms that nearly all values have, each written in one go. See encode_plain.h.
 *
 * Whatever is not quite like that (another form, a value that does not fit, a text with a NUL) is
 * left to the encoders of encode.c, which also say why they refuse one. The bytes are the same.
 */
#include "sink/postgres/values/encode_plain.h"

#include <endian.h>
#include <string.h>

#include "core/time.h"

#define VARLENA_MOST      0x3fffffff
#define MODIFIER_OVERHEAD 4 /* a modifier is a length, or precision and scale, plus this */
#define DAY_US            (INT64_C(86400) * 1000000)
#define EPOCH_US          (POSTGRES_EPOCH_DAYS * DAY_US)
/* Numbers nearer to 0 than these are never infinity, nor beyond what a column holds. */
#define MOST_DAYS         INT64_C(2440000)
#define MOST_US           (MOST_DAYS * DAY_US)
#define MOST_UNSCALED     UINT64_C(1000000000000000) /* 10^15 */
#define MOST_GROUPS       5 /* of four digits: 10^15 times 1000 has 18 */

static const uint64_t powers[] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  MOST_UNSCALED};
#define POWERS (int64_t) (sizeof powers / sizeof *powers)

/* Want of memory is noted in the buffer. */
static bool put2(struct buffer *out, int16_t number)
{
    encode_put32(out, sizeof number);
    encode_put16(out, (uint16_t) number);
    return true;
}

static bool put4(struct buffer *out, int32_t number)
{
    const uint32_t element[] = {htobe32(sizeof number), htobe32((uint32_t) number)};
    buffer_add(out, element, sizeof element);
    return true;
}

static bool put8(struct buffer *out, int64_t number)
{
    char *at = buffer_take(out, sizeof(uint32_t) + sizeof number);
    const uint32_t length = htobe32(sizeof number);
    const uint64_t bytes = htobe64((uint64_t) number);
    if (at) {
        memcpy(at, &length, sizeof length);
        memcpy(at + sizeof length, &bytes, sizeof bytes);
    }
    return true;
}

/* Without a schema a number for an integer is just that (infer.c). */
static bool put_integer(struct buffer *out, const struct pg_column *target,
                        const struct column *source, const struct value *value)
{
    int64_t integer = value->integer;
    if (value->kind != VALUE_INT || (source->type != SEM_UNKNOWN &&
                                     (source->type < SEM_INT8 || source->type > SEM_INT64)))
        return false;
    if (target->encoding == ENCODE_INT8)
        return put8(out, integer);
    if (target->encoding == ENCODE_INT4)
        return integer == (int32_t) integer && put4(out, (int32_t) integer);
    return integer == (int16_t) integer && put2(out, (int16_t) integer);
}

/* Is a text to be read as it stands? Without a schema it is, where the column takes texts or
 * moments (infer.c). */
static bool is_string(const struct column *source, const struct value *value)
{
    return value->kind == VALUE_TEXT &&
           (source->type == SEM_STRING || source->type == SEM_UNKNOWN);
}

/* A text of no more bytes than the column takes characters fits it. */
static bool put_text(struct buffer *out, const struct pg_column *target,
                     const struct column *source, const struct value *value)
{
    if (!is_string(source, value) || value->length > VARLENA_MOST ||
        (target->modifier >= 0 &&
         (int64_t) value->length > (int64_t) target->modifier - MODIFIER_OVERHEAD) ||
        memchr(value->bytes, '\0', value->length))
        return false;
    char *at = buffer_take(out, sizeof(uint32_t) + value->length);
    const uint32_t length = htobe32(value->length);
    if (at) {
        memcpy(at, &length, sizeof length);
        memcpy(at + sizeof length, value->bytes, value->length);
    }
    return true;
}

static bool put_date(struct buffer *out, const struct column *source, const struct value *value)
{
    return value->kind == VALUE_INT && source->type == SEM_DATE && value->integer < MOST_DAYS &&
           value->integer > -MOST_DAYS &&
           put4(out, (int32_t) (value->integer - POSTGRES_EPOCH_DAYS));
}

/* `us` since 1970. */
static bool put_moment(struct buffer *out, const struct pg_column *target, int64_t us)
{
    return us < MOST_US && us > -MOST_US &&
           (target->modifier < 0 || target->modifier >= 6 ||
            us % (int64_t) powers[6 - target->modifier] == 0) &&
           put8(out, us - EPOCH_US);
}

static bool put_timestamp(struct buffer *out, const struct pg_column *target,
                          const struct column *source, const struct value *value)
{
    int64_t us;
    int32_t ps;
    bool zoned;
    if (value->kind == VALUE_TEXT)
        return (source->type == SEM_ZONED_TIMESTAMP || is_string(source, value)) &&
               time_parse_timestamp(value->bytes, value->length, &us, &ps, &zoned) && !ps &&
               put_moment(out, target, us);
    if (value->kind != VALUE_INT)
        return false;
    us = value->integer;
    if (source->type == SEM_TIMESTAMP_MS)
        return us < MOST_US / 1000 && us > -MOST_US / 1000 && put_moment(out, target, us * 1000);
    return source->type == SEM_TIMESTAMP_US && put_moment(out, target, us);
}

/* The absolute value of a big-endian number in two's complement. */
static uint64_t magnitude_of(const struct value *value, bool *negative)
{
    uint64_t bits = (uint8_t) value->bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < value->length; i++)
        bits = bits << 8 | (uint8_t) value->bytes[i];
    *negative = (int64_t) bits < 0;
    return *negative ? 0 - bits : bits;
}

/* Digits in groups of four, the last one first; `fraction` of them stand behind the point. */
static bool put_groups(struct buffer *out, uint64_t magnitude, int fraction, bool negative,
                       uint16_t shown)
{
    uint16_t groups[MOST_GROUPS], words[4 + MOST_GROUPS];
    int count = 0, zeros = 0, length = 4;
    for (; magnitude; magnitude /= 10000)
        groups[count++] = (uint16_t) (magnitude % 10000);
    while (zeros < count && !groups[zeros])
        zeros++;
    words[0] = htobe16((uint16_t) (count - zeros));
    words[1] = htobe16((uint16_t) (count ? count - 1 - fraction : 0));
    words[2] = htobe16(negative ? 0x4000 : 0);
    words[3] = htobe16(shown);
    while (count > zeros)
        words[length++] = htobe16(groups[--count]);
    const uint32_t bytes = htobe32((uint32_t) length * 2);
    buffer_add(out, &bytes, sizeof bytes);
    buffer_add(out, words, (size_t) length * 2);
    return true;
}

/* Digits, and a point among them, as a decimal that comes as a text has them. */
static bool parse_decimal(const struct value *value, uint64_t *magnitude, int32_t *scale,
                          bool *negative)
{
    const char *at = value->bytes, *end = at + value->length, *point = NULL;
    *negative = at < end && *at == '-';
    at += *negative;
    if (end - at < 2 || end - at > 15) /* a point alone is none; 15 digits fit MOST_UNSCALED */
        return false;
    *magnitude = 0;
    for (; at < end; at++) {
        unsigned digit = (unsigned char) *at - '0';
        if (*at == '.' && !point)
            point = at;
        else if (digit <= 9)
            *magnitude = *magnitude * 10 + digit;
        else
            return false;
    }
    *scale = point ? (int32_t) (end - point - 1) : 0;
    *negative &= *magnitude != 0;
    return true;
}

static bool put_decimal(struct buffer *out, const struct pg_column *target,
                        const struct column *source, const struct value *value)
{
    int32_t scale = source->scale;
    uint64_t magnitude;
    bool negative;
    if (source->type == SEM_STRING && value->kind == VALUE_TEXT) {
        if (!parse_decimal(value, &magnitude, &scale, &negative))
            return false;
    } else if (source->type == SEM_DECIMAL && value->kind == VALUE_BYTES && value->length &&
               value->length <= 8) {
        magnitude = magnitude_of(value, &negative);
    } else {
        return false;
    }
    if (magnitude >= MOST_UNSCALED || scale < 0 || scale > 12)
        return false;
    uint16_t shown = (uint16_t) scale;
    if (target->modifier >= MODIFIER_OVERHEAD) {
        uint32_t packed = (uint32_t) target->modifier - MODIFIER_OVERHEAD;
        int64_t most = packed >> 16 & 0xffff, digits = ((packed & 0x7ff) ^ 1024) - INT64_C(1024);
        int64_t whole = most - digits + scale; /* digits that the unscaled number may have */
        if (digits < scale || whole < 0 || (whole < POWERS && magnitude >= powers[whole]))
            return false;
        shown = (uint16_t) digits;
    }
    int fraction = (scale + 3) / 4;
    return put_groups(out, magnitude * powers[fraction * 4 - scale], fraction, negative, shown);
}

bool encode_plain(struct buffer *out, const struct pg_column *target, const struct column *source,
                  const struct value *value)
{
    switch (target->encoding) {
    case ENCODE_INT2:
    case ENCODE_INT4:
    case ENCODE_INT8:
        return put_integer(out, target, source, value);
    case ENCODE_TEXT:
        return put_text(out, target, source, value);
    case ENCODE_DATE:
        return put_date(out, source, value);
    case ENCODE_TIMESTAMP:
    case ENCODE_TIMESTAMPTZ:
        return put_timestamp(out, target, source, value);
    case ENCODE_NUMERIC:
        return put_decimal(out, target, source, value);
    default:
        return false;
    }
}
