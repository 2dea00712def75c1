/* What an attempt sends, and the results. See attempt.h. */
#include "sink/postgres/write/attempt.h"

#include <stdio.h>
#include <string.h>

#include "sink/postgres/fold/guess.h"
#include "sink/postgres/fold/moved_keys.h"
#include "sink/postgres/tables/history.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/write/marks.h"
#include "sink/postgres/write/offsets.h"
#include "sink/rows/aside.h"

/* Bytes of one statement's rows: enough that a statement's fixed cost is small against them, and
 * few enough that their memory does not matter. */
#define STATEMENT_BYTES ((size_t) 1024 * 1024)

/* Notes a command whose sending gave *status, so that its results are read. NULL: it was not sent,
 * or memory is out, as *status then says. */
static struct sent *add_sent(struct attempt *attempt, unsigned commands, enum ods_status *status)
{
    struct sent *sent =
        *status == ODS_OK ? arena_alloc(&attempt->postgres->scratch, sizeof *sent) : NULL;
    if (!sent) {
        if (*status == ODS_OK)
            *status = error_out_of_memory(attempt->error);
        return NULL;
    }
    *sent = (struct sent){.commands = commands, .step = attempt->step};
    *attempt->sent_tail = sent;
    attempt->sent_tail = &sent->next;
    return sent;
}

enum ods_status attempt_send(struct attempt *attempt, const char *sql)
{
    enum ods_status status = conn_send(&attempt->postgres->conn, sql, attempt->error);
    add_sent(attempt, 1, &status);
    return status;
}

enum ods_status attempt_send_own(struct attempt *attempt, const char *sql,
                                 const struct conn_params *params)
{
    enum ods_status status =
        conn_send_params(&attempt->postgres->conn, sql, params, attempt->error);
    struct sent *sent = add_sent(attempt, 1, &status);
    if (sent)
        sent->ours = true;
    return status;
}

static enum ods_status send_offsets(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    if (!attempt->batch->claim_count)
        return ODS_OK;
    enum ods_status status = offsets_send(&postgres->conn, postgres->config.group, attempt->batch,
                                          postgres->offsets, attempt->error);
    struct sent *sent = add_sent(attempt, 1, &status);
    if (sent)
        sent->ours = true;
    return status;
}

/* Deallocates the names of statements that made room for others. Each is a part of the pipeline by
 * itself, so that an error there does not matter. */
static enum ods_status close_statements(struct attempt *attempt)
{
    struct conn *conn = &attempt->postgres->conn;
    struct statements *statements = &conn->statements;
    enum ods_status status = ODS_OK;
    while (status == ODS_OK && statements->closing_count) {
        char sql[64];
        snprintf(sql, sizeof sql, "deallocate " STATEMENT_NAME,
                 (unsigned long long) statements->closing[--statements->closing_count]);
        status = conn_send(conn, sql, attempt->error);
        struct sent *sent = add_sent(attempt, 1, &status);
        if (sent)
            sent->closes = true;
        if (status == ODS_OK)
            status = conn_pipeline_part(conn, attempt->error);
    }
    return status;
}

/* Sends the identities of a queue's records, where other sources have offsets. */
static enum ods_status send_delivered(struct attempt *attempt)
{
    const struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->delivery_count; i++) {
        bool any = false;
        status = delivered_send(&attempt->postgres->delivered, batch, &batch->deliveries[i], &any,
                                attempt->error);
        struct sent *sent = any ? add_sent(attempt, 1, &status) : NULL;
        if (sent)
            sent->ours = true;
    }
    return status;
}

