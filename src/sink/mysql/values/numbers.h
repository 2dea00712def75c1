/* Numbers of any length, on their way into a column. */
#ifndef MYSQL_NUMBERS_H
#define MYSQL_NUMBERS_H

#include "sink/mysql/values/encoder.h"

/* A decimal number: 0.d1d2d3… times 10^point. No leading and no trailing zeros in digits. */
struct mysql_number {
    bool negative;
    char *digits;
    size_t count;
    int64_t point; /* digits before the decimal point; may be negative */
};

struct mysql_range {
    int64_t least;
    uint64_t most;
};

/* Reads sign, digits, point and exponent; `digits` has room for `length` of them. False: it is no
 * decimal number. */
bool mysql_number_parse(const char *text, size_t length, char *digits, struct mysql_number *number);
/* Is the whole number within the range? */
bool mysql_number_within(const struct mysql_number *number, const struct mysql_range *range);

/* The value's number as text, in `room` unless the value has it. */
enum ods_status mysql_number_text(struct mysql_encoder *encoder, struct buffer *room,
                                  const char **text, size_t *length);
/* Little-endian bits as a number. False: there are more than 64. */
bool mysql_bits_read(const struct value *value, uint64_t *bits);
enum ods_status mysql_out_of_range(struct mysql_encoder *encoder);

#endif
