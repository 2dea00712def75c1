/* Values as text. One function for each group of semantic types, chosen by the value's kind and the
 * column's type. No state but the buffer; any thread. */
#include "core/text.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"
#include "core/text_nested.h"
#include "core/time.h"

/* A longer length is not a declared one (varbit without a length), so values are not padded to it.
 */
#define BITS_PADDED_MAX 65536

static enum ods_status reject(struct error *error, const struct column *column, const char *what)
{
    return error_set(error, ODS_REJECT, "column %.63s: %s (its type is %s)", column->name, what,
                     semantic_name(column->type));
}

static void put_integer(struct buffer *out, int64_t integer)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t magnitude = integer < 0 ? 0 - (uint64_t) integer : (uint64_t) integer;
    do
        *--at = (char) ('0' + magnitude % 10);
    while (magnitude /= 10);
    if (integer < 0)
        *--at = '-';
    buffer_add(out, at, (size_t) (digits + sizeof digits - at));
}

/* --- integers --- */

static enum ods_status put_infinite(struct buffer *out, int sign)
{
    buffer_puts(out, sign < 0 ? "-infinity" : "infinity");
    return ODS_OK;
}

static enum ods_status text_date(struct buffer *out, const struct column *column, int64_t days,
                                 struct error *error)
{
    int infinite = time_date_infinite(days);
    if (infinite)
        return put_infinite(out, infinite);
    if (days < TIME_DAYS_MIN || days > TIME_DAYS_MAX)
        return reject(error, column, "a date beyond PostgreSQL's");
    time_format_date(out, days);
    return ODS_OK;
}

static enum ods_status text_timestamp(struct buffer *out, const struct column *column,
                                      int64_t number, struct error *error)
{
    int infinite = column->type == SEM_TIMESTAMP_US   ? time_us_infinite(number)
                   : column->type == SEM_TIMESTAMP_MS ? time_ms_infinite(number)
                                                      : time_ns_infinite(number);
    if (infinite)
        return put_infinite(out, infinite);
    int64_t us = number, ns = 0;
    if (column->type == SEM_TIMESTAMP_NS)
        us = time_floor_div(number, 1000, &ns);
    else if (column->type == SEM_TIMESTAMP_MS && __builtin_mul_overflow(number, INT64_C(1000), &us))
        return reject(error, column, "a timestamp beyond PostgreSQL's");
    if (us < TIME_US_MIN)
        return reject(error, column, "a timestamp beyond PostgreSQL's");
    time_format_fine_timestamp(out, us, (int32_t) ns * 1000, false);
    return ODS_OK;
}

static enum ods_status text_time_ms(struct buffer *out, const struct column *column, int64_t ms,
                                    struct error *error)
{
    int64_t us;
    if (__builtin_mul_overflow(ms, INT64_C(1000), &us))
        return reject(error, column, "a time out of range");
    time_format_time(out, us);
    return ODS_OK;
}

/* MySQL's bigint unsigned arrives as the int64 with the same bits; only the source's type name
 * tells.
 */
static bool is_unsigned_bigint(const struct column *column)
{
    return column->type == SEM_INT64 && column->source_type &&
           strcasestr(column->source_type, "bigint unsigned");
}

static enum ods_status text_integer(struct buffer *out, const struct column *column,
                                    int64_t integer, struct error *error)
{
    switch (column->type) {
    case SEM_DATE:
        return text_date(out, column, integer, error);
    case SEM_TIMESTAMP_MS:
    case SEM_TIMESTAMP_US:
    case SEM_TIMESTAMP_NS:
        return text_timestamp(out, column, integer, error);
    case SEM_TIME_MS:
        return text_time_ms(out, column, integer, error);
    case SEM_TIME_US:
    case SEM_DURATION_US:
        time_format_time(out, integer);
        return ODS_OK;
    case SEM_TIME_NS:
    case SEM_DURATION_NS:
        time_format_fine_time(out, integer / 1000, (int32_t) (integer % 1000) * 1000);
        return ODS_OK;
    default:
        if (integer < 0 && is_unsigned_bigint(column))
            buffer_printf(out, "%llu", (unsigned long long) integer);
        else
            put_integer(out, integer);
        return ODS_OK;
    }
}

/* --- floats --- */

/* Writes the digits and exponent of "d.ddde±xx" in PostgreSQL's layout. */
static void place_digits(struct buffer *out, const char *digits, int count, int exponent,
                         int widest)
{
    if (exponent < -4 || exponent >= widest) {
        buffer_add(out, digits, 1);
        if (count > 1) {
            buffer_add(out, ".", 1);
            buffer_add(out, digits + 1, (size_t) count - 1);
        }
        buffer_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        buffer_add(out, "0.0000", (size_t) (1 - exponent));
        buffer_add(out, digits, (size_t) count);
        return;
    }
    for (int i = 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1)
            buffer_add(out, ".", 1);
        buffer_add(out, i < count ? &digits[i] : "0", 1);
    }
}