enum ods_status attempt_resume(struct attempt *attempt)
{
    if (attempt->transaction == TRANSACTION_OPEN)
        return ODS_OK;
    if (attempt->transaction == TRANSACTION_BROKEN) {
        *attempt->result = attempt->at_mark;
        return attempt_send(attempt, "rollback to ods_mark");
    }
    attempt->begun = *attempt->result;
    enum ods_status status = close_statements(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, "begin");
    if (status == ODS_OK && attempt->caution >= CAUTION_IMMEDIATE)
        status = attempt_send(attempt, "set constraints all immediate");
    if (status == ODS_OK)
        status = send_offsets(attempt);
    if (status == ODS_OK)
        status = send_delivered(attempt);
    if (status == ODS_OK && attempt->postgres->moved_keys.noted) {
        status = moved_keys_send(&attempt->postgres->moved_keys, attempt->error);
        struct sent *sent = add_sent(attempt, 1, &status);
        if (sent)
            sent->ours = true;
    }
    return status == ODS_OK ? marks_send_before(attempt) : status;
}

enum ods_status attempt_mark(struct attempt *attempt, uint32_t step)
{
    enum ods_status status = ODS_OK;
    if (attempt->mark_sent)
        status = attempt_send(attempt, "release ods_mark");
    if (status == ODS_OK)
        status = conn_send(&attempt->postgres->conn, "savepoint ods_mark", attempt->error);
    struct sent *sent = add_sent(attempt, 1, &status);
    if (sent) {
        sent->marks = true;
        sent->step = step;
        attempt->mark_sent = true;
    }
    return status;
}

enum ods_status attempt_begin_marked(struct attempt *attempt)
{
    bool fresh = attempt->transaction == TRANSACTION_BROKEN;
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_resume(attempt);
    if (status == ODS_OK && !fresh)
        status = attempt_mark(attempt, attempt->mark);
    return status;
}

enum ods_status attempt_mend(struct attempt *attempt)
{
    if (attempt->transaction != TRANSACTION_BROKEN)
        return ODS_OK;
    enum ods_status status =
        conn_script(&attempt->postgres->conn, "rollback to ods_mark", attempt->error);
    if (status == ODS_OK) {
        attempt->transaction = TRANSACTION_OPEN;
        *attempt->result = attempt->at_mark;
    }
    return status;
}

/* The lane is to stop for this refusal (on_trigger_error: stop). */
static enum ods_status stop_for(struct attempt *attempt, uint32_t change, const struct error *why)
{
    const struct record *record =
        &attempt->batch->records[attempt->batch->changes[change].record];
    struct error first = *why; /* a copy: `why` may be attempt->error itself */
    *attempt->error = first;
    return error_set(attempt->error, ODS_FATAL,
                     "topic %s partition %d offset %lld: a trigger or another function of the "
                     "table's own refuses the row, and on_trigger_error is stop: mend the "
                     "function, or set on_trigger_error: dead_letter for the table, and start "
                     "again: %s",
                     record->topic, (int) record->partition, (long long) record->offset,
                     first.text);
}

enum ods_status attempt_refuse(struct attempt *attempt, uint32_t change,
                               const struct error *reason)
{
    const struct plan *plan = attempt->postgres->change_plans[change];
    struct error shown = *reason;
    const struct error *why = &shown;
    if (plan) {
        history_explain(plan, &shown);
        fold_hide_redacted(plan, &shown);
    }
    bool routine = why->origin == ORIGIN_ROUTINE || why->origin == ORIGIN_RAISED;
    bool replayed = attempt->batch->guard_time; /* a replayed dead letter, which it then stays */
    if (routine && !replayed && plan && plan->settings->on_trigger_error == ON_TRIGGER_ERROR_STOP)
        return stop_for(attempt, change, why);
    return rows_set_aside(attempt->batch, change, why, attempt->error);
}

enum ods_status attempt_reject(struct attempt *attempt, uint32_t change, const struct error *why)
{
    const bool *tracked = attempt->postgres->moved_keys.tracked;
    if (rows_is_part(attempt->batch, change) || (tracked && tracked[change]))
        attempt_demand(attempt, NEXT_FOLD);
    return attempt_refuse(attempt, change, why);
}

enum ods_status attempt_set_aside(struct attempt *attempt, struct row *row, const struct error *why)
{
    row->aside = true;
    if (row->chain > 1)
        attempt_demand(attempt, NEXT_FOLD);
    return attempt_reject(attempt, row->last, why);
}

