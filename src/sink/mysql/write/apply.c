/* Writes a batch in one transaction: rows and offsets commit together, or nothing does.
 *
 * Tables are looked at, made and changed before the transaction begins, and by a session of their
 * own: DDL commits whatever transaction its session has. Then the offsets move, by compare-and-swap
 * so that a writer which has lost its partition fails before it writes a row and two writers wait
 * for each other at the offset's row; then the rows, then what waited for other rows; then the dead
 * letters are acknowledged, and the commit follows.
 *
 * An attempt that did not commit is rolled back. What follows is in enum mysql_next.
 */
#include "sink/mysql/write/apply.h"

#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "core/time.h"
#include "sink/mysql/write/replace.h"
#include "sink/mysql/write/statement.h"

#define SCRATCH_KEEP_BYTES ((size_t) 8 * 1024 * 1024)
#define MOST_DEADLOCKS     5
#define READ_AGAIN_US      INT64_C(1000000)

/* --- before the transaction ------------------------------------------------------------------ */

static void forget_catalog(struct mysql_sink *sink)
{
    mysql_plans_clear(&sink->plans);
    mysql_catalog_clear(&sink->catalog);
    sink->read_us = time_monotonic_us();
}

enum ods_status mysql_ready(struct mysql_sink *sink, struct error *error)
{
    enum ods_status status = mysql_conn_open(&sink->conn, error);
    if (status == ODS_OK && sink->generation != sink->conn.generation) {
        forget_catalog(sink); /* tables may have changed while there was no session */
        sink->generation = sink->conn.generation;
    }
    return status == ODS_OK ? mysql_own_make(&sink->own, &sink->conn, error) : status;
}

static void notice(void *context, const char *text)
{
    const struct mysql_attempt *attempt = context;
    if (attempt->hooks && attempt->hooks->notice)
        attempt->hooks->notice(attempt->hooks->context, text);
}

static bool reserve_plans(struct mysql_sink *sink, const struct batch *batch)
{
    if (batch->change_count <= sink->change_plan_capacity)
        return true;
    const struct mysql_plan **moved =
        realloc(sink->change_plans, batch->change_capacity * sizeof *sink->change_plans);
    if (!moved)
        return false;
    sink->change_plans = moved;
    sink->change_plan_capacity = batch->change_capacity;
    return true;
}

static enum ods_status find_plans(struct mysql_attempt *attempt, bool *stale)
{
    struct mysql_sink *sink = attempt->sink;
    const struct batch *batch = attempt->batch;
    const struct mysql_plan_listener listener = {notice, attempt, attempt->result};
    enum ods_status status = ODS_OK;
    *stale = false;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        const struct mysql_plan **plan = &sink->change_plans[i];
        *plan = NULL;
        if ((batch->partial && !batch_reaches(batch, &batch->records[change->record])) ||
            change->rejected)
            continue;
        if (i && change->shape == batch->changes[i - 1].shape && plan[-1] &&
            (plan[-1]->complete || !change->after))
            *plan = plan[-1];
        else
            status = mysql_plan_find(&sink->plans, change, &listener, plan, stale, attempt->error);
    }
    return status;
}

/* A truncate stands in one partition and means the rows of all: of a topic with several, later rows
 * may have been written already and earlier ones may still come. So it is with a changed key both
 * halves of which stand in the new key's partition: the old key may be a newer row's by then. */
static bool is_unordered(const struct batch *batch, const struct change *change,
                         const struct mysql_plan *plan)
{
    if (change->rejected || !plan || plan->skip)
        return false;
    if (change->op == OP_TRUNCATE)
        return plan->settings->on_truncate == ON_TRUNCATE_APPLY;
    return change->moved && change->shape->scattered && plan->key_count && !batch->guard_time &&
           plan->settings->on_delete != ON_DELETE_IGNORE;
}

static enum ods_status refuse_unordered(struct mysql_attempt *attempt)
{
    struct batch *batch = attempt->batch;
    const struct apply_hooks *hooks = attempt->hooks;
    enum ods_status status = ODS_OK;
    if (!hooks || !hooks->partitions)
        return ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct mysql_plan *plan = attempt->sink->change_plans[i];
        const struct change *change = &batch->changes[i];
        int32_t count = 1;
        struct error why;
        if (!is_unordered(batch, change, plan))
            continue;
        status = hooks->partitions(hooks->context, batch->records[change->record].topic, &count,
                                   attempt->error);
        if (status != ODS_OK || count <= 1)
            continue;
        error_init(&why);
        error_set(&why, ODS_REJECT,
                  change->op == OP_TRUNCATE
                      ? "table %s: a truncate in one of %d partitions is not ordered against the "
                        "rows of the others, and is not applied: delete the rows by hand that are "
                        "older, or give the topic a single partition"
                      : "table %s: a row got another key, and in one of %d partitions that is not "
                        "ordered against the old key's rows, and is not applied: change the row by "
                        "hand, give the topic a single partition, or write into PostgreSQL, where "
                        "it is kept which keys have changed",
                  change->shape->table, (int) count);
        status = mysql_fold_refuse(batch, plan, i, &why, attempt->error);
    }
    return status;
}

