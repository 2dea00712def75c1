/* Base64 as RFC 4648 defines it: standard alphabet, padded, nothing else in the text. */
#ifndef BASE64_H
#define BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Room that base64_decode() needs for `length` characters, base64_encode() for `length` bytes. */
#define BASE64_DECODED_MAX(length) ((length) / 4 * 3)
#define BASE64_ENCODED(length)     (((length) + 2) / 3 * 4)

/* False: not base64. */
bool base64_decode(const char *text, size_t length, unsigned char *out, size_t *out_length);

void base64_encode(const void *bytes, size_t length, char *out); /* not terminated */

#endif
