/* POSIX extended regular expressions of the configuration, before regcomp() has them. */
#ifndef PATTERN_H
#define PATTERN_H

#include <regex.h>
#include <stdbool.h>

#include <ods/status.h>

/* What the pattern has that regcomp() takes without a word for something else than was meant: "\d"
 * is the letter d to it, and "[\w]" a backslash or a w. Put behind "pattern …"; NULL: nothing. */
const char *pattern_stray(const char *pattern);

/* regcomp() of an extended one without a stray. `regex` is the caller's to free after ODS_OK alone;
 * ODS_FATAL: the error says what the pattern has, or is not. */
enum ods_status pattern_compile(const char *pattern, int flags, regex_t *regex,
                                struct error *error);

/* Has it \b or \B, the edge of a word to regcomp() here and something else to PostgreSQL? */
bool pattern_has_edge(const char *pattern);

#endif
