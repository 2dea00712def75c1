/* ${NAME}, ${NAME:-default}, ${file:/path} and $$ in values: passwords stand in neither file. */
#ifndef SUBSTITUTE_H
#define SUBSTITUTE_H

#include "config/node.h"

/* The text with everything replaced, in the scratch pool; *replaced tells whether anything came
 * from outside. A lone $ stays: regular expressions end in one. What can't be replaced is a finding
 * and becomes "". NULL: memory is out. */
const char *substitute_text(struct load *load, const struct source *source, int line,
                            const char *text, bool *replaced);

#endif
