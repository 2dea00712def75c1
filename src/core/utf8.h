/* Makes valid UTF-8 of any text: what a log, a header or a JSON document quotes may have been cut,
 * or come from a record or a server that uses another encoding. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const char *text, size_t length); /* in json_scan.c, whose strings it checks */

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* How many bytes from `at` on (of `length`, which is above 0) are one character; if they are not
 * valid (*good is false), how many of them to replace. */
size_t utf8_next(const char *at, size_t length, bool *good);

/* The length of a text that was cut, without an incomplete character at its end. */
size_t utf8_cut(const char *text, size_t length);

/* Copies the text to `out` of `size` bytes, terminated: invalid bytes become U+FFFD, and it is cut
 * between two characters if it is too long. Returns the length of what was written. */
size_t utf8_copy(char *out, size_t size, const char *text, size_t length);

/* The same in place, for a buffer of `size` bytes that holds a terminated text. */
void utf8_mend(char *text, size_t size);

#endif
