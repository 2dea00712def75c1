/* Decimals as plain digits: what PostgreSQL's numeric takes and prints. */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>

/* PostgreSQL's numeric: digits before and after the point. */
#define DECIMAL_WHOLE_DIGITS_MAX 131072
#define DECIMAL_SCALE_MAX        16383

/* Append the number whose big-endian two's complement bytes these are, times 10^-scale; a negative
 * scale appends zeros. False: no bytes, or more digits than numeric has. */
bool decimal_from_bytes(struct buffer *out, const void *bytes, size_t length, int32_t scale);

/* Append a decimal literal ("1.5E3", "-0.00", ".5" is none) without its exponent, trailing zeros of
 * the fraction kept. False: malformed, or more digits than numeric has. */
bool decimal_from_text(struct buffer *out, const char *text, size_t length);

/* Append the shortest big-endian two's complement bytes of a decimal literal times 10^scale, which
 * decimal_from_bytes() reads. False: malformed, or it has other digits than zeros behind the last
 * one that the scale has. */
bool decimal_to_bytes(struct buffer *out, const char *text, size_t length, int32_t scale);

/* Has the number of these two's complement bytes so many digits or fewer? What `scratch` holds
 * stays; it has failed where memory is out. */
bool decimal_within(struct buffer *scratch, const void *bytes, size_t length, int32_t most);

#endif
