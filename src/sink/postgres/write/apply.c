/* Writes a batch in one transaction: rows and offsets commit together, or nothing does.
 *
 * One pipeline has begin, the move of the offsets, a statement for each group of rows, and commit:
 * one round trip for any number of tables. The offsets come first, so that a writer which has lost
 * its partition fails before it writes a row, and two writers wait for each other at one row lock.
 * steps.c finds the rows that PostgreSQL refuses; blocked.c handles rows that need other rows.
 *
 * One attempt folds the batch and runs the transaction. When it does not end in a commit,
 * what_next() decides what is to be done, prepare() does it, and the next attempt follows:
 *
 *   a table is not as the catalog has it       the catalog is read again, once (NEXT_REREAD)
 *   changes were set aside by a table that     likewise, and they are so no more
 *     somebody has altered since (judged.h)
 *   texts that only PostgreSQL can read        PostgreSQL is asked for them (NEXT_ASK)
 *   rows wait for rows of other lanes          with the records before them (NEXT_HOLD)
 *   changes were set aside                     without them (NEXT_FOLD)
 *   another writer has applied a record        without it: the batch's records are looked for in
 *     of a queue meanwhile                       the target again (NEXT_FOLD)
 *   one of several changes of a key can't be   each change is encoded by itself (NEXT_VALIDATE)
 *     encoded
 *   refused, and no row is at fault            with more caution (NEXT_DISTRUST)
 *   anything else                              the caller gets the status (NEXT_ANSWER)
 */
#include "sink/postgres/write/attempt.h"

#include <string.h>

#include "sink/postgres/fold/guess.h"
#include "sink/postgres/fold/inherit.h"
#include "sink/postgres/fold/moved_keys.h"
#include "sink/postgres/fold/spelling.h"
#include "sink/postgres/values/ask.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/write/blocked.h"
#include "sink/postgres/write/judged.h"
#include "sink/postgres/write/marks.h"
#include "sink/postgres/write/offsets.h"
#include "sink/postgres/write/planning.h"
#include "sink/postgres/write/steps.h"

#define SCRATCH_KEEP_BYTES ((size_t) 8 * 1024 * 1024)
#define MOST_OVERTAKEN     20 /* how often other writers may be first before the batch waits */

/* --- before the transaction ----------------------------------------------------------------- */

static void forget_catalog(struct postgres *postgres)
{
    plans_clear(&postgres->plans);
    catalog_clear(&postgres->catalog);
}

enum ods_status postgres_ready(struct postgres *postgres, struct error *error)
{
    bool fresh = !postgres->conn.pg || PQstatus(postgres->conn.pg) != CONNECTION_OK ||
                 postgres->conn.read_only;
    enum ods_status status = conn_open(&postgres->conn, error);
    if (status == ODS_OK && fresh) {
        forget_catalog(postgres); /* tables may have changed while there was no connection */
        status = own_schema_prepare(&postgres->conn, error);
    }
    if (status != ODS_OK && fresh)
        conn_close(&postgres->conn);
    return status;
}

/* Dead letters are acknowledged before the offsets of their records move. */
static enum ods_status deliver_rejects(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    if (!batch_letters_wait(batch))
        return ODS_OK;
    enum ods_status status = judged_look(attempt);
    if (status != ODS_OK)
        return status;
    if (!attempt->hooks || !attempt->hooks->before_commit)
        return error_set(attempt->error, ODS_FATAL,
                         "%s (record %u of its batch), and there is no "
                         "place for dead letters",
                         batch->rejects[0].error.text, batch->rejects[0].record);
    return attempt->hooks->before_commit(attempt->hooks->context, batch, attempt->error);
}

/* --- one transaction ------------------------------------------------------------------------ */

static enum ods_status commit(struct attempt *attempt)
{
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_resume(attempt);
    if (status == ODS_OK)
        status = marks_send_after(attempt);
    if (status == ODS_OK) {
        attempt->commit_sent = true;
        status = attempt_send(attempt, "commit");
        apply_hooks_phase(attempt->hooks, APPLY_COMMIT);
    }
    return attempt_end(attempt, status);
}

