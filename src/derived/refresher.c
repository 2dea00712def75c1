/* See refresher.h. */
#include "derived/refresher.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "derived/compile.h"
#include "derived/form.h"
#include "derived/pass.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/outbox_idle.h"

#define BUSY_MS    10   /* between two looks for marks while there are some, */
#define IDLE_MS    100  /* and at most while there are none */
#define ELECT_MS   1000 /* between two tries for a lock */
#define FRESH_MS   1000 /* between two passes over a table that nothing marks */
#define AGAIN_MS   1000 /* after a table could not be computed, the first time, */
#define LONGEST_MS 30000

/* One derived table. */
struct charge {
    struct kept kept;
    unsigned locked;  /* generation of the connection that has its lock, 0: none */
    int64_t elect_us; /* when to try for the lock, */
    int64_t try_us;   /* to look at it again after a failure, */
    int64_t fresh_us; /* and to see whether it is fresh. Monotonic */
    int64_t pause_ms; /* the last one after a failure */
    bool remarked;    /* all rows were marked, since single marks could not be read */
    bool marked;      /* the last look has found marks, or keys that wait */
    struct refresher_status status; /* guarded by the refresher's mutex */
};

struct refresher {
    struct conn conn;
    unsigned prepared; /* the session in which all is set up */
    struct refresher_listener listener;
    struct charge *charges; /* in the order in which they depend on each other */
    size_t count;
    int64_t idle_ms;
    bool away;
    pthread_mutex_t mutex;
};

