/* The tables that the sink owns in the target: its stored offsets, and which group writes which
 * table. */
#ifndef MYSQL_OWN_H
#define MYSQL_OWN_H

#include <ods/batch.h>
#include <ods/sink.h>

#include "sink/mysql/wire/conn.h"

#define MYSQL_OWN_OFFSETS "ods_sink_offsets"
#define MYSQL_OWN_TABLES  "ods_sink_tables"

struct mysql_own {
    const char *schema; /* the setting; "": the session's database */
    const char *group;
    unsigned generation; /* of the session in which the table was seen; 0: none */
};

/* Makes the tables that are missing. */
enum ods_status mysql_own_make(struct mysql_own *own, struct mysql_conn *conn,
                               struct error *error);
/* *there: is one of them? */
enum ods_status mysql_own_look(struct mysql_own *own, struct mysql_conn *conn, const char *table,
                               bool *there, struct error *error);

/* The group is about to write this table. Outside of a transaction. */
enum ods_status mysql_own_claim(struct mysql_own *own, struct mysql_conn *conn, const char *schema,
                                const char *table, struct error *error);
/* *written: some group has; `others`: their names but for this group's and its letters', or "". */
enum ods_status mysql_own_whose(struct mysql_own *own, struct mysql_conn *conn, const char *schema,
                                const char *table, bool *written, char *others, size_t size,
                                struct error *error);
/* The group no longer writes it. */
enum ods_status mysql_own_unclaim(struct mysql_own *own, struct mysql_conn *conn,
                                  const char *schema, const char *table, struct error *error);

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