/* The steps commit by themselves unless rows were refused or wait. */
static enum ods_status run_transaction(struct attempt *attempt)
{
    apply_hooks_phase(attempt->hooks, APPLY_WRITE);
    attempt->transaction = TRANSACTION_NONE;
    attempt->marked = attempt->mark_sent = attempt->commit_sent = false;
    attempt->divided = attempt->caution >= CAUTION_CAREFUL;
    attempt->mark = 0;
    attempt->pending = NULL;
    attempt->pending_count = attempt->pending_capacity = 0;
    enum ods_status status = steps_run(attempt);
    if (status != ODS_OK || attempt->commit_sent)
        return status;
    status = blocked_settle(attempt);
    if (status == ODS_OK && attempt->next != NEXT_COMMIT)
        status = error_set(attempt->error, ODS_REJECT, "a change behind others was set aside");
    if (status == ODS_OK)
        status = deliver_rejects(attempt);
    return status == ODS_OK ? commit(attempt) : status;
}

/* --- attempts ------------------------------------------------------------------------------- */

static unsigned fold_flags(const struct attempt *attempt)
{
    bool guess = attempt->caution == CAUTION_NONE;
    return (attempt->validates ? FOLD_VALIDATE : 0) | (guess ? FOLD_GUESS : 0);
}

/* Looks rows up. A look-up may be the first to notice that somebody else has changed a table. */
static enum ods_status look_ups(struct attempt *attempt, struct inheritance *inheritance)
{
    struct postgres *postgres = attempt->postgres;
    enum ods_status status =
        moved_keys_sort_out(&postgres->moved_keys, attempt->batch, postgres->change_plans,
                            &attempt->result->outdated, attempt->error);
    if (status == ODS_OK)
        status = inherit_values(inheritance, &postgres->scratch, attempt->batch,
                                postgres->change_plans, &postgres->conn, &postgres->encoder,
                                attempt->error);
    if (status != ODS_OK)
        attempt_look_stale(attempt, attempt->error);
    return status;
}

static enum ods_status fold_attempt(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    arena_reset(&postgres->scratch, SCRATCH_KEEP_BYTES);
    attempt->fold = (struct fold){0}; /* it was in that memory */
    struct inheritance inheritance = {0};
    uint32_t had_rejects = attempt->batch->reject_count;
    apply_hooks_phase(attempt->hooks, APPLY_PREPARE);
    enum ods_status status =
        delivered_sort_out(&postgres->delivered, attempt->batch, attempt->error);
    if (status == ODS_OK)
        status = planning_find(attempt);
    if (status == ODS_OK)
        status = planning_refuse(attempt);
    if (status == ODS_OK && attempt->asks)
        status = ask_batch(&postgres->conn, &postgres->encoder, attempt->batch,
                           postgres->change_plans, attempt->error);
    if (status == ODS_OK)
        status = look_ups(attempt, &inheritance);
    attempt->result->values_lost = inheritance.lost;
    const uint32_t *first = NULL;
    if (status == ODS_OK)
        status = spelling_ask(&postgres->scratch, attempt->batch, postgres->change_plans,
                              &postgres->conn, &postgres->encoder, &first, attempt->error);
    if (status == ODS_OK)
        status = fold_batch(&attempt->fold, &postgres->scratch, attempt->batch,
                            postgres->change_plans, inheritance.of, first, &postgres->encoder,
                            fold_flags(attempt), attempt->error);
    if (status == ODS_OK && postgres->readings.waiting_count) /* texts of a key in a look-up */
        status = error_set(attempt->error, ODS_RETRY, "a text is to be asked for");
    if (status == ODS_OK && postgres->moved_keys.noted &&
        attempt->batch->reject_count > had_rejects)
        status = error_set(attempt->error, ODS_REJECT, "what was set aside may have been noted");
    return status == ODS_OK ? deliver_rejects(attempt) : status;
}