static void say(const struct refresher *refresher, bool warning, const struct charge *charge,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void say(const struct refresher *refresher, bool warning, const struct charge *charge,
                const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    refresher->listener.say(refresher->listener.context, warning,
                            charge ? charge->kept.settings->name : "", text);
}

/* --- what is shown ---------------------------------------------------------------------------- */

const char *refresher_state_name(enum refresher_state state)
{
    static const char *const names[] = {"elsewhere", "away", "stopped", "filling", "keeps"};
    return names[state];
}

static void show_state(struct refresher *refresher, struct charge *charge,
                       enum refresher_state state, const char *problem)
{
    pthread_mutex_lock(&refresher->mutex);
    charge->status.state = state;
    snprintf(charge->status.problem, sizeof charge->status.problem, "%s", problem);
    pthread_mutex_unlock(&refresher->mutex);
}

static void show_pass(struct refresher *refresher, struct charge *charge,
                      const struct pass_result *result, int64_t took_us)
{
    struct refresher_status *status = &charge->status;
    pthread_mutex_lock(&refresher->mutex);
    status->passes += result->keys > 0;
    status->pass_us += result->keys ? took_us : 0;
    status->keys += result->keys;
    status->made += result->made;
    status->changed += result->changed;
    status->removed += result->removed;
    status->failed += result->failed;
    status->todo = result->todo;
    status->errors = result->errors;
    status->state = result->todo > 1 ? REFRESHER_FILLING : REFRESHER_KEEPS;
    status->problem[0] = '\0';
    if (!result->todo)
        status->fresh_us = time_wall_us();
    pthread_mutex_unlock(&refresher->mutex);
}

void refresher_status(struct refresher *refresher, size_t index, struct refresher_status *status)
{
    pthread_mutex_lock(&refresher->mutex);
    *status = refresher->charges[index].status;
    pthread_mutex_unlock(&refresher->mutex);
}

size_t refresher_count(const struct refresher *refresher)
{
    return refresher->count;
}

/* --- the session ------------------------------------------------------------------------------ */

/* Unlike a lane's statements, those of a pass join many rows, and each is planned for its keys. */
static const char session[] =
    "set enable_hashjoin = on; set enable_mergejoin = on; set enable_seqscan = off; set jit = off; "
    "set plan_cache_mode = force_custom_plan";

static enum ods_status ready(struct refresher *refresher, struct error *error)
{
    struct conn *conn = &refresher->conn;
    enum ods_status status = conn_open(conn, error);
    if (status != ODS_OK || refresher->prepared == conn->generation)
        return status;
    status = own_schema_prepare(conn, error);
    if (status == ODS_OK)
        status = own_schema_prepare_table(conn, "derived_marks", error);
    if (status == ODS_OK)
        status = conn_script(conn, session, error);
    /* A session of a machine that is gone ends, and with it the locks by which it was elected. */
    char limit[24];
    const char *values[] = {limit};
    snprintf(limit, sizeof limit, "%lld",
             (long long) conn->settings->idle_in_transaction_timeout_ms);
    if (status == ODS_OK && PQserverVersion(conn->pg) >= 140000)
        status = conn_query(conn, sql_outbox_idle, 1, values, NULL, error);
    if (status == ODS_OK)
        refresher->prepared = conn->generation;
    return status;
}

static bool is_elected(const struct refresher *refresher, const struct charge *charge)
{
    return charge->locked && refresher->conn.pg && charge->locked == refresher->conn.generation;
}

static enum ods_status elect(struct refresher *refresher, struct charge *charge,
                             struct error *error)
{
    const char *values[] = {charge->kept.name};
    PGresult *rows = NULL;
    int64_t now_us = time_monotonic_us();
    if (is_elected(refresher, charge) || now_us < charge->elect_us)
        return ODS_OK;
    charge->elect_us = now_us + ELECT_MS * 1000;
    enum ods_status status =
        conn_query(&refresher->conn,
                   "select pg_catalog.pg_try_advisory_lock(723549822, pg_catalog.hashtext($1))", 1,
                   values, &rows, error);
    if (status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't') {
        charge->locked = refresher->conn.generation;
        charge->kept.formed = false;
        charge->try_us = charge->fresh_us = 0;
    } else if (status == ODS_OK) {
        show_state(refresher, charge, REFRESHER_ELSEWHERE, "");
    }
    PQclear(rows);
    return status;
}

/* --- failures --------------------------------------------------------------------------------- */

static enum ods_status note_problem(struct refresher *refresher, struct charge *charge,
                                    const char *text)
{
    const char *values[] = {charge->kept.name, text};
    struct buffer sql;
    struct error ignored;
    error_init(&ignored);
    buffer_init(&sql);
    buffer_printf(&sql, "update %s.derived set problem = $2 where name = $1", charge->kept.own);
    enum ods_status status =
        conn_query(&refresher->conn, buffer_text(&sql), 2, values, NULL, &ignored);
    buffer_done(&sql);
    return status;
}

/* The table could not be computed. It is looked at anew, and others go on. */
static void fail(struct refresher *refresher, struct charge *charge, const struct error *error)
{
    bool known = strcmp(charge->status.problem, error->text) == 0;
    charge->kept.formed = false;
    charge->pause_ms = charge->pause_ms && !charge->kept.awaits ? charge->pause_ms * 2 : AGAIN_MS;
    if (charge->pause_ms > LONGEST_MS)
        charge->pause_ms = LONGEST_MS;
    charge->try_us = time_monotonic_us() + charge->pause_ms * 1000;
    show_state(refresher, charge, REFRESHER_STOPPED, error->text);
    if (known)
        return;
    say(refresher, !charge->kept.awaits, charge, "not computed%s: %.1800s",
        charge->kept.awaits ? " yet" : "", error->text);
    if (refresher->conn.pg)
        note_problem(refresher, charge, error->text);
}

static bool is_outage(const struct refresher *refresher)
{
    return !refresher->conn.pg || PQstatus(refresher->conn.pg) != CONNECTION_OK;
}

/* --- work ------------------------------------------------------------------------------------- */

static enum ods_status prepare(struct refresher *refresher, struct charge *charge,
                               struct error *error)
{
    struct form_change change;
    int64_t now_us = time_monotonic_us();
    if (charge->kept.formed || now_us < charge->try_us)
        return ODS_OK;
    enum ods_status status = form(&charge->kept, &refresher->conn, &change, error);
    if (status == ODS_OK && change.made)
        say(refresher, false, charge, "made, and filled from the tables that it depends on");
    else if (status == ODS_OK && change.altered)
        say(refresher, false, charge, "given its query's columns; all rows are computed anew");
    else if (status == ODS_OK && change.marked)
        say(refresher, false, charge, "its definition has changed; all rows are computed anew");
    charge->marked |= status == ODS_OK;
    return status;
}

/* Marks that can't be read, since a column's type is another one by now: all rows are meant. */
static enum ods_status mark_all(struct refresher *refresher, struct charge *charge,
                                struct error *error)
{
    const char *values[] = {charge->kept.name};
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "with old as (delete from %s.derived_marks where derived = $1) insert into "
                        "%s.derived_marks (derived, source) values ($1, '')",
                  charge->kept.own, charge->kept.own);
    enum ods_status status =
        conn_query(&refresher->conn, buffer_text(&sql), 1, values, NULL, error);
    buffer_done(&sql);
    return status;
}

