/* See turn.h and sql/ods_sink.sql. */
#include "verify/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/verify_begin.h"
#include "sql/postgres/verify_end.h"
#include "sql/postgres/verify_fail.h"
#include "sql/postgres/verify_keep.h"
#include "sql/postgres/verify_lock.h"
#include "sql/postgres/verify_read.h"
#include "sql/postgres/verify_unlock.h"

struct turn {
    const char *group, *worker;
    struct conn conn;
    unsigned prepared; /* the session whose table is known to be there */
    unsigned locked;   /* the session that has the turn, 0: none */
    PGresult *rows;    /* of the last look, which the record points into */
};

enum ods_status turn_open(struct turn **out, const struct settings *settings,
                          const struct pipeline_settings *pipeline, const char *worker,
                          struct error *error)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    const struct postgres_settings *own = target->own;
    struct turn *turn = calloc(1, sizeof *turn);
    *out = NULL;
    if (!turn || !conn_init(&turn->conn, target->name, &own->session)) {
        free(turn);
        return error_set(error, ODS_FATAL, "out of memory or file descriptors for verify");
    }
    turn->group = pipeline->group_id;
    turn->worker = worker;
    *out = turn;
    return ODS_OK;
}

void turn_close(struct turn *turn)
{
    if (!turn)
        return;
    PQclear(turn->rows);
    conn_done(&turn->conn);
    free(turn);
}

void turn_interrupt(struct turn *turn)
{
    conn_interrupt(&turn->conn);
}

static enum ods_status prepare(struct turn *turn, struct error *error)
{
    enum ods_status status = conn_open(&turn->conn, error);
    if (status == ODS_OK && turn->prepared != turn->conn.generation) {
        status = own_schema_prepare_table(&turn->conn, "verify_runs", error);
        if (status == ODS_OK)
            turn->prepared = turn->conn.generation;
    }
    return status;
}

static enum ods_status ask(struct turn *turn, const char *sql, const char *value, PGresult **rows,
                           struct error *error)
{
    const char *values[] = {turn->group, value};
    return own_query(&turn->conn, sql, value ? 2 : 1, values, rows, error);
}

static int64_t moment(const PGresult *rows, int column)
{
    return PQntuples(rows) ? strtoll(PQgetvalue(rows, 0, column), NULL, 10) : 0;
}

static const char *text(const PGresult *rows, int column)
{
    return PQntuples(rows) ? PQgetvalue(rows, 0, column) : "";
}

enum place_in_row { BEGAN, FAILED, LAST_BEGAN, LAST_ENDED, WORKER, FAILURE, REPORT };

enum ods_status turn_look(struct turn *turn, struct turn_record *record, struct error *error)
{
    PGresult *now = NULL;
    PQclear(turn->rows);
    turn->rows = NULL;
    enum ods_status status = prepare(turn, error);
    if (status == ODS_OK)
        status = conn_query(&turn->conn,
                            "select (extract(epoch from clock_timestamp()) * 1000000)::bigint", 0,
                            NULL, &now, error);
    if (status == ODS_OK)
        status = ask(turn, sql_verify_read, NULL, &turn->rows, error);
    if (status == ODS_OK)
        *record = (struct turn_record){.now_us = moment(now, 0),
                                       .began_us = moment(turn->rows, BEGAN),
                                       .failed_us = moment(turn->rows, FAILED),
                                       .last_began_us = moment(turn->rows, LAST_BEGAN),
                                       .last_ended_us = moment(turn->rows, LAST_ENDED),
                                       .worker = text(turn->rows, WORKER),
                                       .failure = text(turn->rows, FAILURE),
                                       .report = text(turn->rows, REPORT)};
    PQclear(now);
    return status;
}

enum ods_status turn_take(struct turn *turn, bool *taken, struct error *error)
{
    PGresult *rows = NULL;
    *taken = false;
    enum ods_status status = prepare(turn, error);
    if (status == ODS_OK)
        status = ask(turn, sql_verify_lock, NULL, &rows, error);
    if (status == ODS_OK && text(rows, 0)[0] == 't') {
        *taken = true;
        turn->locked = turn->conn.generation;
    }
    PQclear(rows);
    return status;
}

static bool has_turn(const struct turn *turn)
{
    return turn->locked && turn->locked == turn->conn.generation && turn->conn.pg &&
           PQstatus(turn->conn.pg) == CONNECTION_OK;
}

void turn_leave(struct turn *turn)
{
    struct error ignored;
    error_init(&ignored);
    /* Where it can't be said, the session ends, and the lock with it. */
    if (has_turn(turn) && ask(turn, sql_verify_unlock, NULL, NULL, &ignored) != ODS_OK)
        conn_close(&turn->conn);
    turn->locked = 0;
}

static enum ods_status lost(struct error *error)
{
    return error_set(error, ODS_RETRY,
                     "the session in the target that holds the turn has ended: another process "
                     "may compare by now");
}

enum ods_status turn_begin(struct turn *turn, int64_t longest_ms, char **progress,
                           int64_t *began_us, struct error *error)
{
    char longest[24];
    const char *values[] = {turn->group, turn->worker, longest};
    PGresult *rows = NULL;
    *progress = NULL;
    if (!has_turn(turn))
        return lost(error);
    snprintf(longest, sizeof longest, "%lld", (long long) longest_ms);
    enum ods_status status = own_query(&turn->conn, sql_verify_begin, 3, values, &rows, error);
    if (status == ODS_OK && !PQgetisnull(rows, 0, 0)) {
        *progress = strdup(text(rows, 0));
        if (!*progress)
            status = error_out_of_memory(error);
    }
    if (status == ODS_OK)
        *began_us = moment(rows, 1);
    PQclear(rows);
    return status;
}

enum ods_status turn_keep(struct turn *turn, const char *progress, struct error *error)
{
    return has_turn(turn) ? ask(turn, sql_verify_keep, progress, NULL, error) : lost(error);
}

enum ods_status turn_end(struct turn *turn, const char *report, struct error *error)
{
    return has_turn(turn) ? ask(turn, sql_verify_end, report, NULL, error) : lost(error);
}

enum ods_status turn_fail(struct turn *turn, const char *why, struct error *error)
{
    enum ods_status status = prepare(turn, error);
    return status == ODS_OK ? ask(turn, sql_verify_fail, why, NULL, error) : status;
}
