/* What `status --tables` shows of each table. */
#ifndef STATUS_TABLES_H
#define STATUS_TABLES_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/terminal.h"

/* `status`: the page /status. False: memory is out. */
bool status_print_tables(const struct terminal *terminal, const json_t *status);

#endif
