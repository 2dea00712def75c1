/* The session of an outbox's reader: rows of ods_sink.outbox by name, each with a place of its own.
 *
 * Rows are read in the order of their ids as far as their transactions have committed, and are
 * numbered as they are read; the numbers are noted in the statement that reads. That statement
 * waits for its commit to be on the server's disk, and with it for the commits of all that it has
 * seen: so what is handed out is there for good, under this number, whatever crashes.
 *
 * Owned and entered by one thread; outbox_interrupt() by any.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <ods/status.h>
#include "config/settings.h"

struct outbox;

struct outbox_row {
    int64_t place, id, at_ms;
    const char *op, *key, *before, *after, *error; /* NULL: there is none. Valid during the call */
};

/* One outbox, by its name, for the session that holds it. */
struct outbox_view {
    const char *name;
    int64_t next_place, settled;
    int64_t low;                     /* an id: nothing up to it is left to be read */
    int64_t seen, seen_xmax;         /* the highest id that was seen, and what was open then */
    int64_t swept_us;                /* when it was last looked at from the beginning */
};

struct outbox_limits {
    int64_t rows, bytes; /* at most, but always one row */
};

/* What takes rows, in the order of their places. False: memory is out. */
typedef bool outbox_take(void *context, const struct outbox_row *row);

/* `target`: of type postgres. NULL: memory or file descriptors are out. */
struct outbox *outbox_new(const struct target_settings *target);
void outbox_free(struct outbox *outbox); /* NULL is fine */
void outbox_interrupt(struct outbox *outbox);

/* Connects, unless it is connected, and makes the tables where they are missing. */
enum ods_status outbox_connect(struct outbox *outbox, struct error *error);
void outbox_disconnect(struct outbox *outbox);
/* Grows with each session: what an earlier one held is lost. */
unsigned outbox_session(const struct outbox *outbox);
/* Tries to become the one reader of view->name; *held: this session is. Fills the view. */
enum ods_status outbox_hold(struct outbox *outbox, struct outbox_view *view, bool *held,
                            struct error *error);
/* Rows that were not read before; moves view->next_place. *count: how many were taken. ODS_RETRY:
 * also when take() has answered false; the rows are read again by outbox_read_again(). */
enum ods_status outbox_read(struct outbox *outbox, struct outbox_view *view,
                            const struct outbox_limits *limits, outbox_take *take, void *context,
                            int64_t *count, struct error *error);
/* Rows that were, from a place on. None: there are none below view->next_place. */
enum ods_status outbox_read_again(struct outbox *outbox, const struct outbox_view *view,
                                  int64_t from, const struct outbox_limits *limits,
                                  outbox_take *take, void *context, int64_t *count,
                                  struct error *error);
/* Deletes what is below the place, in a bounded step; view->settled says how far it has come. */
enum ods_status outbox_settle(struct outbox *outbox, struct outbox_view *view, int64_t upto,
                              struct error *error);
/* How many rows wait, counted up to `most`. */
enum ods_status outbox_waiting(struct outbox *outbox, const char *name, int64_t most,
                               int64_t *count, struct error *error);
/* For `check`, which changes nothing: connects and says whether the tables are there. */
enum ods_status outbox_look(struct outbox *outbox, bool *there, struct error *error);

#endif
