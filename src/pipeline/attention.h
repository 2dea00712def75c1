/* What stands around the pipelines and asks for attention though they keep up: connectors, logs of
 * sources, Kafka's retention, comparisons, rules about the data, dead letters, derived tables. In
 * the words that the page's head and `ods-sink status` have, from what `/status` tells of each. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include <jansson.h>
#include <stddef.h>

struct lane;

/* A list, the worst first: "level", which is not good, and "says". `status` has its other members
 * already. */
json_t *attention_describe(const json_t *status, struct lane *const *lanes, size_t count);

#endif
