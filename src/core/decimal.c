/* Decimals, exact at any size: 128-bit arithmetic where it fits, schoolbook division beyond. */
#include "core/decimal.h"

#include <stdlib.h>
#include <string.h>

#define BILLION_SQUARED UINT64_C(1000000000000000000) /* 18 digits a limb */
#define LIMB_DIGITS     18
/* A number of more bytes certainly has more digits than numeric allows. */
#define BYTES_MAX ((DECIMAL_WHOLE_DIGITS_MAX + DECIMAL_SCALE_MAX) * 10 / 24)

/* Append sign and digits with the point moved `scale` places. */
static bool place_point(struct buffer *out, bool negative, const char *digits, size_t count,
                        int32_t scale)
{
    static const char zeros[] = "00000000000000000000000000000000";
    int64_t whole = (int64_t) count - scale;
    if (whole > DECIMAL_WHOLE_DIGITS_MAX || scale > DECIMAL_SCALE_MAX)
        return false;
    if (negative)
        buffer_add(out, "-", 1);
    if (scale <= 0) {
        buffer_add(out, digits, count);
        bool zero = count == 1 && digits[0] == '0';
        for (int32_t left = zero ? 0 : -scale; left > 0; left -= 32)
            buffer_add(out, zeros, left < 32 ? (size_t) left : 32);
        return true;
    }
    if (whole > 0) {
        buffer_add(out, digits, (size_t) whole);
        buffer_add(out, ".", 1);
        buffer_add(out, digits + whole, count - (size_t) whole);
        return true;
    }
    buffer_add(out, "0.", 2);
    for (int64_t left = -whole; left > 0; left -= 32)
        buffer_add(out, zeros, left < 32 ? (size_t) left : 32);
    buffer_add(out, digits, count);
    return true;
}

/* Decimal digits of `value`, written before `end`; where they start. */
static char *digits_before(char *end, uint64_t value)
{
    do
        *--end = (char) ('0' + value % 10);
    while (value /= 10);
    return end;
}

static bool small_from_bytes(struct buffer *out, const unsigned char *bytes, size_t length,
                             int32_t scale)
{
    unsigned __int128 bits = bytes[0] & 0x80 ? ~(unsigned __int128) 0 : 0;
    for (size_t i = 0; i < length; i++)
        bits = bits << 8 | bytes[i];
    bool negative = bytes[0] & 0x80;
    unsigned __int128 magnitude = negative ? 0 - bits : bits;
    char digits[3 * LIMB_DIGITS], *end = digits + sizeof digits, *first = end;
    while (magnitude >> 64) {
        char *stop = first - LIMB_DIGITS;
        first = digits_before(first, (uint64_t) (magnitude % BILLION_SQUARED));
        while (first > stop)
            *--first = '0';
        magnitude /= BILLION_SQUARED;
    }
    if (magnitude || first == end)
        first = digits_before(first, (uint64_t) magnitude);
    return place_point(out, negative, first, (size_t) (end - first), scale);
}

/* The magnitude of two's complement bytes as 32-bit limbs, the highest first. */
static void magnitude_limbs(const unsigned char *bytes, size_t length, uint32_t *limbs,
                            size_t count)
{
    bool negative = bytes[0] & 0x80;
    uint64_t carry = negative;
    for (size_t i = 0; i < count; i++) {
        uint32_t limb = 0;
        for (size_t j = 4; j-- > 0;) {
            size_t from_end = i * 4 + j;
            unsigned char fill = negative ? 0xff : 0;
            limb = limb << 8 | (from_end < length ? bytes[length - 1 - from_end] : fill);
        }
        uint64_t sum = (uint64_t) (negative ? ~limb : limb) + carry;
        limbs[count - 1 - i] = (uint32_t) sum;
        carry = sum >> 32;
    }
}

