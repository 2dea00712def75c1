/* One PostgreSQL connection. See conn.h. */
#include "sink/postgres/wire/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/time.h"
#include "core/utf8.h"

#define ALIVE_MS 1000

bool conn_init(struct conn *conn, const char *name, const struct session_settings *settings)
{
    *conn = (struct conn){.name = name, .settings = settings};
    statements_init(&conn->statements, (size_t) settings->max_prepared_statements);
    conn->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return conn->interrupt_fd >= 0;
}

void conn_done(struct conn *conn)
{
    conn_close(conn);
    statements_done(&conn->statements);
    if (conn->interrupt_fd >= 0)
        close(conn->interrupt_fd);
    conn->interrupt_fd = -1;
}

void conn_close(struct conn *conn)
{
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->read_only = false;
    conn->queued = conn->parts = 0;
}

void conn_interrupt(struct conn *conn)
{
    uint64_t one = 1;
    ssize_t written = write(conn->interrupt_fd, &one, sizeof one);
    (void) written; /* it fails only when the counter is full, and then it is set already */
}

/* An interrupt ends one wait: the wait that sees it also clears it. */
void conn_clear_interrupt(struct conn *conn)
{
    uint64_t count;
    ssize_t got = read(conn->interrupt_fd, &count, sizeof count);
    (void) got;
}

static enum ods_status lost(struct conn *conn, struct error *error)
{
    enum ods_status status = conn_error(conn, NULL, error);
    if (error)
        error->code[0] = '\0';
    conn_close(conn);
    return status;
}

enum ods_status conn_wait(struct conn *conn, short events, int64_t deadline_us, struct error *error)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = PQsocket(conn->pg), .events = events},
            {.fd = conn->interrupt_fd, .events = POLLIN},
        };
        int timeout = ALIVE_MS;
        if (conn->alive)
            conn->alive(conn->alive_context);
        if (deadline_us) {
            int64_t left = (deadline_us - time_monotonic_us() + 999) / 1000;
            if (left <= 0)
                return error_set(error, ODS_RETRY, "target %s: no answer in time", conn->name);
            timeout = left < ALIVE_MS ? (int) left : ALIVE_MS;
        }
        int ready = poll(fds, 2, timeout);
        if (ready < 0 && errno != EINTR)
            return error_set(error, ODS_RETRY, "target %s: poll: %s", conn->name,
                             strerror(errno));
        if (ready > 0 && fds[1].revents) {
            conn_clear_interrupt(conn);
            return error_set(error, ODS_RETRY, "target %s: interrupted", conn->name);
        }
        if (ready > 0 && fds[0].revents)
            return ODS_OK;
    }
}

/* Sends what libpq has buffered, and reads what arrives meanwhile, until a result is complete. */
static enum ods_status wait_result(struct conn *conn, struct error *error)
{
    for (;;) {
        int unsent = PQflush(conn->pg);
        if (unsent < 0)
            return lost(conn, error);
        if (!PQisBusy(conn->pg))
            return ODS_OK;
        enum ods_status status = conn_wait(conn, unsent ? POLLIN | POLLOUT : POLLIN, 0, error);
        if (status != ODS_OK) {
            conn_close(conn); /* the server's state is unknown: start afresh */
            return status;
        }
        if (!PQconsumeInput(conn->pg))
            return lost(conn, error);
    }
}

static bool result_is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* Reads all results of one command. The first error is the answer; without one, *result is the last
 * result. */
static enum ods_status collect(struct conn *conn, PGresult **result, struct error *error)
{
    enum ods_status status = ODS_OK;
    PGresult *last = NULL;
    for (;;) {
        enum ods_status waited = wait_result(conn, error);
        if (waited != ODS_OK) {
            PQclear(last);
            return waited;
        }
        PGresult *next = PQgetResult(conn->pg);
        if (!next)
            break;
        if (!result_is_good(next) && status == ODS_OK)
            status = conn_error(conn, next, error);
        PQclear(last);
        last = next;
    }
    if (status == ODS_OK && result) {
        *result = last;
        last = NULL;
    }
    PQclear(last);
    if (PQstatus(conn->pg) == CONNECTION_BAD)
        conn_close(conn);
    return status;
}

