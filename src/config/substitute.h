/* ${NAME}, ${NAME:-default}, ${file:/path} and $$ in values: passwords stand in neither file. */
#ifndef SUBSTITUTE_H
#define SUBSTITUTE_H

#include "config/node.h"

/* The text with everything replaced, in the scratch pool; *replaced tells whether anything came
 * from outside. A lone $ stays: regular expressions end in one. What can't be replaced is a finding
 * and becomes "". NULL: memory is out. */
const char *substitute_text(struct load *load, const struct config_source *source, int line,
                            const char *text, bool *replaced);

/* The first of ${topic}, ${db}, ${schema} and ${table} that a text holds, by its name: each record
 * says what they are, so substitute_text() leaves them as they stand. NULL: none. */
const char *substitute_place(const char *text);

#endif