static void tell_pass(struct refresher *refresher, struct charge *charge,
                      const struct pass_result *result)
{
    if (charge->pause_ms)
        say(refresher, false, charge, "computed again");
    charge->pause_ms = 0;
    if (result->failed)
        say(refresher, true, charge,
            "%lld key%s set aside in ods_sink.derived_errors, the first since: %.1500s",
            (long long) result->failed, result->failed == 1 ? "" : "s", result->first.text);
}

static enum ods_status compute(struct refresher *refresher, struct charge *charge, bool *worked,
                               struct error *error)
{
    struct pass_result result;
    int64_t begun_us = time_monotonic_us();
    enum ods_status status = pass(&charge->kept, &refresher->conn, &result, error);
    if (status == ODS_REJECT && !charge->remarked) {
        error_init(error);
        charge->remarked = *worked = true;
        return mark_all(refresher, charge, error);
    }
    if (status != ODS_OK)
        return status;
    charge->remarked = false;
    /* What is set aside was counted before the pass: it is counted again at once. */
    bool recount = result.keys && (result.failed || result.errors);
    charge->fresh_us = recount ? 0 : time_monotonic_us() + FRESH_MS * 1000;
    if (result.reshaped) {
        charge->kept.formed = false;
        *worked = true;
        return ODS_OK;
    }
    *worked |= result.keys > 0;
    tell_pass(refresher, charge, &result);
    show_pass(refresher, charge, &result, time_monotonic_us() - begun_us);
    return ODS_OK;
}

/* Which tables have marks, or keys that wait? */
static enum ods_status look(struct refresher *refresher, struct error *error)
{
    PGresult *rows = NULL;
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "select exists (select from ");
    const char *own = refresher->charges[0].kept.own;
    for (size_t i = 0; i < refresher->count; i++) {
        buffer_printf(&sql, "%s%s.derived_marks where derived = ",
                      i ? ", exists (select from " : "", own);
        compile_literal(&sql, refresher->charges[i].kept.name);
        buffer_printf(&sql, ") or exists (select from %s.derived_todo where derived = ", own);
        compile_literal(&sql, refresher->charges[i].kept.name);
        buffer_puts(&sql, ")");
    }
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_query(&refresher->conn, buffer_text(&sql), 0, NULL,
                                                     &rows, error);
    for (size_t i = 0; status == ODS_OK && i < refresher->count; i++)
        refresher->charges[i].marked = PQgetvalue(rows, 0, (int) i)[0] == 't';
    PQclear(rows);
    buffer_done(&sql);
    return status;
}

static bool is_due(const struct refresher *refresher, const struct charge *charge)
{
    int64_t now_us = time_monotonic_us();
    return is_elected(refresher, charge) && charge->kept.formed && now_us >= charge->try_us &&
           (charge->marked || now_us >= charge->fresh_us);
}