enum ods_status conn_query(struct conn *conn, const char *sql, int count, const char *const *values,
                           PGresult **result, struct error *error)
{
    if (!PQsendQueryParams(conn->pg, sql, count, NULL, values, NULL, NULL, 0))
        return lost(conn, error);
    return collect(conn, result, error);
}

/* Formats of parameters: all binary. No statement has more parameters than a table has columns. */
static const int *binary_formats(int count)
{
    enum { MOST = 1664 };
    static const int formats[MOST] = {[0 ... MOST - 1] = 1};
    return count <= MOST ? formats : NULL;
}

static enum ods_status query(struct conn *conn, const char *sql, const struct conn_params *params,
                             int format, PGresult **result, struct error *error)
{
    if (!PQsendQueryParams(conn->pg, sql, params->count, params->types, params->values,
                           params->lengths, binary_formats(params->count), format))
        return lost(conn, error);
    return collect(conn, result, error);
}

enum ods_status conn_query_params(struct conn *conn, const char *sql,
                                  const struct conn_params *params, PGresult **result,
                                  struct error *error)
{
    return query(conn, sql, params, 0, result, error);
}

enum ods_status conn_query_binary(struct conn *conn, const char *sql,
                                  const struct conn_params *params, PGresult **result,
                                  struct error *error)
{
    return query(conn, sql, params, 1, result, error);
}

enum ods_status conn_script(struct conn *conn, const char *sql, struct error *error)
{
    if (!PQsendQuery(conn->pg, sql))
        return lost(conn, error);
    return collect(conn, NULL, error);
}

enum ods_status conn_pipeline_begin(struct conn *conn, struct error *error)
{
    return PQenterPipelineMode(conn->pg) ? ODS_OK : lost(conn, error);
}

/* Sends what libpq has buffered before it gets more, so that its buffer never holds more than one
 * command, however slowly the server reads. */
static enum ods_status drain(struct conn *conn, struct error *error)
{
    for (;;) {
        int unsent = PQflush(conn->pg);
        if (unsent < 0)
            return lost(conn, error);
        if (!unsent)
            return ODS_OK;
        enum ods_status status = conn_wait(conn, POLLIN | POLLOUT, 0, error);
        if (status != ODS_OK) {
            conn_close(conn);
            return status;
        }
        if (!PQconsumeInput(conn->pg))
            return lost(conn, error);
    }
}

static enum ods_status sent(struct conn *conn, int accepted, struct error *error)
{
    if (!accepted)
        return lost(conn, error);
    conn->queued++;
    return drain(conn, error);
}

enum ods_status conn_send(struct conn *conn, const char *sql, struct error *error)
{
    return sent(conn, PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0), error);
}

enum ods_status conn_send_params(struct conn *conn, const char *sql,
                                 const struct conn_params *params, struct error *error)
{
    return sent(conn,
                PQsendQueryParams(conn->pg, sql, params->count, params->types, params->values,
                                  params->lengths, binary_formats(params->count), 0),
                error);
}

enum ods_status conn_send_prepare(struct conn *conn, const char *name, const char *sql,
                                  const struct conn_params *params, struct error *error)
{
    return sent(conn, PQsendPrepare(conn->pg, name, sql, params->count, params->types), error);
}

enum ods_status conn_send_prepared(struct conn *conn, const char *name,
                                   const struct conn_params *params, struct error *error)
{
    return sent(conn,
                PQsendQueryPrepared(conn->pg, name, params->count, params->values, params->lengths,
                                    binary_formats(params->count), 0),
                error);
}

enum ods_status conn_pipeline_part(struct conn *conn, struct error *error)
{
    if (!PQpipelineSync(conn->pg))
        return lost(conn, error);
    conn->parts++;
    return ODS_OK;
}

enum ods_status conn_pipeline_sync(struct conn *conn, struct error *error)
{
    return PQpipelineSync(conn->pg) ? ODS_OK : lost(conn, error);
}

