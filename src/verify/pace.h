/* How fast rows are read for a comparison: at most the database's `throttle`, and, while changes
 * stream into the target, only for a part of the time, so that those who wait for a change do not
 * wait for the comparison. */
#ifndef PACE_H
#define PACE_H

#include <stdatomic.h>

#include "config/settings.h"
#include "sink/postgres/wire/conn.h"

#define PACE_ROWS 20000 /* read at once where nobody else is at work */

struct pace {
    const struct database_settings *settings;
    int64_t began_us;    /* of the table */
    atomic_bool busy;    /* changes stream; true until it is known */
    bool known;
    int64_t looked_us;   /* when it was looked last, 0: never */
    int64_t offsets;     /* the sum of the target's offsets then */
    bool told;           /* that it rests, for the caller */
};

void pace_init(struct pace *pace, const struct database_settings *settings);
void pace_begin(struct pace *pace); /* with a table */

/* Looks whether changes stream, at most once a second: any group's offsets in the target move. Of
 * the connection's thread. */
enum ods_status pace_look(struct pace *pace, struct conn *conn, struct error *error);

/* Is it known that changes stream, and does the reading rest for them? */
bool pace_rests(const struct pace *pace);

/* How many rows are to be read at once. */
int64_t pace_rows(const struct pace *pace);

/* After rows were read since read_us, of `total` so far: until when the next ones are to wait, on
 * the clock of time_monotonic_us(). */
int64_t pace_due(const struct pace *pace, int64_t read_us, int64_t total);

#endif
