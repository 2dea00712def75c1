/* The session of an outbox's reader. See outbox.h, and sql/postgres/outbox_*.sql. */
#include "sink/postgres/outbox/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/outbox_again.h"
#include "sql/postgres/outbox_idle.h"
#include "sql/postgres/outbox_lock.h"
#include "sql/postgres/outbox_read.h"
#include "sql/postgres/outbox_reader.h"
#include "sql/postgres/outbox_settle.h"
#include "sql/postgres/outbox_waiting.h"

#define SETTLE_READS "8"
#define SWEEP_US     INT64_C(60000000)
#define DIGITS       24

struct outbox {
    struct conn conn;
    struct session_settings settings; /* the target's, but commits are waited for */
};

/* A number as a parameter. */
struct number {
    char text[DIGITS];
};

static const char *digits(struct number *number, int64_t value)
{
    snprintf(number->text, sizeof number->text, "%lld", (long long) value);
    return number->text;
}

static int64_t number_at(const PGresult *rows, int row, int column)
{
    return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

static const char *text_at(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

struct outbox *outbox_new(const struct target_settings *target)
{
    const struct postgres_settings *settings = target->own;
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox)
        return NULL;
    outbox->settings = settings->session;
    outbox->settings.synchronous_commit = true;
    if (conn_init(&outbox->conn, target->name, &outbox->settings))
        return outbox;
    conn_done(&outbox->conn);
    free(outbox);
    return NULL;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    conn_done(&outbox->conn);
    free(outbox);
}

void outbox_interrupt(struct outbox *outbox)
{
    conn_interrupt(&outbox->conn);
}

void outbox_disconnect(struct outbox *outbox)
{
    conn_close(&outbox->conn);
}

unsigned outbox_session(const struct outbox *outbox)
{
    return outbox->conn.pg ? outbox->conn.generation : 0;
}

/* A reader that stands still, or is cut off, holds its locks no longer than that; one that works
 * says something every second. */
static enum ods_status end_when_idle(struct conn *conn, struct error *error)
{
    struct number limit;
    const char *values[] = {digits(&limit, conn->settings->idle_in_transaction_timeout_ms)};
    if (PQserverVersion(conn->pg) < 140000)
        return ODS_OK;
    return conn_query(conn, sql_outbox_idle, 1, values, NULL, error);
}

enum ods_status outbox_connect(struct outbox *outbox, struct error *error)
{
    unsigned before = outbox_session(outbox);
    enum ods_status status = conn_open(&outbox->conn, error);
    if (status != ODS_OK || before == outbox->conn.generation)
        return status;
    status = own_schema_prepare(&outbox->conn, error);
    if (status == ODS_OK)
        status = end_when_idle(&outbox->conn, error);
    if (status == ODS_OK)
        status = own_schema_prepare_table(&outbox->conn, "outbox_reads", error);
    if (status != ODS_OK)
        conn_close(&outbox->conn);
    return status;
}

enum ods_status outbox_look(struct outbox *outbox, bool *there, struct error *error)
{
    enum ods_status status = conn_open(&outbox->conn, error);
    return status == ODS_OK ? own_table_is_there(&outbox->conn, "outbox_reads", there, error)
                            : status;
}

enum ods_status outbox_hold(struct outbox *outbox, struct outbox_view *view, bool *held,
                            struct error *error)
{
    const char *values[] = {view->name};
    PGresult *rows = NULL;
    enum ods_status status = own_query(&outbox->conn, sql_outbox_lock, 1, values, &rows, error);
    *held = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    if (!*held)
        return status;
    rows = NULL;
    status = own_query(&outbox->conn, sql_outbox_reader, 1, values, &rows, error);
    if (status == ODS_OK)
        *view = (struct outbox_view){.name = view->name,
                                     .next_place = number_at(rows, 0, 0),
                                     .settled = number_at(rows, 0, 1),
                                     .swept_us = time_monotonic_us()};
    PQclear(rows);
    return status;
}

/* Hands the rows out. Those of a statement that has found none have nulls in them. */
static enum ods_status hand_out(const PGresult *rows, outbox_take *take, void *context,
                                int64_t *count, struct error *error)
{
    for (int row = 0; row < PQntuples(rows) && !PQgetisnull(rows, row, 1); row++) {
        const struct outbox_row one = {.place = number_at(rows, row, 0),
                                       .id = number_at(rows, row, 1),
                                       .op = PQgetvalue(rows, row, 2),
                                       .key = PQgetvalue(rows, row, 3),
                                       .before = text_at(rows, row, 4),
                                       .after = text_at(rows, row, 5),
                                       .error = text_at(rows, row, 6),
                                       .at_ms = number_at(rows, row, 7)};
        if (!take(context, &one))
            return error_out_of_memory(error);
        ++*count;
    }
    return ODS_OK;
}

/* Once all is read that one snapshot shows, and all that was open when `seen` was seen is over,
 * nothing can come below that id: the next look begins there, and passes the index entries of what
 * was deleted. An id is taken a moment before its transaction has a number, so it is looked from
 * the beginning once a minute all the same. */
static void note_bounds(struct outbox_view *view, const PGresult *rows, bool whole, int64_t last)
{
    int64_t xmin = number_at(rows, 0, 8), xmax = number_at(rows, 0, 9);
    int64_t now_us = time_monotonic_us();
    if (whole && view->seen > view->low && xmin >= view->seen_xmax)
        view->low = view->seen;
    if (last > view->seen) {
        view->seen = last;
        view->seen_xmax = xmax;
    }
    if (now_us - view->swept_us >= SWEEP_US) {
        view->swept_us = now_us;
        view->low = view->seen = 0;
    }
}

enum ods_status outbox_read(struct outbox *outbox, struct outbox_view *view,
                            const struct outbox_limits *limits, outbox_take *take, void *context,
                            int64_t *count, struct error *error)
{
    struct number place, most, bytes, low;
    const char *values[] = {view->name, digits(&place, view->next_place),
                            digits(&most, limits->rows), digits(&bytes, limits->bytes),
                            digits(&low, view->low)};
    PGresult *rows = NULL;
    *count = 0;
    enum ods_status status = own_query(&outbox->conn, sql_outbox_read, 5, values, &rows, error);
    if (status == ODS_OK) {
        int found = PQgetisnull(rows, 0, 1) ? 0 : PQntuples(rows);
        int64_t there = number_at(rows, 0, 10);
        view->next_place += found;
        note_bounds(view, rows, there == found && there < limits->rows,
                    found ? number_at(rows, found - 1, 1) : 0);
        status = hand_out(rows, take, context, count, error);
    }
    PQclear(rows);
    return status;
}

enum ods_status outbox_read_again(struct outbox *outbox, const struct outbox_view *view,
                                  int64_t from, const struct outbox_limits *limits,
                                  outbox_take *take, void *context, int64_t *count,
                                  struct error *error)
{
    struct number place, most, bytes;
    const char *values[] = {view->name, digits(&place, from), digits(&most, limits->rows),
                            digits(&bytes, limits->bytes)};
    PGresult *rows = NULL;
    *count = 0;
    enum ods_status status = own_query(&outbox->conn, sql_outbox_again, 4, values, &rows, error);
    if (status == ODS_OK)
        status = hand_out(rows, take, context, count, error);
    PQclear(rows);
    return status;
}

enum ods_status outbox_settle(struct outbox *outbox, struct outbox_view *view, int64_t upto,
                              struct error *error)
{
    struct number place;
    const char *values[] = {view->name, digits(&place, upto), SETTLE_READS};
    PGresult *rows = NULL;
    enum ods_status status = own_query(&outbox->conn, sql_outbox_settle, 3, values, &rows, error);
    if (status == ODS_OK && PQntuples(rows))
        view->settled = number_at(rows, 0, 0);
    PQclear(rows);
    return status;
}

enum ods_status outbox_waiting(struct outbox *outbox, const char *name, int64_t most,
                               int64_t *count, struct error *error)
{
    struct number limit;
    const char *values[] = {name, digits(&limit, most)};
    PGresult *rows = NULL;
    enum ods_status status = own_query(&outbox->conn, sql_outbox_waiting, 2, values, &rows, error);
    *count = status == ODS_OK ? number_at(rows, 0, 0) : 0;
    PQclear(rows);
    return status;
}
