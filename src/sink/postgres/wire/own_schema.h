/* The sink's own schema in the target: making it, and statements about what is in it.
 *
 * In the text of a statement it is called ods_sink, which becomes the name that the settings give.
 */
#ifndef OWN_SCHEMA_H
#define OWN_SCHEMA_H

#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"

/* Is it there? Changes nothing. */
enum ods_status own_schema_is_there(struct conn *conn, bool *present, struct error *error);
/* Make it when it is not there; needs CREATE on the database only then. */
enum ods_status own_schema_prepare(struct conn *conn, struct error *error);
/* Does it have a table? Needs no right on it, and changes nothing. */
enum ods_status own_table_is_there(struct conn *conn, const char *table, bool *there,
                                   struct error *error);
/* As own_schema_prepare(), for a table of it that not every pipeline needs. */
enum ods_status own_schema_prepare_table(struct conn *conn, const char *table, struct error *error);

/* A query about it, as conn_query(). */
enum ods_status own_query(struct conn *conn, const char *sql, int count, const char *const *values,
                          PGresult **result, struct error *error);
/* The same with up to OWN_PARAMS parameters in binary form, of these types; and into a pipeline. */
#define OWN_PARAMS 7
enum ods_status own_query_params(struct conn *conn, const char *sql, const Oid *types,
                                 const struct buffer *values, int count, PGresult **result,
                                 struct error *error);
enum ods_status own_send_params(struct conn *conn, const char *sql, const Oid *types,
                                const struct buffer *values, int count, struct error *error);

#endif
