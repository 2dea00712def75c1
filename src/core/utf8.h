/* Text that is UTF-8, whatever it was made of: what a log, a header or a JSON document quotes may
 * have been cut, or come from a record or a server that writes something else. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const char *text, size_t length); /* in json_scan.c, whose strings it checks */

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* How many bytes from `at` on, of `length` above 0, are one character, or stand for none
 * (*good is false) and are to be replaced. */
size_t utf8_next(const char *at, size_t length, bool *good);

/* The length without a character at the end that is not whole: for text that was cut. */
size_t utf8_cut(const char *text, size_t length);

/* Into `out` of `size` bytes, terminated: what is no UTF-8 as U+FFFD, cut between two characters.
 * The length of what was written. */
size_t utf8_copy(char *out, size_t size, const char *text, size_t length);

/* The same within a room of `size` bytes that holds terminated text. */
void utf8_mend(char *text, size_t size);

#endif