/* Is the text ("d.dde±xx") exactly half way between the number and its neighbour? */
static bool is_half_way(const char *text, double number, int bits)
{
    char exact[64];
    double way = strtold(text, NULL) > number ? INFINITY : -INFINITY;
    long double next =
        bits == 32 ? nextafterf((float) number, (float) way) : nextafter(number, way);
    size_t digits = strcspn(text, "e");
    /* it needs one more bit, which fits */
    snprintf(exact, sizeof exact, "%.40Le", (number + next) / 2);
    const char *exponent = strchr(exact, 'e'), *rest = exact + digits;
    return exponent && exponent >= rest && memcmp(exact, text, digits) == 0 &&
           rest + strspn(rest, ".0") == exponent && strcmp(exponent, text + digits) == 0;
}

/* Does the text read back as the number? A text exactly half way between two numbers does, by
 * convention, but there PostgreSQL writes one more digit. */
static bool reads_back(const char *text, double number, int bits)
{
    bool same = bits == 32 ? strtof(text, NULL) == (float) number : strtod(text, NULL) == number;
    return same && !is_half_way(text, number, bits);
}

static bool put_float_word(struct buffer *out, const char *text, size_t length)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) != length || memcmp(words[i], text, length) != 0)
            continue;
        buffer_add(out, text, length);
        return true;
    }
    return false;
}

