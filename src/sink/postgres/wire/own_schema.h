/* The sink's own schema in the target: makes it, and runs statements about what is in it.
 *
 * Statements call it ods_sink; the name from the settings is put in its place.
 */
#ifndef OWN_SCHEMA_H
#define OWN_SCHEMA_H

#include <ods/buffer.h>
#include "sink/postgres/wire/conn.h"

/* The statements that make it, as an error names them to who has to run them. */
#define OWN_SCHEMA_FILE "sql/ods_sink.sql (a package has it in /usr/share/ods-sink)"

/* Does the schema exist? Changes nothing. */
enum ods_status own_schema_is_there(struct conn *conn, bool *present, struct error *error);
/* Makes it when it does not exist. Only then does it need the right CREATE on the database. */
enum ods_status own_schema_prepare(struct conn *conn, struct error *error);
/* Does it have a table? Needs no right on it, and changes nothing. */
enum ods_status own_table_is_there(struct conn *conn, const char *table, bool *there,
                                   struct error *error);
/* As own_schema_prepare(), for a table of it that not every pipeline needs. */
enum ods_status own_schema_prepare_table(struct conn *conn, const char *table, struct error *error);
/* The same for more than a table: `is_there` asks of the schema $1 whether all of it is there. */
enum ods_status own_schema_prepare_for(struct conn *conn, const char *is_there,
                                       struct error *error);

/* Adds to the refusal of a statement on the sink's own tables (42501) who has to grant what. */
void own_schema_explain(const struct conn *conn, struct error *error);

/* Writes the statement with the schema's name from the target's settings in place of ods_sink.
 * False: memory is out. */
bool own_schema_put(const struct conn *conn, const char *sql, struct buffer *out);

/* Runs a query about it, as conn_query() does. */
enum ods_status own_query(struct conn *conn, const char *sql, int count, const char *const *values,
                          PGresult **result, struct error *error);
/* The same with up to OWN_PARAMS parameters of these types in binary form; the second function
 * sends it into a pipeline. */
#define OWN_PARAMS 8
enum ods_status own_query_params(struct conn *conn, const char *sql, const Oid *types,
                                 const struct buffer *values, int count, PGresult **result,
                                 struct error *error);
enum ods_status own_send_params(struct conn *conn, const char *sql, const Oid *types,
                                const struct buffer *values, int count, struct error *error);

#endif
