/* Do the statements of a derived table find their rows by indexes? */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "derived/kept.h"

/* Reports each table that one of them would read whole, with the index to make. */
enum ods_status explain_plans(struct kept *kept, struct conn *conn,
                              void (*report)(void *context, const char *line), void *context,
                              struct error *error);

#endif