static bool big_from_bytes(struct buffer *out, const unsigned char *bytes, size_t length,
                           int32_t scale)
{
    size_t count = length / 4 + 1, room = length * 5 / 2 + 2 * LIMB_DIGITS, first_limb = 0;
    uint32_t *limbs = malloc(count * sizeof *limbs);
    char *digits = malloc(room);
    bool ok = false;
    if (!limbs || !digits) {
        out->failed = true;
        ok = true; /* the number is fine; buffer->failed tells that memory is out */
        goto out;
    }
    magnitude_limbs(bytes, length, limbs, count);
    char *end = digits + room, *first = end;
    for (;;) {
        while (first_limb < count && !limbs[first_limb])
            first_limb++;
        if (first_limb == count)
            break;
        uint64_t rest = 0; /* nine digits at a time, so that the division stays within 64 bits */
        for (size_t i = first_limb; i < count; i++) {
            uint64_t part = rest << 32 | limbs[i];
            limbs[i] = (uint32_t) (part / 1000000000);
            rest = part % 1000000000;
        }
        for (int i = 0; i < 9; i++, rest /= 10)
            *--first = (char) ('0' + rest % 10);
    }
    while (first < end - 1 && *first == '0')
        first++;
    if (first == end)
        *--first = '0';
    ok = place_point(out, bytes[0] & 0x80, first, (size_t) (end - first), scale);
out:
    free(limbs);
    free(digits);
    return ok;
}

bool decimal_from_bytes(struct buffer *out, const void *bytes, size_t length, int32_t scale)
{
    const unsigned char *at = bytes;
    if (!length || scale < -DECIMAL_WHOLE_DIGITS_MAX)
        return false;
    /* Leading bytes that only repeat the sign don't count. */
    while (length > 1 && ((at[0] == 0 && !(at[1] & 0x80)) || (at[0] == 0xff && at[1] & 0x80))) {
        at++;
        length--;
    }
    if (length <= 16)
        return small_from_bytes(out, at, length, scale);
    return length <= BYTES_MAX && big_from_bytes(out, at, length, scale);
}

static size_t run_of_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t) (at - start);
}