/* Rows were sent with a guess about the target, and one of these guesses may be wrong: notes that
 * they failed. */
static void guesses_failed(const struct attempt *attempt)
{
    for (const struct table_work *work = attempt->fold.tables; work; work = work->next)
        for (const struct group *group = work->groups[GROUP_UPSERT]; group; group = group->next)
            if (group->guess != GUESS_NONE)
                guess_failed(work->table, group->guess);
}

static bool is_overtaken(const struct attempt *attempt)
{
    return attempt->batch->delivers && strcmp(attempt->error->code, "OS002") == 0;
}

/* What is to be done when an attempt has ended without a commit? */
static enum next what_next(const struct attempt *attempt, enum ods_status status,
                           uint32_t had_rejects)
{
    if (attempt->next == NEXT_REREAD)
        return NEXT_REREAD;
    if (attempt->postgres->readings.waiting_count)
        return NEXT_ASK;
    if (is_overtaken(attempt) && attempt->overtaken < MOST_OVERTAKEN)
        return NEXT_FOLD;
    if (status != ODS_REJECT)
        return NEXT_ANSWER;
    if (attempt->next == NEXT_HOLD)
        return NEXT_HOLD;
    if (attempt->batch->reject_count > had_rejects)
        return NEXT_FOLD;
    if (attempt->next == NEXT_VALIDATE)
        return NEXT_VALIDATE;
    return attempt->caution < CAUTION_IMMEDIATE ? NEXT_DISTRUST : NEXT_ANSWER;
}

/* Reads the catalog again. PL/pgSQL also keeps plans made for the table as it was, until the
 * session ends. */
static bool reread(struct attempt *attempt)
{
    struct conn *conn = &attempt->postgres->conn;
    attempt->reread = true;
    forget_catalog(attempt->postgres);
    if (conn_script(conn, "deallocate all; discard plans", NULL) != ODS_OK)
        return false;
    statements_lost(&conn->statements, conn->generation);
    return true;
}

/* Prepares the next attempt. False: there is none. */
static bool prepare(struct attempt *attempt, enum next next)
{
    struct moved_keys *moved = &attempt->postgres->moved_keys;
    attempt->overtaken += is_overtaken(attempt);
    attempt->postgres->delivered.known &= !is_overtaken(attempt);
    moved->known &= next == NEXT_VALIDATE || next == NEXT_DISTRUST || next == NEXT_ANSWER;
    switch (next) {
    case NEXT_REREAD:
        return reread(attempt);
    case NEXT_ASK:
        return attempt->asks = true;
    case NEXT_HOLD:
    case NEXT_FOLD:
        return true;
    case NEXT_VALIDATE:
        return attempt->validates = true;
    case NEXT_DISTRUST:
        if (attempt->caution == CAUTION_NONE)
            guesses_failed(attempt);
        attempt->caution++;
        return true;
    case NEXT_COMMIT:
    case NEXT_GO_ON:
    case NEXT_ANSWER:
        break;
    }
    return false;
}

/* A refusal of which no row is the cause: a deferred trigger, or an encoder that gives two
 * different results. */
static enum ods_status unexplained(struct attempt *attempt)
{
    error_prefix(attempt->error, "no single row is at fault: ");
    return ODS_FATAL;
}

/* The connection broke before the row at fault was found, or the table read again. That is an
 * outage, after which the batch is tried again from the beginning. */
static enum ods_status cut_short(struct attempt *attempt)
{
    error_init(attempt->error);
    return error_set(attempt->error, ODS_RETRY,
                     "target %s: the connection broke while a refused batch was looked through",
                     attempt->postgres->conn.name);
}

/* Finds out whether the commit happened: from the stored offsets, or, for a queue, from the stored
 * identities of its records. */