static enum ods_status fold(struct mysql_attempt *attempt)
{
    struct mysql_sink *sink = attempt->sink;
    bool stale = false;
    enum ods_status status = ODS_OK;
    arena_reset(&sink->scratch, SCRATCH_KEEP_BYTES);
    attempt->pending = NULL; /* it was in that memory */
    attempt->pending_count = attempt->pending_capacity = 0;
    attempt->fold = (struct mysql_fold){0};
    if (!reserve_plans(sink, attempt->batch))
        return error_out_of_memory(attempt->error);
    do
        status = find_plans(attempt, &stale);
    while (status == ODS_OK && stale);
    if (status == ODS_OK)
        status = refuse_unordered(attempt);
    if (status == ODS_OK)
        status = mysql_fold_batch(&attempt->fold, &sink->scratch, attempt->batch,
                                  sink->change_plans, &attempt->encoding, &sink->conn,
                                  attempt->error);
    if (status == ODS_REJECT)
        attempt->next = MYSQL_NEXT_FOLD;
    return status;
}

/* `reset` empties only what its group alone has written. */
static enum ods_status claim_tables(struct mysql_attempt *attempt)
{
    struct mysql_sink *sink = attempt->sink;
    enum ods_status status = ODS_OK;
    for (const struct mysql_section *section = attempt->fold.sections; section;
         section = section->next)
        for (struct mysql_work *work = section->works; status == ODS_OK && work;
             work = work->next) {
            struct mysql_table *table = work->table;
            if (!table->claimed)
                status = mysql_own_claim(&sink->own, &sink->conn, table->schema, table->name,
                                         attempt->error);
            table->claimed |= status == ODS_OK;
        }
    return status;
}

/* --- rows ------------------------------------------------------------------------------------ */

static enum ods_status truncate(struct mysql_attempt *attempt, const struct mysql_work *work)
{
    struct mysql_sink *sink = attempt->sink;
    const struct mysql_plan *plan = work->plan;
    struct buffer *sql = &sink->sql;
    struct error why;
    bool soft = plan->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0;
    error_init(&why);
    buffer_reset(sql); /* TRUNCATE itself would commit */
    if (soft)
        buffer_printf(sql, "update %s set %s = 'd'", work->table->quoted,
                      work->table->columns[plan->operation_column].quoted);
    else
        buffer_printf(sql, "delete from %s", work->table->quoted);
    if (sql->failed)
        return error_out_of_memory(attempt->error);
    enum ods_status status = mysql_conn_query(&sink->conn, sql->bytes, sql->length, NULL, &why);
    if (status == ODS_REJECT && why.fault == FAULT_ORDER) /* rows of another table go first */
        return mysql_blocked_add(attempt, NULL, 0, work->truncated_by, &why);
    if (status == ODS_REJECT) {
        attempt->next = MYSQL_NEXT_FOLD; /* what came before it counts again */
        status = mysql_change_refuse(attempt, work->truncated_by, &why);
        return status == ODS_OK
                   ? error_set(attempt->error, ODS_REJECT, "a truncate was set aside")
                   : status;
    }
    if (status != ODS_OK)
        *attempt->error = why;
    attempt->result->truncated += status == ODS_OK;
    return status;
}

static enum ods_status write_group(struct mysql_attempt *attempt, struct mysql_group *group)
{
    uint32_t first;
    enum ods_status status = mysql_load_group(attempt, group, &first);
    return status == ODS_OK ? mysql_rows_write(attempt, group, first, group->count) : status;
}

static enum ods_status write_work(struct mysql_attempt *attempt, struct mysql_work *work)
{
    enum ods_status status = work->truncate ? truncate(attempt, work) : ODS_OK;
    if (status == ODS_OK)
        status = mysql_replace_join(attempt, work->groups[MYSQL_UPSERTS]);
    for (int kind = 0; kind < MYSQL_GROUP_KINDS; kind++)
        for (struct mysql_group *group = work->groups[kind]; status == ODS_OK && group;
             group = group->next)
            status = write_group(attempt, group);
    return status == ODS_OK ? mysql_loose_write(attempt, work) : status;
}

