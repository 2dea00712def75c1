/* The processes of each pipeline's group, as `ods-sink status` shows them. */
#ifndef STATUS_FLEET_H
#define STATUS_FLEET_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/terminal.h"

bool status_print_fleet(const struct terminal *terminal, const json_t *status);

#endif
