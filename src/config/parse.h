/* From the neutral tree to typed structs, by the table of settings. */
#ifndef PARSE_H
#define PARSE_H

#include "config/node.h"
#include "config/table.h"

/* Fill a struct of this scope: its defaults, then what the node says. NULL node: defaults only.
 * Everything wrong becomes a finding. */
void parse_object(struct load *load, enum setting_scope scope, const struct node *node,
                  void *object);

#endif
