/* POSIX extended regular expressions of the configuration, before regcomp() has them. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>

/* What the pattern has that regcomp() takes without a word for something else than was meant: "\d"
 * is the letter d to it, and "[\w]" a backslash or a w. Put behind "pattern …"; NULL: nothing. */
const char *pattern_stray(const char *pattern);

/* Has it \b or \B, the edge of a word to regcomp() here and something else to PostgreSQL? */
bool pattern_has_edge(const char *pattern);

#endif