static enum ods_status write_rows(struct mysql_attempt *attempt)
{
    enum ods_status status = ODS_OK;
    for (const struct mysql_section *section = attempt->fold.sections;
         status == ODS_OK && section; section = section->next) {
        for (struct mysql_work *work = section->works; status == ODS_OK && work; work = work->next)
            status = write_work(attempt, work);
        if (status == ODS_OK)
            status = mysql_blocked_settle(attempt);
    }
    if (status == ODS_OK && attempt->next != MYSQL_NEXT_ANSWER)
        status = error_set(attempt->error, ODS_REJECT, "a change among others was set aside");
    return status;
}

/* --- letters --------------------------------------------------------------------------------- */

/* A letter that this apply has written and that nobody has yet. */
static bool is_new(const struct reject *reject)
{
    return !reject->delivered && strcmp(reject->stage, "apply") == 0 &&
           reject->error.index != ERROR_NO_INDEX;
}

/* Somebody may have altered a table since it was read, so that what was refused would fit: changes
 * are judged once more by what the tables are now. */
static bool judge_again(struct mysql_attempt *attempt)
{
    struct batch *batch = attempt->batch;
    uint32_t kept = 0;
    if (attempt->reread || time_monotonic_us() - attempt->sink->read_us < READ_AGAIN_US)
        return false;
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        const struct reject reject = batch->rejects[i];
        if (!is_new(&reject)) {
            batch->rejects[kept++] = reject;
            continue;
        }
        uint32_t change = (uint32_t) reject.error.index;
        while (change && batch->changes[change - 1].record == reject.record)
            change--;
        for (; change < batch->change_count && batch->changes[change].record == reject.record;
             change++)
            batch->changes[change].rejected = false;
    }
    bool any = kept < batch->reject_count;
    batch->reject_count = kept;
    return any;
}

/* Dead letters are acknowledged before the offsets of their records are committed. */
static enum ods_status deliver_letters(struct mysql_attempt *attempt)
{
    struct batch *batch = attempt->batch;
    const struct apply_hooks *hooks = attempt->hooks;
    if (!batch_letters_wait(batch))
        return ODS_OK;
    if (judge_again(attempt)) {
        attempt->next = MYSQL_NEXT_REREAD;
        return error_set(attempt->error, ODS_REJECT, "tables are looked at again");
    }
    if (!hooks || !hooks->before_commit)
        return error_set(attempt->error, ODS_FATAL,
                         "%s (record %u of its batch), and there is no place for dead letters",
                         batch->rejects[0].error.text, batch->rejects[0].record);
    return hooks->before_commit(hooks->context, batch, attempt->error);
}

/* --- the transaction ------------------------------------------------------------------------- */

static enum ods_status transact(struct mysql_attempt *attempt)
{
    struct mysql_sink *sink = attempt->sink;
    apply_hooks_phase(attempt->hooks, APPLY_WRITE);
    sink->transaction++;
    enum ods_status status = mysql_conn_run(&sink->conn, "start transaction", NULL, attempt->error);
    if (status == ODS_OK)
        status = mysql_offsets_move(&sink->own, &sink->conn, attempt->batch, attempt->error);
    if (status == ODS_OK)
        status = write_rows(attempt);
    if (status == ODS_OK)
        status = deliver_letters(attempt);
    if (status != ODS_OK)
        return status;
    attempt->commit_sent = true;
    apply_hooks_phase(attempt->hooks, APPLY_COMMIT);
    status = mysql_conn_run(&sink->conn, "commit", NULL, attempt->error);
    return status == ODS_REJECT ? ODS_FATAL : status;
}

static void forget_rows(struct apply_result *result)
{
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++)
        if (apply_counts[i].of == APPLY_OF_ROWS)
            *apply_count(result, i) = 0;
}

static enum ods_status attempt_once(struct mysql_attempt *attempt)
{
    attempt->next = MYSQL_NEXT_ANSWER;
    attempt->commit_sent = false;
    forget_rows(attempt->result);
    attempt->encoding = (struct mysql_encoding){
        .source = &attempt->sink->config.pipeline->source, .result = attempt->result};
    enum ods_status status = mysql_ready(attempt->sink, attempt->error);
    if (status == ODS_OK)
        status = fold(attempt);
    if (status == ODS_OK)
        status = claim_tables(attempt);
    return status == ODS_OK ? transact(attempt) : status;
}

