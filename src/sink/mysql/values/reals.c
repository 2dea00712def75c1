/* Floats. A number goes in if the column's float shows it again with all of its digits. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text_nested.h"
#include "sink/mysql/values/numbers.h"

bool mysql_float_shows(const char *text, size_t length, double real, int bits)
{
    char digits[512], shown_digits[40], shown[40];
    struct mysql_number number, again;
    if (length > sizeof digits || !mysql_number_parse(text, length, digits, &number) ||
        number.count > (bits == 32 ? 9 : 17))
        return false;
    if (!number.count)
        return real == 0;
    int written = snprintf(shown, sizeof shown, "%.*e", (int) number.count - 1, real);
    return mysql_number_parse(shown, (size_t) written, shown_digits, &again) &&
           again.point == number.point && again.count == number.count &&
           memcmp(again.digits, digits, number.count) == 0;
}

static enum ods_status parse_real(struct mysql_encoder *encoder, const char *text, size_t length,
                                  int bits, double *real)
{
    char copy[512], *end;
    if (!length || length >= sizeof copy || !mysql_is_number(text, length))
        return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                            "the value is not a number that a float of MySQL holds (which has "
                            "neither NaN nor infinity)");
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    /* Directly into the target's size: by way of a double a float would be rounded twice. */
    *real = bits == 32 ? (double) strtof(copy, &end) : strtod(copy, &end);
    if (end != copy + length || isinf(*real) || (errno == ERANGE && *real == 0))
        return mysql_out_of_range(encoder);
    return ODS_OK;
}

/* The shortest text that the server reads back as the number. A float's text is first read as a
 * double there, so a text that lies too near the middle of two floats gets all its digits. */
static enum ods_status put_real(struct mysql_encoder *encoder, double real, int bits)
{
    struct buffer text;
    buffer_init(&text);
    if (real == 0) {
        buffer_puts(&text, signbit(real) && !mysql_is_key(encoder) ? "-0e0" : "0");
        return mysql_put_buffer(encoder, MYSQL_NUMBER, &text);
    }
    text_real(&text, real, bits);
    if (bits == 32 && (float) strtod(buffer_text(&text), NULL) != (float) real) {
        buffer_reset(&text);
        buffer_printf(&text, "%.17g", real);
    }
    return mysql_put_buffer(encoder, MYSQL_NUMBER, &text);
}

/* float(7,2) has a scale, to which the server rounds. */
static enum ods_status check_scale(struct mysql_encoder *encoder, const char *text, size_t length)
{
    const struct mysql_column *target = encoder->target;
    char digits[512];
    struct mysql_number number;
    if (!target->precision || length > sizeof digits ||
        !mysql_number_parse(text, length, digits, &number))
        return ODS_OK;
    if (number.point > (int64_t) target->precision - (int64_t) target->scale)
        return mysql_out_of_range(encoder);
    return (int64_t) number.count - number.point <= (int64_t) target->scale
               ? ODS_OK
               : mysql_inexact(encoder, false, "the number has more digits after the point than %s",
                               target->column_type);
}

static enum ods_status real_of(struct mysql_encoder *encoder, struct buffer *room, int bits,
                               double *real)
{
    enum semantic type = encoder->source->type;
    const char *text;
    size_t length;
    enum ods_status status = mysql_number_text(encoder, room, &text, &length);
    if (status == ODS_OK)
        status = parse_real(encoder, text, length, bits, real);
    if (status == ODS_OK)
        status = check_scale(encoder, text, length);
    bool itself = type == SEM_FLOAT32 || (type == SEM_FLOAT64 && bits == 64);
    if (status != ODS_OK || itself || mysql_float_shows(text, length, *real, bits))
        return status;
    return mysql_inexact(encoder, false, "the number has more digits than %s holds",
                         encoder->target->column_type);
}

enum ods_status mysql_encode_real(struct mysql_encoder *encoder)
{
    int bits = encoder->target->type == MYSQL_IS_FLOAT ? 32 : 64;
    struct buffer room;
    double real = 0;
    buffer_init(&room);
    enum ods_status status = real_of(encoder, &room, bits, &real);
    buffer_done(&room);
    if (status == ODS_OK && real < 0 && encoder->target->is_unsigned)
        return mysql_out_of_range(encoder);
    return status == ODS_OK ? put_real(encoder, real, bits) : status;
}
