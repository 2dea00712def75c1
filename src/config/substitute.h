/* Replaces ${NAME}, ${NAME:-default}, ${file:/path} and $$ in values, so that passwords need not
 * stand in the files. */
#ifndef SUBSTITUTE_H
#define SUBSTITUTE_H

#include "config/node.h"

/* The text with everything replaced, in the scratch pool; *replaced: did anything come from
 * outside? A lone $ stays, since regular expressions end in one. What can't be replaced becomes "",
 * with a finding. NULL: memory is out. */
const char *substitute_text(struct load *load, const struct config_source *source, int line,
                            const char *text, bool *replaced);

/* The name of the first of ${topic}, ${db}, ${schema} and ${table} in a text, NULL if there is
 * none. Their values come from each record, so substitute_text() leaves them as they are. */
const char *substitute_place(const char *text);

#endif