/* "E+12" up to the end; false when it is something else or far beyond what numeric holds. */
static bool read_exponent(const char *at, const char *end, int32_t *exponent)
{
    bool negative = false;
    *exponent = 0;
    if (at == end)
        return true;
    if ((*at | 0x20) != 'e')
        return false;
    if (++at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    size_t count = run_of_digits(at, end);
    if (!count || at + count != end)
        return false;
    for (; at < end; at++) {
        *exponent = *exponent * 10 + (*at - '0');
        if (*exponent > 2 * DECIMAL_WHOLE_DIGITS_MAX)
            return false;
    }
    if (negative)
        *exponent = -*exponent;
    return true;
}

bool decimal_from_text(struct buffer *out, const char *text, size_t length)
{
    const char *end = text + length;
    bool negative = length && *text == '-';
    const char *whole = text + (length && (*text == '-' || *text == '+'));
    size_t whole_count = run_of_digits(whole, end), fraction_count = 0;
    const char *at = whole + whole_count;
    if (at < end && *at == '.') {
        fraction_count = run_of_digits(at + 1, end);
        at += 1 + fraction_count;
        if (!fraction_count)
            return false;
    }
    int32_t exponent;
    if (!whole_count || !read_exponent(at, end, &exponent))
        return false;
    size_t count = whole_count + fraction_count;
    if (count > DECIMAL_WHOLE_DIGITS_MAX + DECIMAL_SCALE_MAX)
        return false;
    char *digits = malloc(count);
    if (!digits) {
        out->failed = true;
        return true;
    }
    memcpy(digits, whole, whole_count);
    if (fraction_count)
        memcpy(digits + whole_count, whole + whole_count + 1, fraction_count);
    int32_t scale = (int32_t) fraction_count - exponent;
    size_t skip = 0; /* drops leading zeros, but keeps one before the point */
    while (skip + 1 < count && digits[skip] == '0' &&
           (int64_t) (count - skip) > (scale > 0 ? scale + 1 : 1))
        skip++;
    bool ok = place_point(out, negative, digits + skip, count - skip, scale);
    free(digits);
    return ok;
}

/* --- to bytes ----------------------------------------------------------------------------- */

/* limbs times 10^9 plus what is added; the lowest comes first. */
static void shift_in(uint32_t *limbs, size_t *count, uint32_t factor, uint32_t added)
{
    uint64_t carry = added;
    for (size_t i = 0; i < *count; i++) {
        carry += (uint64_t) limbs[i] * factor;
        limbs[i] = (uint32_t) carry;
        carry >>= 32;
    }
    if (carry)
        limbs[(*count)++] = (uint32_t) carry;
}

static size_t limbs_of(const char *digits, size_t count, uint32_t *limbs)
{
    size_t used = 0;
    for (size_t at = 0; at < count;) {
        uint32_t factor = 1, part = 0;
        for (; at < count && factor < 1000000000; at++, factor *= 10)
            part = part * 10 + (uint32_t) (digits[at] - '0');
        shift_in(limbs, &used, factor, part);
    }
    return used;
}

/* Two's complement, without bytes that only repeat the sign. */
static void put_limbs(struct buffer *out, const uint32_t *limbs, size_t count, bool negative)
{
    size_t length = 4 * count + 1, skip = 0;
    unsigned char *at = (unsigned char *) buffer_take(out, length);
    unsigned carry = negative;
    if (!at)
        return;
    for (size_t i = 0; i < length; i++) {
        unsigned byte = i / 4 < count ? limbs[i / 4] >> (8 * (i % 4)) & 0xff : 0;
        byte = (negative ? byte ^ 0xff : byte) + carry;
        carry = byte >> 8;
        at[length - 1 - i] = (unsigned char) byte;
    }
    while (skip + 1 < length && ((at[skip] == 0 && !(at[skip + 1] & 0x80)) ||
                                 (at[skip] == 0xff && at[skip + 1] & 0x80)))
        skip++;
    memmove(at, at + skip, length - skip);
    out->length -= skip;
}

static bool put_digits(struct buffer *out, const char *digits, size_t count, bool negative)
{
    uint32_t *limbs = malloc((count / 9 + 2) * sizeof *limbs);
    if (limbs)
        put_limbs(out, limbs, limbs_of(digits, count, limbs), negative);
    else
        out->failed = true;
    free(limbs);
    return true;
}

bool decimal_to_bytes(struct buffer *out, const char *text, size_t length, int32_t scale)
{
    struct buffer plain;
    bool good = false;
    buffer_init(&plain);
    if (!decimal_from_text(&plain, text, length) || plain.failed || scale < -DECIMAL_SCALE_MAX ||
        scale > DECIMAL_SCALE_MAX) {
        out->failed |= plain.failed;
        good = plain.failed;
        goto out;
    }
    bool negative = *plain.bytes == '-';
    char *digits = plain.bytes + negative, *point = memchr(digits, '.', plain.length - negative);
    size_t count = plain.length - negative;
    size_t behind = point ? count - (size_t) (point - digits) - 1 : 0;
    if (point) {
        memmove(point, point + 1, behind);
        count--;
    }
    int64_t more = (int64_t) scale - (int64_t) behind; /* digits that are to be added */
    for (; more < 0 && count && digits[count - 1] == '0'; more++)
        count--;
    if (more < 0 && count)
        goto out;
    if (more > 0) {
        plain.length = negative + count;
        char *zeros = buffer_take(&plain, (size_t) more);
        if (zeros)
            memset(zeros, '0', (size_t) more);
        digits = plain.bytes + negative;
        count += zeros ? (size_t) more : 0;
        out->failed |= !zeros;
    }
    good = put_digits(out, digits, count, negative);
out:
    buffer_done(&plain);
    return good;
}

bool decimal_within(struct buffer *scratch, const void *bytes, size_t length, int32_t most)
{
    size_t start = scratch->length;
    /* 10^n has more than 3.32 n bits. */
    if ((int64_t) length * 8 - 1 <= (int64_t) most * 332 / 100)
        return true;
    bool good = decimal_from_bytes(scratch, bytes, length, 0);
    if (good && !scratch->failed)
        good = (int64_t) (scratch->length - start) - (scratch->bytes[start] == '-') <= most;
    scratch->length = start;
    return good;
}