enum ods_status conn_read(struct conn *conn, uint64_t *rows, bool *aborted, struct error *error)
{
    PGresult *result = NULL;
    *aborted = false;
    while (!result) {
        enum ods_status status = wait_result(conn, error);
        if (status != ODS_OK)
            return status;
        result = PQgetResult(conn->pg); /* NULL stands between two commands */
        if (!result && PQstatus(conn->pg) == CONNECTION_BAD)
            return lost(conn, error);
        if (result && conn->parts && PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            result = NULL;
            conn->parts--;
        }
    }
    conn->queued--;
    enum ods_status status = ODS_OK;
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED) {
        *aborted = true;
        status = error_set(error, ODS_RETRY, "pipeline aborted");
    } else if (!result_is_good(result)) {
        status = conn_error(conn, result, error);
    } else if (rows) {
        *rows = strtoull(PQcmdTuples(result), NULL, 10);
    }
    PQclear(result);
    if (PQstatus(conn->pg) == CONNECTION_BAD)
        conn_close(conn);
    return status;
}

enum ods_status conn_pipeline_end(struct conn *conn, struct error *error)
{
    for (;;) {
        enum ods_status status = wait_result(conn, error);
        if (status != ODS_OK)
            return status;
        PGresult *result = PQgetResult(conn->pg);
        bool synced = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
        if (synced && !conn->parts--)
            break;
        if (PQstatus(conn->pg) == CONNECTION_BAD)
            return lost(conn, error);
    }
    conn->queued = conn->parts = 0;
    return PQexitPipelineMode(conn->pg) ? ODS_OK : lost(conn, error);
}

enum ods_status conn_read_alone(struct conn *conn, PGresult **result, struct error *error)
{
    enum ods_status answer = ODS_OK;
    *result = NULL;
    for (;;) {
        enum ods_status status = wait_result(conn, error);
        if (status != ODS_OK)
            return status;
        PGresult *next = PQgetResult(conn->pg); /* NULL stands between two commands */
        if (!next && PQstatus(conn->pg) == CONNECTION_BAD)
            return lost(conn, error);
        if (!next)
            continue;
        if (PQresultStatus(next) == PGRES_PIPELINE_SYNC) {
            PQclear(next);
            return answer;
        }
        if (!result_is_good(next) && answer == ODS_OK)
            answer = conn_error(conn, next, error);
        PQclear(*result);
        *result = next;
    }
}

enum ods_status conn_pipeline_leave(struct conn *conn, struct error *error)
{
    conn->queued = 0;
    return PQexitPipelineMode(conn->pg) ? ODS_OK : lost(conn, error);
}

static enum ods_status copy(struct conn *conn, const char *sql, ExecStatusType direction,
                            struct error *error)
{
    if (!PQsendQuery(conn->pg, sql))
        return lost(conn, error);
    enum ods_status status = wait_result(conn, error);
    if (status != ODS_OK)
        return status;
    PGresult *result = PQgetResult(conn->pg);
    if (result && PQresultStatus(result) == direction) {
        PQclear(result);
        return ODS_OK;
    }
    status = conn_error(conn, result, error);
    PQclear(result);
    collect(conn, NULL, NULL);
    return status;
}

enum ods_status conn_copy_begin(struct conn *conn, const char *sql, struct error *error)
{
    return copy(conn, sql, PGRES_COPY_IN, error);
}

enum ods_status conn_copy_put(struct conn *conn, const char *bytes, size_t length,
                              struct error *error)
{
    return PQputCopyData(conn->pg, bytes, (int) length) == 1 ? drain(conn, error)
                                                             : lost(conn, error);
}

enum ods_status conn_copy_end(struct conn *conn, bool whole, struct error *error)
{
    if (PQputCopyEnd(conn->pg, whole ? NULL : "a row can't be encoded") != 1)
        return lost(conn, error);
    return collect(conn, NULL, error);
}

enum ods_status conn_copy_out(struct conn *conn, const char *sql, struct error *error)
{
    return copy(conn, sql, PGRES_COPY_OUT, error);
}

enum ods_status conn_copy_row(struct conn *conn, char **row, size_t *length, struct error *error)
{
    PQfreemem(*row);
    *row = NULL;
    *length = 0;
    for (;;) {
        int got = PQgetCopyData(conn->pg, row, 1);
        if (got > 0) {
            *length = (size_t) got;
            return ODS_OK;
        }
        if (got == -1)
            return collect(conn, NULL, error);
        if (got < 0)
            return lost(conn, error);
        enum ods_status status = conn_wait(conn, POLLIN, 0, error);
        if (status != ODS_OK) {
            conn_close(conn);
            return status;
        }
        if (!PQconsumeInput(conn->pg))
            return lost(conn, error);
    }
}