static enum ods_status find_outcome(struct attempt *attempt, bool *happened)
{
    struct postgres *postgres = attempt->postgres;
    struct batch *batch = attempt->batch;
    if (!batch->delivers)
        return offsets_settle(&postgres->conn, postgres->config.group, batch, happened,
                              attempt->error);
    delivered_begin(&postgres->delivered);
    enum ods_status status = delivered_sort_out(&postgres->delivered, batch, attempt->error);
    *happened = status == ODS_OK && delivered_all(&postgres->delivered, batch);
    return status;
}

/* Settles a commit whose answer was lost. *done: it has happened, and nothing of the batch is
 * left. */
static enum ods_status settle_unknown(struct attempt *attempt, bool *done)
{
    bool happened;
    *done = false;
    if (!attempt->batch->commit_unknown)
        return ODS_OK;
    enum ods_status status = find_outcome(attempt, &happened);
    if (status != ODS_OK)
        return status;
    attempt->batch->commit_unknown = false;
    if (happened)
        *done = !batch_advance(attempt->batch);
    return ODS_OK;
}

/* Are there records before those that are held, which can be applied now? */
static bool can_go_on(const struct batch *batch)
{
    uint32_t count;
    const struct claim *runs = batch_runs(batch, &count);
    bool can = !count;
    for (uint32_t i = 0; i < count; i++)
        can |= runs[i].from < claim_end(&runs[i]);
    return can;
}

static enum ods_status wait_for_partners(struct attempt *attempt, const struct error *why)
{
    attempt->batch->patience--;
    *attempt->error = *why;
    error_prefix(attempt->error, "waits for the row that this one needs: ");
    return ODS_RETRY;
}

/* Sets the counts of rows to 0. What is made outside of the transaction, such as a table, still
 * counts. */
static void forget_rows(struct apply_result *result)
{
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++)
        if (apply_counts[i].of == APPLY_OF_ROWS)
            *apply_count(result, i) = 0;
}

/* The status with which the last attempt ends. The connection may have broken before the row at
 * fault was found, or the table read again. */
static enum ods_status end_with(struct attempt *attempt, enum ods_status status)
{
    bool open = attempt->next == NEXT_REREAD || status == ODS_REJECT;
    if (open && !attempt->postgres->conn.pg)
        return cut_short(attempt);
    return status == ODS_REJECT ? unexplained(attempt) : status;
}

static enum ods_status attempt_once(struct attempt *attempt)
{
    attempt->next = NEXT_COMMIT;
    forget_rows(attempt->result);
    enum ods_status status = fold_attempt(attempt);
    return status == ODS_OK ? run_transaction(attempt) : status;
}

static enum ods_status committed(struct attempt *attempt, bool waits)
{
    attempt->result->folded = attempt->fold.folded;
    attempt->result->missing += attempt->fold.missing;
    attempt->result->redelivered = delivered_count(&attempt->postgres->delivered, attempt->batch);
    attempt->result->skipped = attempt->fold.skipped - attempt->result->outdated;
    bool left = batch_advance(attempt->batch);
    attempt->next = left && attempt->part_waits && !waits ? NEXT_GO_ON : NEXT_ANSWER;
    return left ? ODS_RETRY : ODS_OK;
}

/* Attempts the batch until everything that is not held is committed. *waits: something is held, and
 * *why says for what. */
static enum ods_status attempt_until_done(struct attempt *attempt, bool *waits, struct error *why)
{
    struct batch *batch = attempt->batch;
    struct conn *conn = &attempt->postgres->conn;
    *waits = false;
    for (;;) {
        uint32_t had_rejects = batch->reject_count;
        enum ods_status status = attempt_once(attempt);
        if (status == ODS_OK)
            return committed(attempt, *waits);
        bool connected = conn->pg;
        batch->commit_unknown = attempt->commit_sent && !connected;
        attempt_roll_back(attempt);
        if (attempt->next == NEXT_HOLD) {
            *why = attempt->why;
            *waits = true;
        }
        if (!conn->pg || !prepare(attempt, what_next(attempt, status, had_rejects)))
            return end_with(attempt, status);
        if (*waits && !can_go_on(batch))
            return ODS_RETRY;
        error_init(attempt->error);
    }
}

