/* Entries of `tables` that begin with ^: many source tables under one. */
#ifndef TABLE_PATTERN_H
#define TABLE_PATTERN_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/* POSIX extended regular expressions, and \d \w \s \D \W \S as bracket expressions. NULL: compiled,
 * regfree() is the caller's; else why not, in `room` or static. */
const char *table_pattern_compile(regex_t *regex, const char *pattern, char *room,
                                  size_t room_bytes);

/* Why glibc's regcomp had better not see it: it takes memory and stack without limit for nested
 * groups and large counts. NULL: it may. */
const char *pattern_excess(const char *pattern);

/* Those of all pipelines. */
void table_patterns_free(struct settings *settings);

#endif
