/* The table that the sink owns in the target: its stored offsets. */
#ifndef MYSQL_OWN_H
#define MYSQL_OWN_H

#include <ods/batch.h>
#include <ods/sink.h>

#include "sink/mysql/wire/conn.h"

struct mysql_own {
    const char *schema; /* the setting; "": the session's database */
    const char *group;
    unsigned generation; /* of the session in which the table was seen; 0: none */
};

/* Makes the table if it is missing. */
enum ods_status mysql_own_make(struct mysql_own *own, struct mysql_conn *conn,
                               struct error *error);
/* *there: is it? */
enum ods_status mysql_own_look(struct mysql_own *own, struct mysql_conn *conn, bool *there,
                               struct error *error);

/* What is stored, OFFSET_NONE where nothing is. */
enum ods_status mysql_offsets_read(struct mysql_own *own, struct mysql_conn *conn,
                                   struct position *positions, size_t count, struct error *error);
/* In the rows' transaction, before them: each claim's offset moves from where the batch begins to
 * where it ends, and its row stays locked until the commit. ODS_FENCED: it is elsewhere. */
enum ods_status mysql_offsets_move(struct mysql_own *own, struct mysql_conn *conn,
                                   const struct batch *batch, struct error *error);
/* Did a commit happen whose answer was lost? ODS_FENCED: another writer has moved the offsets. */
enum ods_status mysql_offsets_settle(struct mysql_own *own, struct mysql_conn *conn,
                                     const struct batch *batch, bool *happened,
                                     struct error *error);
/* How many the group has; with `erase` they are deleted. */
enum ods_status mysql_offsets_forget(struct mysql_own *own, struct mysql_conn *conn, bool erase,
                                     int64_t *count, struct error *error);

#endif
