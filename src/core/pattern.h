/* POSIX extended regular expressions of the configuration, before regcomp() has them. */
#ifndef PATTERN_H
#define PATTERN_H

/* What the pattern has that regcomp() takes without a word for something else than was meant: "\d"
 * is the letter d to it, and "[\w]" a backslash or a w. Put behind "pattern …"; NULL: nothing. */
const char *pattern_stray(const char *pattern);

#endif