static enum ods_status attempt_all(struct attempt *attempt)
{
    const struct apply_result before = *attempt->result;
    struct error why; /* of the first row that waits for others */
    bool waits;
    *attempt->result = (struct apply_result){0};
    enum ods_status status = attempt_until_done(attempt, &waits, &why);
    bool waiting = waits && status == ODS_RETRY && attempt->postgres->conn.pg &&
                   !attempt->batch->awaiting;
    if (status != ODS_OK && !waiting)
        forget_rows(attempt->result);
    apply_result_add(attempt->result, &before); /* rows that earlier parts have committed */
    return waiting ? wait_for_partners(attempt, &why) : status;
}

/* --- outages that may be a row's fault ------------------------------------------------------ */

/* How often a batch is tried whose rows meet the same outage while the target takes its offsets. */
#define DOUBT_TRIES 5

static unsigned tries(const struct doubt *doubt)
{
    return doubt->most ? doubt->most : DOUBT_TRIES;
}

/* A trigger that raises 40001 each time a row comes, or takes longer than statement_timeout, looks
 * like an outage. After some tries the batch is written row by row, and a row that meets the same
 * error by itself is refused. The next batch is then written row by row after fewer tries. */
static void weigh(struct attempt *attempt, enum ods_status status)
{
    struct doubt *doubt = &attempt->postgres->doubt;
    const struct conn *conn = &attempt->postgres->conn;
    const struct error *error = attempt->error;
    if (status == ODS_OK && doubt->times)
        doubt->most = attempt->blamed ? (tries(doubt) + 1) / 2 : DOUBT_TRIES;
    if (status != ODS_RETRY || !conn->pg ||
        !sqlstate_is_doubtful(error, conn->settings->statement_timeout_ms)) {
        doubt->times = 0;
        return;
    }
    doubt->times = strcmp(doubt->code, error->code) == 0 ? doubt->times + 1 : 1;
    memcpy(doubt->code, error->code, sizeof doubt->code);
}

enum ods_status apply_batch(struct postgres *postgres, struct batch *batch,
                            const struct apply_hooks *hooks, struct apply_result *result,
                            struct error *error)
{
    struct error room;
    const struct doubt *doubt = &postgres->doubt;
    const bool doubted = doubt->times >= tries(doubt);
    struct attempt attempt = {.postgres = postgres,
                              .batch = batch,
                              .hooks = hooks,
                              .result = result,
                              .caution = doubted             ? CAUTION_DOUBTFUL
                                         : batch->guard_time ? CAUTION_IMMEDIATE
                                                             : CAUTION_NONE,
                              .asks = postgres->asks,
                              .error = error ? error : &room};
    bool done;
    error_init(attempt.error);
    enum ods_status status = postgres_ready(postgres, attempt.error);
    if (status == ODS_OK)
        status = marks_ready(postgres, attempt.error);
    if (status == ODS_OK)
        status = settle_unknown(&attempt, &done);
    if (status != ODS_OK || done)
        return status;
    readings_reset(&postgres->readings);
    do {
        batch_release_holds(batch);
        attempt.part_waits = false;
        moved_keys_begin(&postgres->moved_keys);
        delivered_begin(&postgres->delivered);
        statements_begin(&postgres->conn.statements, postgres->conn.generation);
        status = attempt_all(&attempt);
        moved_keys_release(&postgres->moved_keys);
    } while (attempt.next == NEXT_GO_ON);
    if (status == ODS_OK && batch->delivers)
        delivered_turn(&postgres->delivered, hooks ? hooks->notice : NULL,
                       hooks ? hooks->context : NULL);
    result->connections = postgres->conn.generation;
    result->statements = postgres->conn.pg ? postgres->conn.statements.known : 0;
    postgres->asks = postgres->readings.index.count > 0;
    weigh(&attempt, status);
    if (status == ODS_RETRY && strcmp(attempt.error->code, "55P03") == 0)
        offsets_end_stalled(&postgres->conn);
    return status;
}
