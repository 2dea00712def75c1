/* Stored offsets: moves them by compare-and-swap, and reads them. */
#ifndef OFFSETS_H
#define OFFSETS_H

#include <ods/batch.h>
#include <ods/sink.h>
#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"

enum ods_status offsets_read(struct conn *conn, const char *group, struct position *positions,
                             size_t count, struct error *error);

/* The same where what the sink owns may not be there yet: then there are none. */
enum ods_status offsets_peek(struct conn *conn, const char *group, struct position *positions,
                             size_t count, struct error *error);

enum { OFFSETS_PARAMS = 7 };

/* Puts the move of the offsets of all claims of a batch into the pipeline, and with it the times up
 * to which their partitions are complete, and their cluster. Scratch is reused. */
enum ods_status offsets_send(struct conn *conn, const char *group, const struct batch *batch,
                             struct buffer scratch[OFFSETS_PARAMS], struct error *error);

/* Ends sessions of the same role that lock stored offsets, or the lock for which others wait, and
 * have done nothing for longer than the target's idle_in_transaction_timeout_ms. */
void offsets_end_stalled(struct conn *conn);

/* Finds out whether a commit happened whose answer was lost. */
enum ods_status offsets_settle(struct conn *conn, const char *group, const struct batch *batch,
                               bool *happened, struct error *error);

#endif