/* Encodes rows into the arrays until one statement is full; *first is the row where it stopped.
 * Rows that can't be encoded are set aside. */
static enum ods_status encode_rows(struct attempt *attempt, struct group *group,
                                   const struct statement *statement, uint32_t *first,
                                   uint32_t last)
{
    struct postgres *postgres = attempt->postgres;
    enum ods_status status = upsert_begin(&postgres->arrays, statement, attempt->error);
    while (status == ODS_OK) {
        struct error why;
        error_init(&why);
        status = upsert_encode(group, statement, &postgres->encoder, &postgres->arrays, first, last,
                               STATEMENT_BYTES, &why);
        if (status == ODS_OK)
            break;
        if (status != ODS_REJECT)
            return error_set(attempt->error, status, "%s", why.text);
        struct row *row = group->rows[*first];
        if (attempt_folds_again(attempt)) {
            attempt_demand(attempt, NEXT_VALIDATE);
            return error_set(attempt->error, ODS_REJECT, "%s", why.text);
        }
        status = attempt_set_aside(attempt, row, &why);
    }
    return status;
}

enum ods_status attempt_rows(struct attempt *attempt, struct group *group, uint32_t first,
                             uint32_t last)
{
    struct postgres *postgres = attempt->postgres;
    struct statement *statement = NULL;
    enum ods_status status =
        upsert_statement(&postgres->conn.statements, group, attempt->batch->guard_time, &statement,
                         attempt->error);
    while (status == ODS_OK && first < last) {
        struct losses before = postgres->encoder.losses;
        unsigned commands = 0;
        uint32_t begun = first;
        status = encode_rows(attempt, group, statement, &first, last);
        if (status != ODS_OK || !postgres->arrays.rows)
            continue;
        status =
            upsert_send(statement, &postgres->conn, &postgres->arrays, &commands, attempt->error);
        struct sent *sent = add_sent(attempt, commands, &status);
        if (sent) {
            sent->statement = statement;
            sent->group = group;
            sent->table = group->plan->table;
            sent->first = begun;
            sent->last = first;
            sent->kind = group->kind;
            sent->rows = postgres->arrays.rows;
            sent->losses = losses_since(&postgres->encoder, &before);
            sent->counts = group->kind < GROUP_PARK;
            attempt->awaited |= group->guess == GUESS_THERE;
        }
    }
    return status;
}

/* Counts the rows of a result, and notes when some were not found. */
static void count_rows(struct attempt *attempt, struct sent *sent, uint64_t rows)
{
    struct apply_result *result = attempt->result;
    if (!sent->counts)
        return;
    if (attempt->batch->guard_time && sent->statement && sent->kind != GROUP_INSERT) {
        attempt->kept += rows;
        rows = sent->rows - rows;
    }
    if (sent->group && sent->group->guess == GUESS_THERE && rows != sent->rows) {
        sent->missed = true;
        return; /* they will be sent again */
    }
    attempt_count_losses(attempt, &sent->losses);
    if (sent->kind == GROUP_DELETE || sent->kind == GROUP_SOFT_DELETE) {
        result->deleted += rows;
        result->missing += sent->rows > rows ? sent->rows - rows : 0;
    } else if (sent->loose && !rows) {
        result->missing += sent->rows;
    } else {
        result->upserted += sent->rows;
    }
}

/* Does PostgreSQL refuse the truncate itself? It does when a foreign key refers to the table, or
 * when deferred checks of the table are still to come in this transaction. */
static bool refuses_truncate(const struct sent *sent, const struct error *why)
{
    return sent->truncates &&
           (strcmp(why->code, "0A000") == 0 || strcmp(why->code, "55006") == 0);
}

static bool has_casts(const struct pg_table *table)
{
    for (uint32_t i = 0; table && i < table->column_count; i++)
        if (table->columns[i].encoding == ENCODE_CAST)
            return true;
    return false;
}

