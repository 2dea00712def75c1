/* Settings that say something of columns, as `{ total: { lua: "…" }, region: [eu, us] }`. */
#ifndef PARSE_TERMS_H
#define PARSE_TERMS_H

#include <ods/setting.h>
#include "config/node.h"

void parse_terms(struct load *load, const struct setting *row, const struct node *node,
                 struct terms *value);

#endif