/* A table's part of a turn. An error of the table is its own, one of the session ends the turn. */
static enum ods_status tend(struct refresher *refresher, struct charge *charge, bool *worked,
                            struct error *error)
{
    struct error own;
    error_init(&own);
    enum ods_status status = elect(refresher, charge, &own);
    if (status == ODS_OK && is_elected(refresher, charge))
        status = prepare(refresher, charge, &own);
    if (status == ODS_OK && is_due(refresher, charge))
        status = compute(refresher, charge, worked, &own);
    if (status == ODS_OK)
        return ODS_OK;
    if (is_outage(refresher)) {
        *error = own;
        return ODS_RETRY;
    }
    fail(refresher, charge, &own);
    return ODS_OK;
}

static void tell_outage(struct refresher *refresher, const struct error *error)
{
    for (size_t i = 0; i < refresher->count; i++)
        show_state(refresher, &refresher->charges[i], REFRESHER_AWAY, error->text);
    if (!refresher->away)
        say(refresher, true, NULL, "waiting: %.1800s", error->text);
    refresher->away = true;
}

int64_t refresher_turn(struct refresher *refresher)
{
    struct error error;
    bool worked = false;
    error_init(&error);
    enum ods_status status = ready(refresher, &error);
    if (status == ODS_OK)
        status = look(refresher, &error);
    for (size_t i = 0; status == ODS_OK && i < refresher->count; i++)
        status = tend(refresher, &refresher->charges[i], &worked, &error);
    if (status != ODS_OK) {
        tell_outage(refresher, &error);
        return AGAIN_MS;
    }
    if (refresher->away)
        say(refresher, false, NULL, "the target answers again");
    refresher->away = false;
    refresher->idle_ms = worked ? BUSY_MS : refresher->idle_ms * 2;
    if (refresher->idle_ms > IDLE_MS)
        refresher->idle_ms = IDLE_MS;
    return refresher->idle_ms;
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum ods_status add_charges(struct refresher *refresher, const char *target,
                                   const struct derived_settings *derived, size_t count,
                                   const char *schema, struct error *error)
{
    enum ods_status status = ODS_OK;
    int deepest = 0;
    for (size_t i = 0; i < count; i++)
        if (derived[i].depth > deepest)
            deepest = derived[i].depth;
    for (int depth = 0; depth <= deepest; depth++)
        for (size_t i = 0; i < count && status == ODS_OK; i++) {
            if (derived[i].depth != depth || strcmp(derived[i].target, target) != 0)
                continue;
            struct charge *charge = &refresher->charges[refresher->count++];
            status = kept_init(&charge->kept, &derived[i], derived, count, schema, error);
            charge->status.name = charge->kept.name;
            charge->status.state = REFRESHER_AWAY;
        }
    return status;
}

enum ods_status refresher_open(struct refresher **out, const char *target,
                               const struct session_settings *settings,
                               const struct pipeline_settings *hides,
                               const struct derived_settings *derived, size_t count,
                               const struct refresher_listener *listener, struct error *error)
{
    struct refresher *refresher = calloc(1, sizeof *refresher);
    *out = NULL;
    if (!refresher || !conn_init(&refresher->conn, target, settings)) {
        free(refresher);
        return error_set(error, ODS_FATAL, "out of memory or file descriptors for derived tables");
    }
    refresher->conn.hides = hides;
    refresher->conn.hides_all = true;
    pthread_mutex_init(&refresher->mutex, NULL);
    refresher->listener = *listener;
    refresher->idle_ms = BUSY_MS;
    refresher->charges = calloc(count + 1, sizeof *refresher->charges);
    enum ods_status status = refresher->charges
                                 ? add_charges(refresher, target, derived, count, settings->schema,
                                               error)
                                 : error_out_of_memory(error);
    if (status == ODS_OK)
        *out = refresher;
    else
        refresher_close(refresher);
    return status;
}

void refresher_close(struct refresher *refresher)
{
    if (!refresher)
        return;
    for (size_t i = 0; i < refresher->count; i++)
        kept_done(&refresher->charges[i].kept);
    free(refresher->charges);
    conn_done(&refresher->conn);
    pthread_mutex_destroy(&refresher->mutex);
    free(refresher);
}

void refresher_interrupt(struct refresher *refresher)
{
    conn_interrupt(&refresher->conn);
}
