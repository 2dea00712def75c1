/* What in a connector's configuration makes trouble later. */
#ifndef CONNECTOR_CHECK_H
#define CONNECTOR_CHECK_H

#include <jansson.h>
#include <stdbool.h>

/* wrong: values or rows are lost, and no sink can know. risk: it works until something happens.
 * note: worth knowing. */
enum weight { WEIGHT_WRONG, WEIGHT_RISK, WEIGHT_NOTE };

struct trouble {
    enum weight weight;
    const char *property;
    const char *value; /* as it is, or its default; "" when it is not set and has none */
    bool is_default;
    const char *what, *advice;
};

const char *weight_name(enum weight weight);

/* Tell of each; the texts live for the call. `config`: property by property, as Connect has it.
 * Of a connector that is not a source of Debezium's only converters, transforms and secrets
 * count. */
void connector_check(const json_t *config,
                     void (*tell)(void *context, const struct trouble *trouble), void *context);

#endif
