/* Stored offsets: the sink's own schema in the target, compare-and-swap, and reading them back. */
#ifndef OFFSETS_H
#define OFFSETS_H

#include <ods/batch.h>
#include <ods/sink.h>
#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"

/* Make the sink's schema when it is not there; needs CREATE on the database only then. */
enum ods_status offsets_prepare(struct conn *conn, struct error *error);
/* The same for its table of moved keys, which only formats with scattered shapes need. */
enum ods_status offsets_prepare_moves(struct conn *conn, struct error *error);
/* A query about it: ods_sink in the text becomes the schema that the settings name. As
 * conn_query().
 */
enum ods_status offsets_query(struct conn *conn, const char *sql, int count,
                              const char *const *values, PGresult **result, struct error *error);
/* The same with up to OFFSETS_PARAMS parameters in binary form, of these types; and into the
 * pipeline. */
#define OFFSETS_PARAMS 7
enum ods_status offsets_query_params(struct conn *conn, const char *sql, const Oid *types,
                                     const struct buffer *values, int count, PGresult **result,
                                     struct error *error);
enum ods_status offsets_send_params(struct conn *conn, const char *sql, const Oid *types,
                                    const struct buffer *values, int count, struct error *error);
/* Types of such parameters. */
enum {
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
};
/* Is it there? Changes nothing. */
enum ods_status offsets_present(struct conn *conn, bool *present, struct error *error);

enum ods_status offsets_read(struct conn *conn, const char *group, struct position *positions,
                             size_t count, struct error *error);

/* Put the move of all of a batch's ranges into the pipeline. Scratch is reused. */
enum ods_status offsets_send(struct conn *conn, const char *group, const struct batch *batch,
                             struct buffer scratch[5], struct error *error);

/* The class of advisory locks by which lanes with changed keys take turns; see moved_keys.h. */
#define OFFSETS_MOVES_LOCK "723549820"

/* End sessions of the same role that hold stored offsets, or keep the others from their turn, and
 * have not gone on for longer than the target's idle_in_transaction_timeout_ms. */
void offsets_end_stalled(struct conn *conn);

/* After a commit whose outcome is unknown: did it happen? */
enum ods_status offsets_settle(struct conn *conn, const char *group, const struct batch *batch,
                               bool *happened, struct error *error);

#endif