/* The status of a refusal, which a trigger or function in the target may have raised. */
static enum ods_status judge(struct attempt *attempt, const struct sent *sent,
                             enum ods_status status, const struct error *why)
{
    if (status == ODS_OK || sent->ours || !*why->code || !attempt->postgres->conn.pg)
        return status;
    status = sqlstate_for_rows(why, has_casts(sent->table));
    bool timeout = attempt->postgres->conn.settings->statement_timeout_ms;
    bool doubted = attempt->caution == CAUTION_DOUBTFUL && (sent->table || sent->truncates) &&
                   sqlstate_is_doubtful(why, timeout);
    attempt->blamed |= doubted;
    return doubted || refuses_truncate(sent, why) ? ODS_REJECT : status;
}

/* Reads all results. The first error is the answer; PostgreSQL did not run the commands after
 * it. */
static enum ods_status read_results(struct attempt *attempt)
{
    enum ods_status first = ODS_OK;
    for (struct sent *sent = attempt->sent; sent; sent = sent->next) {
        for (unsigned i = 0; i < sent->commands; i++) {
            uint64_t rows = 0;
            bool aborted, last = i + 1 == sent->commands;
            struct error why;
            error_init(&why);
            enum ods_status status = conn_read(&attempt->postgres->conn, &rows, &aborted, &why);
            if (sent->closes && attempt->postgres->conn.pg) {
                attempt->postgres->conn.statements.known--;
                continue;
            }
            if (last)
                status = judge(attempt, sent, status, &why);
            if (status != ODS_OK && sent->ours)
                own_schema_explain(&attempt->postgres->conn, &why);
            if (status == ODS_OK && last)
                count_rows(attempt, sent, rows);
            if (status == ODS_OK && sent->marks) {
                attempt->marked = true;
                attempt->mark = sent->step;
                attempt->at_mark = *attempt->result;
            }
            if (status != ODS_OK && !last)
                upsert_unprepare(sent->statement);
            if (status == ODS_REJECT && !last)
                status = ODS_FATAL; /* the statement itself is refused, whatever its rows */
            if (status != ODS_OK && first == ODS_OK) {
                first = status;
                attempt->refused = sent->step;
                if (!refuses_truncate(sent, &why))
                    attempt_look_stale(attempt, &why);
                if (attempt->error)
                    *attempt->error = why;
            }
            if (!attempt->postgres->conn.pg)
                return first;
        }
    }
    return first;
}

enum ods_status attempt_begin(struct attempt *attempt)
{
    attempt->sent = NULL;
    attempt->sent_tail = &attempt->sent;
    attempt->refused = attempt->suspect = NO_STEP;
    attempt->awaited = false;
    return conn_pipeline_begin(&attempt->postgres->conn, attempt->error);
}

/* Closes the pipeline and reads it, also when filling it has failed. */
enum ods_status attempt_end(struct attempt *attempt, enum ods_status sending)
{
    struct conn *conn = &attempt->postgres->conn;
    if (!conn->pg)
        return sending;
    enum ods_status status = conn_pipeline_sync(conn, sending == ODS_OK ? attempt->error : NULL);
    struct error *error = attempt->error;
    struct error ignored;
    if (sending != ODS_OK)
        attempt->error = &ignored; /* the first failure is the one that is reported */
    if (status == ODS_OK)
        status = read_results(attempt);
    if (conn->pg) {
        enum ods_status ended = conn_pipeline_end(conn, status == ODS_OK ? attempt->error : NULL);
        status = status == ODS_OK ? ended : status;
    }
    attempt->error = error;
    bool good = status == ODS_OK && sending == ODS_OK;
    attempt->transaction = good ? TRANSACTION_OPEN : TRANSACTION_BROKEN;
    attempt->mark_sent = attempt->marked;
    return sending == ODS_OK ? status : sending;
}

static bool any_missed(const struct attempt *attempt)
{
    for (const struct sent *sent = attempt->sent; sent; sent = sent->next)
        if (sent->missed)
            return true;
    return false;
}

