/* The value of one setting that holds no others: text, number, list or map. Whatever is wrong with
 * it becomes a finding, and the value stays as it was. */
#ifndef PARSE_LEAF_H
#define PARSE_LEAF_H

#include "config/node.h"
#include "config/setting.h"

void parse_leaf(struct load *load, const struct setting *row, const struct node *node, void *value);

/* Is the node of this kind? A YAML null is an empty list or map. */
bool parse_is_kind(const struct node *node, enum node_kind kind);

/* A finding: what the setting expects and what was found; `hint` stands behind it. */
void parse_refuse(struct load *load, const struct setting *row, const struct node *node,
                  const char *hint);

/* A copy that lives as long as the settings; "" when memory is out. */
const char *parse_keep_text(struct load *load, const char *text);

/* False, with a finding: the list or map has more entries than the row allows. */
bool parse_fits(struct load *load, const struct setting *row, const struct node *node);

#endif