static void roll_back(struct mysql_attempt *attempt)
{
    struct mysql_conn *conn = &attempt->sink->conn;
    struct error ignored;
    error_init(&ignored);
    if (conn->mysql && mysql_conn_run(conn, "rollback", NULL, &ignored) != ODS_OK)
        mysql_conn_close(conn); /* which rolls back as well */
}

/* Are there records before those that are held? */
static bool can_go_on(const struct batch *batch)
{
    uint32_t count;
    const struct claim *runs = batch_runs(batch, &count);
    bool can = !count;
    for (uint32_t i = 0; i < count; i++)
        can |= runs[i].from < claim_end(&runs[i]);
    return can;
}

static enum ods_status wait_for_partners(struct mysql_attempt *attempt)
{
    attempt->batch->patience--;
    *attempt->error = attempt->why;
    error_prefix(attempt->error, "waits for the row that this one needs: ");
    return ODS_RETRY;
}

static enum ods_status committed(struct mysql_attempt *attempt, bool waits)
{
    attempt->result->folded = attempt->fold.folded;
    attempt->result->missing += attempt->fold.missing;
    attempt->result->skipped = attempt->fold.skipped;
    attempt->result->values_lost = attempt->fold.lost;
    bool left = batch_advance(attempt->batch);
    return left && waits ? wait_for_partners(attempt) : ODS_OK;
}

/* Two transactions that lock each other's rows: the one that the server rolled back goes on at
 * once. */
static bool is_deadlock(const struct error *error)
{
    return strcmp(error->code, "1213") == 0;
}

/* The answer of an attempt after which there is no other. */
static enum ods_status end_with(struct mysql_attempt *attempt, enum ods_status status)
{
    forget_rows(attempt->result);
    if (status != ODS_REJECT)
        return status;
    error_prefix(attempt->error, "no single row is at fault: ");
    return ODS_FATAL;
}

static enum ods_status attempt_until_done(struct mysql_attempt *attempt)
{
    struct batch *batch = attempt->batch;
    bool waits = false;
    for (int deadlocks = 0;;) {
        uint32_t had_rejects = batch->reject_count;
        enum ods_status status = attempt_once(attempt);
        if (status == ODS_OK)
            return committed(attempt, waits);
        batch->commit_unknown = attempt->commit_sent && !attempt->sink->conn.mysql;
        roll_back(attempt);
        bool again = status == ODS_REJECT && attempt->next != MYSQL_NEXT_ANSWER;
        if (again && attempt->next == MYSQL_NEXT_FOLD)
            again = batch->reject_count > had_rejects;
        if (again && attempt->next == MYSQL_NEXT_REREAD) {
            attempt->reread = true;
            forget_catalog(attempt->sink);
        }
        if (again && attempt->next == MYSQL_NEXT_HOLD) {
            waits = true;
            if (!can_go_on(batch)) {
                forget_rows(attempt->result);
                return wait_for_partners(attempt);
            }
        }
        again |= is_deadlock(attempt->error) && deadlocks++ < MOST_DEADLOCKS;
        if (!again)
            return end_with(attempt, status);
        error_init(attempt->error);
    }
}

/* Settles a commit whose answer was lost. *done: it has happened, and nothing of the batch is
 * left. */
static enum ods_status settle_unknown(struct mysql_sink *sink, struct batch *batch, bool *done,
                                      struct error *error)
{
    bool happened;
    *done = false;
    if (!batch->commit_unknown)
        return ODS_OK;
    enum ods_status status = mysql_offsets_settle(&sink->own, &sink->conn, batch, &happened, error);
    if (status != ODS_OK)
        return status;
    batch->commit_unknown = false;
    *done = happened && !batch_advance(batch);
    return ODS_OK;
}

enum ods_status mysql_apply_batch(struct mysql_sink *sink, struct batch *batch,
                                  const struct apply_hooks *hooks, struct apply_result *result,
                                  struct error *error)
{
    struct error room;
    struct apply_result here = {0};
    struct mysql_attempt attempt = {.sink = sink,
                                    .batch = batch,
                                    .hooks = hooks,
                                    .result = &here,
                                    .error = error ? error : &room};
    bool done;
    error_init(attempt.error);
    enum ods_status status = mysql_ready(sink, attempt.error);
    if (status == ODS_OK)
        status = settle_unknown(sink, batch, &done, attempt.error);
    if (status != ODS_OK || done)
        return status;
    batch_release_holds(batch);
    status = attempt_until_done(&attempt);
    apply_result_add(result, &here);
    return status;
}