bool text_float(struct buffer *out, const char *text, size_t length, int bits)
{
    char copy[400], shortest[40], digits[24], *end;
    if (put_float_word(out, text, length))
        return true;
    if (!length || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    double number = bits == 32 ? (double) strtof(copy, &end) : strtod(copy, &end);
    /* strtod() also accepts words, hexadecimal and white space, which are refused here. */
    if (end != copy + length || strspn(copy, "+-.0123456789eE") != length || !isfinite(number))
        return false;
    if (number == 0 && strcspn(copy, "123456789") < strcspn(copy, "eE"))
        return false; /* underflow, which PostgreSQL refuses too */
    /* This many digits always survive, except in subnormal numbers, which have fewer. */
    bool subnormal = fabs(number) < (bits == 32 ? (double) FLT_MIN : DBL_MIN);
    int precision = subnormal ? 1 : bits == 32 ? 6 : 15, most = bits == 32 ? 9 : 17;
    do
        snprintf(shortest, sizeof shortest, "%.*e", precision - 1, number);
    while (!reads_back(shortest, number, bits) && ++precision <= most);
    char *at = shortest;
    if (*at == '-') {
        buffer_add(out, "-", 1);
        at++;
    }
    int count = 0;
    for (; *at && *at != 'e'; at++)
        if (*at != '.')
            digits[count++] = *at;
    int exponent = (int) strtol(at + 1, NULL, 10);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    place_digits(out, digits, count, exponent, bits == 32 ? 6 : 15);
    return true;
}

bool text_real(struct buffer *out, double real, int bits)
{
    char text[40];
    int length = isnan(real)   ? snprintf(text, sizeof text, "NaN")
                 : isinf(real) ? snprintf(text, sizeof text, real < 0 ? "-Infinity" : "Infinity")
                               : snprintf(text, sizeof text, "%.17g", real);
    return text_float(out, text, (size_t) length, bits);
}

static int float_bits(const struct column *column)
{
    return column->type == SEM_FLOAT32 ? 32 : 64;
}

/* A duration that comes as a double: it must be a whole number of units. */
static enum ods_status text_lapse(struct buffer *out, const struct column *column,
                                  const char *text, size_t length, struct error *error)
{
    struct buffer digits;
    char *end = NULL;
    buffer_init(&digits);
    errno = 0;
    bool good = decimal_from_text(&digits, text, length) && !digits.failed;
    const char *whole = buffer_text(&digits);
    int64_t number = good ? strtoll(whole, &end, 10) : 0;
    if (good && *end == '.' && end[1 + strspn(end + 1, "0")] == '\0')
        end += strlen(end);
    good = good && !errno && end > whole && !*end;
    bool failed = digits.failed;
    buffer_done(&digits);
    if (failed)
        return error_out_of_memory(error);
    return good ? text_integer(out, column, number, error)
                : reject(error, column, "no whole number of its unit"); }

static bool is_lapse(const struct column *column)
{
    return column->type == SEM_DURATION_US || column->type == SEM_DURATION_NS;
}

static enum ods_status text_number(struct buffer *out, const struct column *column,
                                   const char *text, size_t length, struct error *error)
{
    if (is_lapse(column))
        return text_lapse(out, column, text, length, error);
    if (column->type == SEM_FLOAT32 || column->type == SEM_FLOAT64) {
        if (!text_float(out, text, length, float_bits(column)))
            return reject(error, column, "a number out of range");
        return ODS_OK;
    }
    if (column->type == SEM_DECIMAL) {
        if (!decimal_from_text(out, text, length))
            return reject(error, column, "a number beyond PostgreSQL's numeric");
        return ODS_OK;
    }
    buffer_add(out, text, length);
    return ODS_OK;
}

/* --- bytes --- */

void text_hex(struct buffer *out, const void *bytes, size_t length, const char *prefix,
              bool uppercase)
{
    const char *digits = uppercase ? "0123456789ABCDEF" : "0123456789abcdef";
    const unsigned char *at = bytes;
    buffer_puts(out, prefix);
    char *to = buffer_take(out, 2 * length);
    for (size_t i = 0; to && i < length; i++) {
        *to++ = digits[at[i] >> 4];
        *to++ = digits[at[i] & 15];
    }
}

/* Writes little-endian bytes as 0s and 1s, the highest bit first. */
static enum ods_status text_bits(struct buffer *out, const struct column *column,
                                 const unsigned char *bytes, size_t length, struct error *error)
{
    size_t count = column->length >= 0 && column->length <= BITS_PADDED_MAX
                       ? (size_t) column->length
                       : length * 8;
    for (size_t bit = count; bit < length * 8; bit++)
        if (bytes[bit / 8] >> (bit % 8) & 1)
            return reject(error, column, "more bits than the column's length");
    char *to = buffer_take(out, count);
    for (size_t bit = count; to && bit-- > 0;)
        *to++ = bit / 8 < length && bytes[bit / 8] >> (bit % 8) & 1 ? '1' : '0';
    return ODS_OK;
}

static enum ods_status text_bytes(struct buffer *out, const struct column *column,
                                  const struct value *value, struct error *error)
{
    switch (column->type) {
    case SEM_DECIMAL:
        if (!decimal_from_bytes(out, value->bytes, value->length,
                                column->scale == INT32_MIN ? 0 : column->scale))
            return reject(error, column, "empty, or more digits than PostgreSQL's numeric has");
        return ODS_OK;
    case SEM_BITS:
        return text_bits(out, column, (const unsigned char *) value->bytes, value->length, error);
    default:
        text_hex(out, value->bytes, value->length, "\\x", false);
        return ODS_OK;
    }
}

/* --- text --- */

static bool is_infinite(const char *text, size_t length)
{
    return (length == 8 && memcmp(text, "infinity", 8) == 0) ||
           (length == 9 && memcmp(text, "-infinity", 9) == 0);
}

static enum ods_status text_zoned_timestamp(struct buffer *out, const struct column *column,
                                            const char *text, size_t length, struct error *error)
{
    int64_t us;
    int32_t ps;
    bool zoned;
    if (is_infinite(text, length)) {
        buffer_add(out, text, length);
        return ODS_OK;
    }
    if (!time_parse_timestamp(text, length, &us, &ps, &zoned))
        return reject(error, column, "not an ISO 8601 timestamp");
    if (us < TIME_US_MIN)
        return reject(error, column, "a timestamp beyond PostgreSQL's");
    time_format_fine_timestamp(out, us, ps, true);
    return ODS_OK;
}

/* Keeps the zone, but as PostgreSQL writes it: "Z" becomes +00, and ":00" of an offset is dropped.
 */
static enum ods_status text_zoned_time(struct buffer *out, const struct column *column,
                                       const char *text, size_t length, struct error *error)
{
    int64_t us;
    int32_t ps;
    size_t taken = time_parse_time(text, length, &us, &ps), left = length - taken;
    const char *zone = text + taken;
    if (!taken)
        return reject(error, column, "not an ISO 8601 time");
    time_format_fine_time(out, us, ps);
    if (left == 0 || (left == 1 && *zone == 'Z')) {
        buffer_puts(out, left ? "+00" : "");
        return ODS_OK;
    }
    bool offset = (*zone == '+' || *zone == '-') && (left == 3 || left == 6 || left == 9);
    for (size_t i = 1; offset && i < left; i++)
        offset = i % 3 == 0 ? zone[i] == ':' : zone[i] >= '0' && zone[i] <= '9';
    if (!offset)
        return reject(error, column, "not an ISO 8601 time");
    while (left > 3 && memcmp(zone + left - 3, ":00", 3) == 0)
        left -= 3;
    bool zero = left == 3 && memcmp(zone + 1, "00", 2) == 0; /* -00 is +00 */
    buffer_add(out, zero ? "+00" : zone, left);
    return ODS_OK;
}

/* Drops the zone that follows an ISO date, time or timestamp, without shifting anything. */
static size_t without_zone(const char *text, size_t length)
{
    if (length && (text[length - 1] == 'Z' || text[length - 1] == 'z'))
        return length - 1;
    for (size_t hours = 3; hours <= 6; hours += 3)
        if (length > hours + 9 && text[length - 3] == (hours == 6 ? ':' : text[length - hours]) &&
            (text[length - hours] == '+' || text[length - hours] == '-'))
            return length - hours;
    return length;
}

static enum ods_status text_iso(struct buffer *out, const struct column *column, const char *text,
                                size_t length, struct error *error)
{
    int64_t us, rest;
    int32_t ps;
    bool zoned;
    if (is_infinite(text, length)) {
        buffer_add(out, text, length);
        return ODS_OK;
    }
    if (column->type == SEM_ISO_TIME) {
        size_t taken = time_parse_time(text, length, &us, &ps);
        if (!taken || !time_is_zone(text + taken, length - taken))
            return reject(error, column, "not an ISO 8601 time");
        time_format_fine_time(out, us, ps);
        return ODS_OK;
    }
    /* The hyphens of a date look like an offset, so an offset is only looked for after a time. */
    bool has_time = memchr(text, 'T', length) || column->type == SEM_ISO_TIMESTAMP;
    size_t local = has_time || (length && text[length - 1] == 'Z') ? without_zone(text, length)
                   : length > 6 && text[length - 6] == '+'         ? length - 6
                                                                   : length;
    if (!time_parse_timestamp(text, local, &us, &ps, &zoned) || us < TIME_US_MIN)
        return reject(error, column, "not an ISO 8601 date, or beyond PostgreSQL's");
    if (column->type == SEM_ISO_DATE)
        time_format_date(out, time_floor_div(us, INT64_C(86400000000), &rest));
    else
        time_format_fine_timestamp(out, us, ps, false);
    return ODS_OK;
}

static enum ods_status text_text(struct buffer *out, const struct column *column, const char *text,
                                 size_t length, struct error *error)
{
    int64_t months, days, us;
    int32_t ps;
    switch (column->type) {
    case SEM_ZONED_TIMESTAMP:
        return text_zoned_timestamp(out, column, text, length, error);
    case SEM_ZONED_TIME:
        return text_zoned_time(out, column, text, length, error);
    case SEM_ISO_DATE:
    case SEM_ISO_TIME:
    case SEM_ISO_TIMESTAMP:
        return text_iso(out, column, text, length, error);
    case SEM_INTERVAL:
        if (is_infinite(text, length)) { /* PostgreSQL has infinite intervals from version 17 on */
            buffer_add(out, text, length);
            return ODS_OK;
        }
        if (!time_parse_interval(text, length, &months, &days, &us, &ps))
            return reject(error, column, "not an ISO 8601 duration");
        time_format_interval(out, months, days, us, ps);
        return ODS_OK;
    default:
        buffer_add(out, text, length);
        return ODS_OK;
    }
}

enum ods_status text_value(struct buffer *out, const struct column *column,
                           const struct value *value, struct error *error)
{
    switch ((enum value_kind) value->kind) {
    case VALUE_BOOL:
        buffer_puts(out, value->integer ? "true" : "false");
        return ODS_OK;
    case VALUE_INT:
        return text_integer(out, column, value->integer, error);
    case VALUE_DOUBLE:
        if (is_lapse(column) && fabs(value->real) < 9e15 && value->real == rint(value->real))
            return text_integer(out, column, (int64_t) value->real, error);
        if (is_lapse(column))
            return reject(error, column, "no whole number of its unit");
        if (!text_real(out, value->real, float_bits(column)))
            return reject(error, column, "a number out of range");
        return ODS_OK;
    case VALUE_NUMBER:
        return text_number(out, column, value->bytes, value->length, error);
    case VALUE_TEXT:
        return text_text(out, column, value->bytes, value->length, error);
    case VALUE_BYTES:
        return text_bytes(out, column, value, error);
    case VALUE_JSON:
        return text_nested(out, column, value, error);
    case VALUE_ABSENT:
    case VALUE_NULL:
        break;
    }
    return reject(error, column, "no value");
}
