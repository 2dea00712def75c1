/* One PostgreSQL connection: connecting, pipelines, and its errors.
 *
 * Owned and entered by a lane's writer thread; only conn_interrupt() may be called by another one.
 * The socket is non-blocking and every wait also listens to the interrupt, so a hanging server
 * never holds up a shutdown or a rebalance.
 */
#ifndef CONN_H
#define CONN_H

#include <libpq-fe.h>

#include <ods/pipeline.h>
#include <ods/status.h>
#include "sink/postgres/wire/session.h"
#include "sink/postgres/wire/sqlstate.h"
#include "sink/postgres/wire/statements.h"

struct rehearsal; /* tables/rehearsal.h */

struct conn {
    const char *name; /* the target's, for messages */
    const struct session_settings *settings;
    /* Whose tables redact columns: what the server says of such a table, or of one that it does not
     * name, is told without words that may quote a row. NULL: nothing is hidden. */
    const struct pipeline_settings *hides;
    bool hides_all; /* of whatever table: its statements join rows of several */
    PGconn *pg; /* NULL: not connected */
    bool read_only; /* the server has refused to write: it may be a standby by now, and conn_open()
                       looks for the one that is not */
    int interrupt_fd;
    struct rehearsal *rehearsal; /* changes of tables are only tried; NULL: they are made */
    void (*alive)(void *context); /* called while the server is waited for, or NULL */
    void *alive_context;
    unsigned generation; /* grows with each connection, which begins without prepared statements */
    uint64_t prepared;   /* how many statements were ever prepared: the number in the next name */
    struct statements statements;
    unsigned parts;      /* parts of the pipeline that are ended and not read yet */
    unsigned queued;     /* commands in the pipeline whose results are not read yet */
    uint64_t copy_line;  /* the row of a COPY (the first is 1) that the last error names; 0: none */
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

/* Connects, unless it is connected to a server that writes. Of several hosts the first that answers
 * in its time and can write, unless the dsn says otherwise (target_session_attrs). ODS_RETRY: the
 * server is away or refuses. ODS_FATAL: waiting does not help, as with a dsn that can't be parsed.
 */
enum ods_status conn_open(struct conn *conn, struct error *error);
void conn_close(struct conn *conn);
/* Called by any thread: ends the present wait, or the next one when nothing waits now. */
void conn_interrupt(struct conn *conn);
/* Drops an interrupt that has not ended a wait. */
void conn_clear_interrupt(struct conn *conn);

/* One statement outside a pipeline, with `count` parameters as text. The caller frees *result with
 * PQclear(); `result` may be NULL. */
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

/* COPY to stdout, outside a pipeline. conn_copy_out() begins it; each further call gives one row,
 * which takes the place of the one before. *row NULL: there are no more rows, and the connection is
 * free for other commands. */
enum ods_status conn_copy_out(struct conn *conn, const char *sql, struct error *error);
enum ods_status conn_copy_row(struct conn *conn, char **row, size_t *length, struct error *error);

/* Several statements without parameters, in one round trip. */
enum ods_status conn_script(struct conn *conn, const char *sql, struct error *error);

/* A pipeline: conn_pipeline_begin(), any number of commands, conn_pipeline_sync(), then one read
 * for each command in its order, then conn_pipeline_end(). Once a command has failed, the reads of
 * the commands after it return ODS_RETRY with "pipeline aborted", and set *aborted. */
enum ods_status conn_pipeline_begin(struct conn *conn, struct error *error);
enum ods_status conn_send(struct conn *conn, const char *sql, struct error *error);
enum ods_status conn_send_params(struct conn *conn, const char *sql,
                                 const struct conn_params *params, struct error *error);
enum ods_status conn_send_prepare(struct conn *conn, const char *name, const char *sql,
                                  const struct conn_params *params, struct error *error);
enum ods_status conn_send_prepared(struct conn *conn, const char *name,
                                   const struct conn_params *params, struct error *error);
/* Ends a part of the pipeline: an error in it does not stop the commands of the next part. */
enum ods_status conn_pipeline_part(struct conn *conn, struct error *error);
enum ods_status conn_pipeline_sync(struct conn *conn, struct error *error);
/* Reads the next result. *rows: how many rows the command changed; `rows` may be NULL. */
enum ods_status conn_read(struct conn *conn, uint64_t *rows, bool *aborted, struct error *error);
/* For commands of which each is followed by conn_pipeline_sync(): reads the result of the next one,
 * which the caller frees with PQclear(). After the last one comes conn_pipeline_leave(). */
enum ods_status conn_read_alone(struct conn *conn, PGresult **result, struct error *error);
enum ods_status conn_pipeline_leave(struct conn *conn, struct error *error);
enum ods_status conn_pipeline_end(struct conn *conn, struct error *error);

/* COPY from stdin, outside a pipeline. Once begun it must be ended; unless it is `whole` then, the
 * server throws its rows away. An error of the server is reported only at the end. */
enum ods_status conn_copy_begin(struct conn *conn, const char *sql, struct error *error);
enum ods_status conn_copy_put(struct conn *conn, const char *bytes, size_t length,
                              struct error *error);
enum ods_status conn_copy_end(struct conn *conn, bool whole, struct error *error);

/* For conn_open() too: waits for the socket. ODS_RETRY: interrupted, or the deadline (0: none) has
 * passed. */
enum ods_status conn_wait(struct conn *conn, short events, int64_t deadline_us,
                          struct error *error);

/* Fills the error from a failed result, or, when `result` is NULL, from the connection. */
enum ods_status conn_error(struct conn *conn, const PGresult *result, struct error *error);

#endif
