/* Integers, decimals and floats. A decimal is a 128-bit integer times 10^-scale. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"
#include "core/text_nested.h"
#include "sink/lake/encode.h"

typedef __int128 wide;

static enum ods_status out_of_range(struct lake_encoder *encoder)
{
    char type[LAKE_NAME_BYTES];
    lake_type_name(&encoder->array->type, type);
    return lake_refuse(encoder, "the number is out of range for %s", type);
}

/* Moments and bits are numbers of units that a column of numbers does not tell. */
static bool is_number(enum semantic type)
{
    switch (type) {
    case SEM_UNKNOWN:
    case SEM_BOOLEAN:
    case SEM_INT8:
    case SEM_INT16:
    case SEM_INT32:
    case SEM_INT64:
    case SEM_FLOAT32:
    case SEM_FLOAT64:
    case SEM_STRING:
    case SEM_DECIMAL:
    case SEM_VARIABLE_DECIMAL:
    case SEM_YEAR:
    case SEM_ENUM:
    case SEM_JSON:
        return true;
    default:
        return false;
    }
}

/* --- wide numbers ---------------------------------------------------------------------------- */

static bool times_ten(wide *number, int64_t digits)
{
    if (!*number)
        return true;
    if (digits > LAKE_DECIMAL_DIGITS)
        return false;
    for (; digits > 0; digits--)
        if (__builtin_mul_overflow(*number, (wide) 10, number))
            return false;
    return true;
}

static bool has_digits(wide number, int precision)
{
    wide limit = 1;
    for (int i = 0; i < precision; i++)
        limit *= 10; /* 10^38 fits */
    return number > -limit && number < limit;
}

/* Takes `digits` off the end. *lost: they were not all zero. Rounds half away from zero. */
static void cut_digits(wide *number, int64_t digits, bool *lost)
{
    wide unit = 1;
    bool negative = *number < 0;
    *lost = false;
    if (digits > LAKE_DECIMAL_DIGITS) {
        *lost = *number != 0;
        *number = 0;
        return;
    }
    for (int64_t i = 0; i < digits; i++)
        unit *= 10;
    wide rest = *number % unit;
    *number /= unit;
    *lost = rest != 0;
    rest = rest < 0 ? -rest : rest;
    if (rest >= unit - rest && rest)
        *number += negative ? -1 : 1;
}

/* Big-endian two's complement. */
static bool read_bytes(const struct value *value, wide *number)
{
    const unsigned char *bytes = (const unsigned char *) value->bytes;
    size_t length = value->length;
    if (!length)
        return false;
    while (length > 1 &&
           ((bytes[0] == 0 && !(bytes[1] & 0x80)) || (bytes[0] == 0xff && bytes[1] & 0x80))) {
        bytes++;
        length--;
    }
    if (length > sizeof *number)
        return false;
    unsigned __int128 bits = bytes[0] & 0x80 ? ~(unsigned __int128) 0 : 0;
    for (size_t i = 0; i < length; i++)
        bits = bits << 8 | bytes[i];
    *number = (wide) bits;
    return true;
}

/* Plain digits with a point: "-12.50" is -1250 and a scale of 2. */
static bool read_digits(const char *text, size_t length, wide *number, int64_t *scale)
{
    bool negative = length && *text == '-', point = false;
    *number = 0;
    *scale = 0;
    for (size_t i = negative; i < length; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        if (__builtin_mul_overflow(*number, (wide) 10, number) ||
            __builtin_add_overflow(*number, (wide) (text[i] - '0'), number))
            return false;
        *scale += point;
    }
    if (negative)
        *number = -*number;
    return true;
}

/* The zeros at a fraction's end don't count: 1.50 has one digit there. */
static size_t without_zeros(const char *text, size_t length)
{
    if (!memchr(text, '.', length))
        return length;
    while (length && text[length - 1] == '0')
        length--;
    return length && text[length - 1] == '.' ? length - 1 : length;
}

enum read { READ_NUMBER, READ_TOO_LARGE, READ_NONE };

static enum ods_status read_text(struct lake_encoder *encoder, wide *number, int64_t *scale,
                                 enum read *read)
{
    const char *text;
    size_t length;
    struct buffer plain;
    enum ods_status status = lake_text(encoder, &text, &length);
    if (status != ODS_OK)
        return status;
    buffer_init(&plain);
    *read = READ_NONE;
    if (decimal_from_text(&plain, text, length) && !plain.failed) {
        size_t short_of = without_zeros(plain.bytes, plain.length);
        *read = read_digits(plain.bytes, short_of, number, scale) ? READ_NUMBER : READ_TOO_LARGE;
    }
    bool failed = plain.failed;
    buffer_done(&plain);
    return failed ? error_out_of_memory(encoder->error) : ODS_OK;
}

/* --- exact numbers --------------------------------------------------------------------------- */

static enum ods_status put_wide(struct lake_encoder *encoder, wide number)
{
    static const int bits[] = {
        [LAKE_INT8] = 8, [LAKE_INT16] = 16, [LAKE_INT32] = 32, [LAKE_INT64] = 64};
    struct lake_array *array = encoder->array;
    enum lake_type type = array->type.type;
    if (type == LAKE_DECIMAL) {
        if (!has_digits(number, array->type.precision))
            return out_of_range(encoder);
        lake_array_fixed(array, &number);
        return ODS_OK;
    }
    wide limit = (wide) 1 << (bits[type] - 1);
    if (number < -limit || number >= limit)
        return out_of_range(encoder);
    int64_t integer = (int64_t) number; /* little-endian: its first bytes are the smaller ones */
    lake_array_fixed(array, &integer);
    return ODS_OK;
}

