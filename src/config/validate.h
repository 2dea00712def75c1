/* What no single setting can tell: names that must agree or differ, patterns, contradictions. */
#ifndef VALIDATE_H
#define VALIDATE_H

#include "config/node.h"
#include "config/settings.h"

/* Fill in what is inherited (lanes, group_id, target), then check. The nodes are those that the
 * settings were parsed from; either may be NULL when its file could not be read. */
void validate_settings(struct load *load, const struct node *daemon, const struct node *moves,
                       struct settings *settings);

#endif
