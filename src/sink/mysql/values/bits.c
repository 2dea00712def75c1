/* Bits, which are numbers to MySQL, and years. */
#include <stdio.h>
#include <string.h>

#include "sink/mysql/values/numbers.h"

/* Big-endian, in as many bytes as the column has. */
static enum ods_status put_bits(struct mysql_encoder *encoder, uint64_t bits)
{
    uint64_t width = encoder->target->length ? encoder->target->length : 1;
    char bytes[8];
    size_t count = (size_t) (width + 7) / 8;
    if (count > sizeof bytes)
        count = sizeof bytes;
    if (width < 64 && bits >> width)
        return mysql_refuse(encoder, MYSQL_TOO_LONG, "the value has more bits than %s",
                            encoder->target->column_type);
    for (size_t i = 0; i < count; i++)
        bytes[count - 1 - i] = (char) (bits >> 8 * i & 0xff);
    return mysql_put(encoder, MYSQL_BYTES, bytes, count, true);
}

/* "0101": as many digits as the column has bits, or none. */
static bool read_binary_digits(const struct value *value, uint64_t width, uint64_t *bits)
{
    *bits = 0;
    if (value->kind != VALUE_TEXT || value->length != width || width > 64)
        return false;
    for (uint32_t i = 0; i < value->length; i++) {
        if (value->bytes[i] != '0' && value->bytes[i] != '1')
            return false;
        *bits = *bits << 1 | (uint64_t) (value->bytes[i] - '0');
    }
    return true;
}

enum ods_status mysql_encode_bits(struct mysql_encoder *encoder)
{
    const struct value *value = encoder->value;
    uint64_t bits;
    if ((value->kind == VALUE_INT || value->kind == VALUE_BOOL) && value->integer >= 0)
        return put_bits(encoder, (uint64_t) value->integer);
    if (encoder->source->type == SEM_BITS && value->kind == VALUE_BYTES) {
        if (mysql_bits_read(value, &bits))
            return put_bits(encoder, bits);
        return mysql_refuse(encoder, MYSQL_TOO_LONG, "the value has more bits than %s",
                            encoder->target->column_type);
    }
    if (value->kind == VALUE_NUMBER) {
        char digits[24];
        struct mysql_number number;
        struct mysql_range range = {0, UINT64_MAX};
        if (value->length < sizeof digits &&
            mysql_number_parse(value->bytes, value->length, digits, &number) &&
            number.point >= (int64_t) number.count && !number.negative &&
            mysql_number_within(&number, &range)) {
            bits = 0;
            for (int64_t i = 0; i < number.point; i++)
                bits = bits * 10 + (i < (int64_t) number.count
                                        ? (uint64_t) (number.digits[i] - '0')
                                        : 0);
            return put_bits(encoder, bits);
        }
    }
    if (read_binary_digits(value, encoder->target->length, &bits))
        return put_bits(encoder, bits);
    return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                        "the value is neither bits nor a whole number of at most 64 bits");
}

/* --- years ---------------------------------------------------------------------------------- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_year(const struct column *source, const struct value *value)
{
    switch (source->type) {
    case SEM_UNKNOWN:
    case SEM_INT8:
    case SEM_INT16:
    case SEM_INT32:
    case SEM_INT64:
    case SEM_YEAR:
        return value->kind == VALUE_INT;
    default:
        return false;
    }
}

/* Always four digits: the server takes the text '0' for 2000. */
enum ods_status mysql_encode_year(struct mysql_encoder *encoder)
{
    const struct value *value = encoder->value;
    int64_t year = -1;
    char digits[8];
    if (is_year(encoder->source, value))
        year = value->integer;
    else if (value->kind == VALUE_TEXT && value->length == 4 && is_digit(value->bytes[0]) &&
             is_digit(value->bytes[1]) && is_digit(value->bytes[2]) && is_digit(value->bytes[3]))
        year = (value->bytes[0] - '0') * 1000 + (value->bytes[1] - '0') * 100 +
               (value->bytes[2] - '0') * 10 + (value->bytes[3] - '0');
    if (year != 0 && (year < 1901 || year > 2155))
        return mysql_refuse(encoder, MYSQL_OUT_OF_RANGE,
                            "the value is no year from 1901 to 2155, nor 0");
    snprintf(digits, sizeof digits, "%04d", (int) year);
    return mysql_put(encoder, MYSQL_TEXT, digits, 4, true);
}