/* number times 10^-scale, into the column's own scale. */
static enum ods_status put_scaled(struct lake_encoder *encoder, wide number, int64_t scale)
{
    const struct lake_typed *type = &encoder->array->type;
    int64_t wanted = type->type == LAKE_DECIMAL ? type->scale : 0;
    bool lost = false;
    if (scale < wanted && !times_ten(&number, wanted - scale))
        return out_of_range(encoder);
    if (scale > wanted)
        cut_digits(&number, scale - wanted, &lost);
    enum ods_status status =
        lost ? lake_inexact(encoder, "the number has more digits after the point") : ODS_OK;
    return status == ODS_OK ? put_wide(encoder, number) : status;
}

static enum ods_status encode_exact(struct lake_encoder *encoder)
{
    const struct value *value = encoder->value;
    wide number = 0;
    int64_t scale = 0;
    enum read read = READ_NONE;
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL)
        return put_scaled(encoder, value->integer, 0);
    if (value->kind == VALUE_BYTES && encoder->source->type == SEM_DECIMAL &&
        read_bytes(value, &number)) {
        int32_t own = encoder->source->scale;
        return put_scaled(encoder, number, own == INT32_MIN ? 0 : own);
    }
    enum ods_status status = read_text(encoder, &number, &scale, &read);
    if (status != ODS_OK)
        return status;
    if (read == READ_TOO_LARGE)
        return out_of_range(encoder);
    return read == READ_NUMBER ? put_scaled(encoder, number, scale)
                               : lake_refuse(encoder, "the value is not a number");
}

/* --- floats ----------------------------------------------------------------------------------- */

static enum ods_status put_real(struct lake_encoder *encoder, double real)
{
    if (encoder->array->type.type == LAKE_DOUBLE) {
        lake_array_fixed(encoder->array, &real);
        return ODS_OK;
    }
    float single = (float) real;
    bool same = (double) single == real || isnan(real) || encoder->source->type == SEM_FLOAT32;
    if (!same || (isinf(single) && !isinf(real)))
        return lake_refuse(encoder, "the number is none that a float has exactly");
    lake_array_fixed(encoder->array, &single);
    return ODS_OK;
}

/* Of a column that is a float in the source its number is the float that is nearest; of another one
 * the float has to show the same digits. */
static enum ods_status put_real_text(struct lake_encoder *encoder, const char *text, size_t length)
{
    int bits = encoder->array->type.type == LAKE_FLOAT ? 32 : 64;
    enum semantic type = encoder->source->type;
    struct buffer shown, plain, given;
    buffer_init(&shown);
    buffer_init(&plain);
    buffer_init(&given);
    bool good = text_float(&shown, text, length, bits), same = true;
    const char *terminated = buffer_text(&shown);
    double real = bits == 32 ? (double) strtof(terminated, NULL) : strtod(terminated, NULL);
    if (good && type != SEM_FLOAT32 && type != SEM_FLOAT64 && isfinite(real))
        same =
            decimal_from_text(&plain, terminated, shown.length) &&
            decimal_from_text(&given, text, length) && !plain.failed && !given.failed &&
            without_zeros(plain.bytes, plain.length) == without_zeros(given.bytes, given.length) &&
            memcmp(plain.bytes, given.bytes, without_zeros(plain.bytes, plain.length)) == 0;
    bool failed = shown.failed || plain.failed || given.failed;
    buffer_done(&shown);
    buffer_done(&plain);
    buffer_done(&given);
    if (failed)
        return error_out_of_memory(encoder->error);
    if (!good)
        return lake_refuse(encoder, "the value is not a number, or out of range");
    if (!same) /* the nearest one is the rounded one */
    {
        enum ods_status status = lake_inexact(encoder, "the number has more digits");
        if (status != ODS_OK)
            return status;
    }
    if (bits == 32) {
        float single = (float) real;
        lake_array_fixed(encoder->array, &single);
        return ODS_OK;
    }
    return put_real(encoder, real);
}

static enum ods_status encode_real(struct lake_encoder *encoder)
{
    const struct value *value = encoder->value;
    const char *text;
    size_t length;
    if (value->kind == VALUE_DOUBLE)
        return put_real(encoder, value->real);
    if (value->kind == VALUE_INT || value->kind == VALUE_BOOL) {
        double real = (double) value->integer;
        if (real >= 0x1p63 || (int64_t) real != value->integer)
            return lake_refuse(encoder, "the number is none that a double has exactly");
        return put_real(encoder, real);
    }
    enum ods_status status = lake_text(encoder, &text, &length);
    return status == ODS_OK ? put_real_text(encoder, text, length) : status;
}

enum ods_status lake_encode_number(struct lake_encoder *encoder)
{
    enum lake_type type = encoder->array->type.type;
    if (!is_number(encoder->source->type))
        return lake_refuse(encoder, "a %s is no number", semantic_name(encoder->source->type));
    return type == LAKE_FLOAT || type == LAKE_DOUBLE ? encode_real(encoder) : encode_exact(encoder);
}
