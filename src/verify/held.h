/* Tables that operators hold (ods-sink pause, resync): the records of their topics are not applied,
 * so these tables are neither compared nor waited for. */
#ifndef HELD_H
#define HELD_H

#include <stdbool.h>
#include <stddef.h>

#include "sink/postgres/wire/conn.h"

struct held_topic {
    char *topic, *schema, *table; /* as the source calls it; "": it is not known which it carries */
    char *why;
};

struct held {
    struct held_topic *topics;
    size_t count;
    enum { HELD_UNKNOWN, HELD_NEVER, HELD_KEPT } kept; /* does the target keep orders? */
};

/* Reads them again. */
enum ods_status held_read(struct held *held, struct conn *conn, const char *group,
                          struct error *error);
void held_done(struct held *held); /* also for a zeroed one; leaves it zeroed */

/* NULL: it is not held. */
const struct held_topic *held_topic(const struct held *held, const char *topic);
/* Is it held? Then `why` says so. A source without schemas has `schema` "". */
bool held_table(const struct held *held, const char *database, const char *schema,
                const char *table, char *why, size_t size);

#endif
