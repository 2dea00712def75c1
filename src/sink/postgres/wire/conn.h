/* One PostgreSQL connection: connecting, pipelines, and its errors.
 *
 * Owned and entered by a lane's writer thread; conn_interrupt() alone may come from another one.
 * The socket is non-blocking and every wait also listens to the interrupt, so a hanging server
 * never holds up a shutdown or a rebalance.
 */
#ifndef CONN_H
#define CONN_H

#include <libpq-fe.h>

#include <ods/status.h>
#include "sink/postgres/wire/session.h"
#include "sink/postgres/wire/sqlstate.h"
#include "sink/postgres/wire/statements.h"

struct conn {
    const char *name; /* the target's, for messages */
    const struct session_settings *settings;
    PGconn *pg; /* NULL: not connected */
    int interrupt_fd;
    void (*alive)(void *context); /* called while the server is waited for, or NULL */
    void *alive_context;
    unsigned generation; /* grows with each connection: what was prepared before is gone */
    uint64_t prepared;   /* statements ever; names them */
    struct statements statements;
    unsigned parts;      /* of the pipeline that were ended and are not read yet */
    unsigned queued;     /* commands in the pipeline whose results are not read yet */
    uint64_t copy_line;  /* the row of a COPY, from 1 on, that the last error names; 0: none */
};

/* Parameters of one statement, all in binary form. */
struct conn_params {
    int count;
    const Oid *types;
    const char *const *values;
    const int *lengths;
};

bool conn_init(struct conn *conn, const char *name, const struct session_settings *settings);
void conn_done(struct conn *conn);

/* Connect unless connected. ODS_RETRY while the server is away or refuses, ODS_FATAL for what no
 * waiting mends (a dsn that does not parse). */
enum ods_status conn_open(struct conn *conn, struct error *error);
void conn_close(struct conn *conn);
void conn_interrupt(struct conn *conn); /* any thread; ends the present wait, or else the next */
void conn_clear_interrupt(struct conn *conn); /* one that ended no wait is void */

/* One statement outside a pipeline. Text parameters (NULL-terminated list not needed: count).
 * *result (may be NULL) is the caller's to PQclear. */
enum ods_status conn_query(struct conn *conn, const char *sql, int count, const char *const *values,
                           PGresult **result, struct error *error);

/* The same with typed parameters in binary form. */
enum ods_status conn_query_params(struct conn *conn, const char *sql,
                                  const struct conn_params *params, PGresult **result,
                                  struct error *error);

/* The same with an answer in binary form too. */
enum ods_status conn_query_binary(struct conn *conn, const char *sql,
                                  const struct conn_params *params, PGresult **result,
                                  struct error *error);

/* COPY to stdout, outside a pipeline: begin, and row after row, each in place of the one before it.
 * *row NULL: there are no more, and the connection is free again. */
enum ods_status conn_copy_out(struct conn *conn, const char *sql, struct error *error);
enum ods_status conn_copy_row(struct conn *conn, char **row, size_t *length, struct error *error);

/* Several statements, no parameters, one round trip. */
enum ods_status conn_script(struct conn *conn, const char *sql, struct error *error);

/* A pipeline: enter, send any number of commands, conn_pipeline_sync(), then read one result per
 * command in order, then conn_pipeline_end(). After an error result, the following ones answer
 * ODS_RETRY with "pipeline aborted" and *aborted true. */
enum ods_status conn_pipeline_begin(struct conn *conn, struct error *error);
enum ods_status conn_send(struct conn *conn, const char *sql, struct error *error);
enum ods_status conn_send_params(struct conn *conn, const char *sql,
                                 const struct conn_params *params, struct error *error);
enum ods_status conn_send_prepare(struct conn *conn, const char *name, const char *sql,
                                  const struct conn_params *params, struct error *error);
enum ods_status conn_send_prepared(struct conn *conn, const char *name,
                                   const struct conn_params *params, struct error *error);
/* What was sent so far is a part of its own: an error in it does not concern what follows. */
enum ods_status conn_pipeline_part(struct conn *conn, struct error *error);
enum ods_status conn_pipeline_sync(struct conn *conn, struct error *error);
/* rows (may be NULL): how many the command changed. */
enum ods_status conn_read(struct conn *conn, uint64_t *rows, bool *aborted, struct error *error);
/* For commands with a conn_pipeline_sync() behind each: the result of the next one, which is the
 * caller's to PQclear. conn_pipeline_leave() behind the last. */
enum ods_status conn_read_alone(struct conn *conn, PGresult **result, struct error *error);
enum ods_status conn_pipeline_leave(struct conn *conn, struct error *error);
enum ods_status conn_pipeline_end(struct conn *conn, struct error *error);

/* COPY from stdin, outside a pipeline. Once begun it must be ended; what is not `whole` the server
 * throws away. An error of the server shows at the end. */
enum ods_status conn_copy_begin(struct conn *conn, const char *sql, struct error *error);
enum ods_status conn_copy_put(struct conn *conn, const char *bytes, size_t length,
                              struct error *error);
enum ods_status conn_copy_end(struct conn *conn, bool whole, struct error *error);

/* Fill error from a failed result (or, when result is NULL, from the connection). */
enum ods_status conn_error(struct conn *conn, const PGresult *result, struct error *error);

#endif
