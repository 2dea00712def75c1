/* Entries of `tables` that begin with ^: many source tables under one. */
#ifndef TABLE_PATTERN_H
#define TABLE_PATTERN_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* Compiles a POSIX extended regular expression in which \d \w \s \D \W \S are understood too. NULL:
 * it is compiled, and the caller frees it by regfree(); else why not, in `room` or static. */
const char *table_pattern_compile(regex_t *regex, const char *pattern, char *room,
                                  size_t room_bytes);

/* Why the pattern must not be given to glibc's regcomp, which takes memory and stack without limit
 * for nested groups and large counts. NULL: it is harmless. */
const char *pattern_excess(const char *pattern);

/* Those of all pipelines. */
void table_patterns_free(struct settings *settings);

#endif
