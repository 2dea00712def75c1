/* From the neutral tree to typed structs, by the table of settings. */
#ifndef PARSE_H
#define PARSE_H

#include "config/node.h"
#include "config/table.h"

/* Fill a struct of this group: its defaults, then what the node says. NULL node: defaults only.
 * Everything wrong becomes a finding. */
void parse_object(struct load *load, const struct setting_group *group, const struct node *node,
                  void *object);

#endif