/* Sends all rows of the statement again, since its result does not say which were not found. */
static enum ods_status send_missed(struct attempt *attempt)
{
    struct sent *sent = attempt->sent;
    enum ods_status status = attempt_begin(attempt);
    for (; status == ODS_OK && sent; sent = sent->next) {
        if (!sent->missed)
            continue;
        struct group *group = arena_alloc(&attempt->postgres->scratch, sizeof *group);
        if (!group)
            return error_out_of_memory(attempt->error);
        *group = *sent->group;
        group->guess = GUESS_NONE;
        guess_failed(group->plan->table, GUESS_THERE);
        status = attempt_rows(attempt, group, sent->first, sent->last);
    }
    return status;
}

/* A savepoint may come between the update that did not find its rows and a later refusal. Going
 * back to the savepoint would then leave the missed rows unwritten, so no step is named as
 * refused. */
enum ods_status attempt_settle(struct attempt *attempt)
{
    enum ods_status status = attempt_end(attempt, ODS_OK);
    if (!attempt->awaited || !attempt->postgres->conn.pg || !any_missed(attempt))
        return status;
    uint32_t step = attempt->step;
    attempt->step = attempt->refused = NO_STEP;
    if (status == ODS_OK)
        status = attempt_end(attempt, send_missed(attempt));
    attempt->step = step;
    return status;
}

void attempt_roll_back(struct attempt *attempt)
{
    if (attempt->postgres->conn.pg)
        conn_script(&attempt->postgres->conn, "rollback", NULL);
    if (attempt->transaction != TRANSACTION_NONE)
        *attempt->result = attempt->begun;
    attempt->transaction = TRANSACTION_NONE;
    attempt->marked = attempt->mark_sent = false;
    attempt->mark = 0;
}

/* --- what a table's work sends -------------------------------------------------------------- */

enum ods_status attempt_truncate(struct attempt *attempt, const struct table_work *work)
{
    const struct plan *plan = work->truncate_plan;
    struct buffer sql;
    buffer_init(&sql);
    if (plan->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0) {
        const char *operation = plan->table->columns[plan->operation_column].quoted;
        buffer_printf(&sql, "update %s set %s = 'd' where %s is distinct from 'd'",
                      plan->table->quoted, operation, operation);
    } else {
        buffer_printf(&sql, plan->table->is_view ? "delete from %s" : "truncate %s",
                      plan->table->quoted);
    }
    enum ods_status status =
        sql.failed ? error_out_of_memory(attempt->error)
                   : conn_send(&attempt->postgres->conn, buffer_text(&sql), attempt->error);
    struct sent *sent = add_sent(attempt, 1, &status);
    if (sent)
        sent->truncates = true;
    buffer_done(&sql);
    attempt->result->truncated++;
    return status;
}

enum ods_status attempt_loose(struct attempt *attempt, const struct loose *loose)
{
    struct postgres *postgres = attempt->postgres;
    struct error why;
    if (attempt->batch->changes[loose->change].rejected)
        return ODS_OK;
    error_init(&why);
    struct losses before = postgres->encoder.losses;
    enum ods_status status =
        loose_compile(&postgres->loose, attempt->batch, loose, &postgres->encoder, &why);
    if (status == ODS_REJECT)
        return attempt_reject(attempt, loose->change, &why);
    if (status != ODS_OK)
        return error_set(attempt->error, status, "%s", why.text);
    status = loose_send(&postgres->loose, &postgres->conn, attempt->error);
    struct sent *sent = add_sent(attempt, 1, &status);
    if (sent) {
        bool delete = attempt->batch->changes[loose->change].op == OP_DELETE;
        sent->table = loose->plan->table;
        sent->loose = true;
        sent->kind = delete ? GROUP_DELETE : GROUP_UPSERT;
        sent->rows = 1;
        sent->losses = losses_since(&postgres->encoder, &before);
        sent->counts = true;
    }
    return status;
}
