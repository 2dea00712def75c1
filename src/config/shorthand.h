/* A plug-in by its name: `filter: { op: [c] }` stands for `{ type: filter, op: [c] }`. */
#ifndef SHORTHAND_H
#define SHORTHAND_H

#include <ods/setting.h>
#include "config/node.h"

/* The entry written out; the node itself if it is no shorthand. */
const struct node *shorthand_expand(struct load *load, const struct setting_group *group,
                                    const struct node *node);

#endif
