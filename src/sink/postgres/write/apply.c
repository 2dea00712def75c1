/* A batch into one transaction: rows, then nothing, or rows and offsets.
 *
 * One pipeline holds begin, the move of the offsets, a statement for each group of rows, and
 * commit; one round trip whatever the number of tables. The offsets come first, so that a writer
 * which lost its partition fails before it has written a row, and two of them queue up behind one
 * row lock. What PostgreSQL refuses is found by steps.c; partner.c knows the rows that need other
 * rows.
 */
#include "sink/postgres/write/attempt.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/values/ask.h"
#include "sink/postgres/fold/guess.h"
#include "sink/postgres/fold/inherit.h"
#include "sink/postgres/fold/moved_keys.h"
#include "sink/postgres/write/offsets.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/tables/origin.h"
#include "sink/postgres/write/blocked.h"
#include "sink/postgres/fold/spelling.h"
#include "sink/postgres/write/steps.h"

#define SCRATCH_KEEP_BYTES ((size_t) 8 * 1024 * 1024)

/* --- before the transaction ----------------------------------------------------------------- */

static void forget_catalog(struct postgres *postgres)
{
    plans_clear(&postgres->plans);
    catalog_clear(&postgres->catalog);
}

enum ods_status postgres_ready(struct postgres *postgres, struct error *error)
{
    bool fresh = !postgres->conn.pg || PQstatus(postgres->conn.pg) != CONNECTION_OK;
    enum ods_status status = conn_open(&postgres->conn, error);
    if (status == ODS_OK && fresh) {
        forget_catalog(postgres); /* it may have changed while we were away */
        status = own_schema_prepare(&postgres->conn, error);
    }
    if (status != ODS_OK && fresh)
        conn_close(&postgres->conn);
    return status;
}

static void notice(void *context, const char *text)
{
    const struct attempt *attempt = context;
    if (attempt->hooks && attempt->hooks->notice)
        attempt->hooks->notice(attempt->hooks->context, text);
}

/* The change, and what follows it in its partition, is for a transaction of its own: the fold can't
 * tell in which order changes of one row are that name it by different keys. False: it is of no
 * partition, as a dead letter that is replayed by itself. */
static bool wait_for_other_key(struct attempt *attempt, const struct change *change)
{
    batch_hold(attempt->batch, change->record);
    bool waits = !batch_reaches(attempt->batch, &attempt->batch->records[change->record]);
    attempt->key_changes |= waits;
    return waits;
}

/* *plan is NULL for a change that waits: its table gets another key, which what stands before it
 * does not have; or that is asked about again, as *changed says. */
static enum ods_status find_plan(struct attempt *attempt, struct plan_listener *listener,
                                 uint32_t index, struct plan **plan, bool *changed)
{
    struct postgres *postgres = attempt->postgres;
    const struct change *change = &attempt->batch->changes[index];
    listener->plans = postgres->change_plans;
    listener->count = index;
    listener->waits = listener->later = false;
    enum ods_status status =
        plan_find(&postgres->plans, change, listener, plan, changed, attempt->error);
    if (status != ODS_REJECT || (!listener->waits && !listener->later))
        return status;
    error_init(attempt->error);
    *plan = NULL;
    *changed |= listener->later;
    if (listener->later || wait_for_other_key(attempt, change))
        return ODS_OK;
    listener->count = 0;
    listener->waits = false;
    return plan_find(&postgres->plans, change, listener, plan, changed, attempt->error);
}

/* Do the batch's changes before this one know the rows of its table by another key? */
static bool has_other_key(const struct plan *plan, const struct change *change, unsigned pass)
{
    struct pg_table *table = plan->table;
    size_t bytes = plan->key_count * sizeof *plan->key_target;
    if (!table || plan->skip || change->op == OP_TRUNCATE)
        return false;
    if (table->key_seen.pass == pass)
        return table->key_seen.count != plan->key_count ||
               memcmp(table->key_seen.columns, plan->key_target, bytes) != 0;
    table->key_seen.pass = pass;
    table->key_seen.count = plan->key_count;
    memcpy(table->key_seen.columns, plan->key_target, bytes);
    return false;
}

/* Plans for all changes. Making a table or a column may replace what an earlier change's plan
 * points to; then all of them are asked for again, and found ready. */
static enum ods_status find_plans(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    struct batch *batch = attempt->batch;
    struct plan_listener listener = {
        .notice = notice, .context = attempt, .batch = batch, .result = attempt->result};
    if (batch->change_count > postgres->change_plan_capacity) {
        size_t larger = batch->change_capacity;
        const struct plan **moved =
            realloc(postgres->change_plans, larger * sizeof *postgres->change_plans);
        if (!moved)
            return error_out_of_memory(attempt->error);
        postgres->change_plans = moved;
        postgres->change_plan_capacity = larger;
    }
    bool changed;
    postgres->plans.epoch++;
    do {
        changed = false;
        unsigned pass = ++postgres->plans.passes;
        for (uint32_t i = 0; i < batch->change_count; i++) {
            const struct change *change = &batch->changes[i];
            struct plan *plan = NULL;
            if (batch->partial && !batch_reaches(batch, &batch->records[change->record])) {
                postgres->change_plans[i] = NULL;
                continue;
            }
            if (i && change->shape == batch->changes[i - 1].shape && !changed &&
                postgres->change_plans[i - 1] &&
                (postgres->change_plans[i - 1]->complete || !change->after)) {
                postgres->change_plans[i] = postgres->change_plans[i - 1];
                continue;
            }
            enum ods_status status = find_plan(attempt, &listener, i, &plan, &changed);
            if (status != ODS_OK)
                return status;
            if (plan && has_other_key(plan, change, pass) && wait_for_other_key(attempt, change))
                plan = NULL;
            postgres->change_plans[i] = plan;
        }
    } while (changed);
    return ODS_OK;
}

/* Changes of tables that PostgreSQL can't have as they would have to be. */
static enum ods_status refuse_tables(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct plan *plan = attempt->postgres->change_plans[i];
        if (!plan || !plan->refusal)
            continue;
        if (!batch->changes[i].rejected)
            status = attempt_refuse(attempt, i, plan->refusal);
        attempt->postgres->change_plans[i] = NULL;
    }
    return status;
}

/* Why a truncate can't be applied, into *why; no text: it can. It stands in one partition and means
 * the rows of all. Where there are several, rows that came after it may be in already, and rows
 * from before it may be yet to come: it can't be applied without losing the ones or keeping the
 * others. Nor are the rows of other sources its. */
static enum ods_status look_at_truncate(struct attempt *attempt, const struct plan *plan,
                                        const char *topic, struct error *why)
{
    const struct apply_hooks *hooks = attempt->hooks;
    int32_t count = 1;
    bool shared = false;
    enum ods_status status = ODS_OK;
    if (hooks && hooks->partitions)
        status = hooks->partitions(hooks->context, topic, &count, attempt->error);
    if (status == ODS_OK && plan->table)
        status = origin_is_shared(plan, &attempt->postgres->conn, &shared, attempt->error);
    if (status != ODS_OK)
        return status;
    if (shared)
        error_set(why, ODS_REJECT,
                  "table %s: a truncate is not applied to %s.%s, which has the rows of other "
                  "tables of the source too: delete its rows by hand",
                  plan->shape->table, plan->schema, plan->name);
    else if (count > 1)
        error_set(why, ODS_REJECT,
                  "table %s: a truncate in one of %d partitions is not ordered against the rows "
                  "of the others, and is not applied: delete the rows by hand that are older, "
                  "or give the topic a single partition",
                  plan->shape->table, (int) count);
    return ODS_OK;
}

static enum ods_status refuse_truncates(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct plan *plan = attempt->postgres->change_plans[i];
        struct error why;
        if (batch->changes[i].op != OP_TRUNCATE || batch->changes[i].rejected || !plan ||
            plan->skip || plan->settings->on_truncate != ON_TRUNCATE_APPLY)
            continue;
        error_init(&why);
        status = look_at_truncate(attempt, plan, batch->records[batch->changes[i].record].topic,
                                  &why);
        if (status == ODS_OK && why.text[0])
            status = fold_reject(batch, i, &why, attempt->error);
    }
    return status;
}

/* Dead letters are acknowledged before the offsets of their records move. */
static enum ods_status deliver_rejects(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    if (!batch_letters_wait(batch))
        return ODS_OK;
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
    if (status == ODS_OK) {
        attempt->commit_sent = true;
        status = attempt_send(attempt, "commit");
    }
    return attempt_end(attempt, status);
}

/* The steps commit by themselves where nothing needs a closer look. */
static enum ods_status run_transaction(struct attempt *attempt)
{
    attempt->transaction = TRANSACTION_NONE;
    attempt->marked = attempt->mark_sent = attempt->commit_sent = false;
    attempt->divided = attempt->careful;
    attempt->mark = 0;
    attempt->pending = NULL;
    attempt->pending_count = attempt->pending_capacity = 0;
    enum ods_status status = steps_run(attempt);
    if (status != ODS_OK || attempt->commit_sent)
        return status;
    status = blocked_settle(attempt);
    if (status == ODS_OK && attempt->refold)
        status = error_set(attempt->error, ODS_REJECT, "a change behind others was set aside");
    if (status == ODS_OK)
        status = deliver_rejects(attempt);
    return status == ODS_OK ? commit(attempt) : status;
}

/* --- attempts ------------------------------------------------------------------------------- */

static unsigned fold_flags(const struct attempt *attempt)
{
    bool guess = !attempt->careful;
    return (attempt->validate ? FOLD_VALIDATE : 0) | (guess ? FOLD_GUESS : 0);
}

/* A look-up may be the first to meet a table that somebody else has changed. */
static enum ods_status look_ups(struct attempt *attempt, struct inheritance *inheritance)
{
    struct postgres *postgres = attempt->postgres;
    enum ods_status status = moved_keys_sort_out(&postgres->moved_keys, attempt->batch, postgres->change_plans,
                            &attempt->result->outdated, attempt->error);
    if (status == ODS_OK)
        status = inherit_values(inheritance, &postgres->scratch, attempt->batch,
                                postgres->change_plans, &postgres->conn, &postgres->encoder,
                                attempt->error);
    if (status != ODS_OK)
        attempt->stale =
            !attempt->refreshed && sqlstate_is_stale_catalog(attempt->error->code);
    return status;
}

static enum ods_status fold_attempt(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    arena_reset(&postgres->scratch, SCRATCH_KEEP_BYTES);
    attempt->fold = (struct fold){0}; /* it lay there */
    struct inheritance inheritance = {0};
    uint32_t had_rejects = attempt->batch->reject_count;
    enum ods_status status = find_plans(attempt);
    if (status == ODS_OK)
        status = refuse_tables(attempt);
    if (status == ODS_OK)
        status = refuse_truncates(attempt);
    if (status == ODS_OK && attempt->ask)
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
    if (status == ODS_OK && postgres->readings.waiting_count) /* of a key that was looked for */
        status = error_set(attempt->error, ODS_RETRY, "a text is to be asked for");
    if (status == ODS_OK && postgres->moved_keys.noted && attempt->batch->reject_count > had_rejects)
        status = error_set(attempt->error, ODS_REJECT, "what was set aside may have been noted");
    return status == ODS_OK ? deliver_rejects(attempt) : status;
}

/* Rows were inserted because their creates say that they are new, and one of them may be at fault.
 */
static void guesses_failed(const struct attempt *attempt)
{
    for (const struct table_work *work = attempt->fold.tables; work; work = work->next)
        for (const struct group *group = work->groups[GROUP_UPSERT]; group; group = group->next)
            if (group->guess != GUESS_NONE)
                guess_failed(work->table, group->guess);
}

/* What a failed attempt teaches; true: try the batch again now. */
static bool learn(struct attempt *attempt, enum ods_status status, uint32_t had_rejects)
{
    bool stale = attempt->stale, unencodable = attempt->unencodable, held = attempt->held;
    attempt->stale = attempt->unencodable = attempt->refold = attempt->held = false;
    attempt->postgres->moved_keys.known &= !stale && !held && attempt->batch->reject_count == had_rejects;
    if (stale) {
        attempt->refreshed = true;
        forget_catalog(attempt->postgres);
        /* PL/pgSQL too keeps plans for what a table was, as long as the session lasts. */
        if (conn_script(&attempt->postgres->conn, "deallocate all; discard plans", NULL) != ODS_OK)
            return false;
        statements_lost(&attempt->postgres->conn.statements, attempt->postgres->conn.generation);
        return true;
    }
    if (attempt->postgres->readings.waiting_count) {
        attempt->postgres->moved_keys.known = false;
        return attempt->ask = true;
    }
    if (status != ODS_REJECT)
        return false;
    if (held || attempt->batch->reject_count > had_rejects)
        return true; /* without those */
    if (unencodable) {
        bool tried = attempt->validate;
        attempt->validate = true;
        return !tried;
    }
    if (!attempt->careful) {
        guesses_failed(attempt);
        return attempt->careful = true;
    }
    bool tried = attempt->immediate;
    attempt->immediate = true;
    return !tried;
}

/* A refusal that no row explains: a deferred trigger, an encoder that disagrees with itself. */
static enum ods_status unexplained(struct attempt *attempt)
{
    error_prefix(attempt->error, "no single row is at fault: ");
    return ODS_FATAL;
}

/* The connection broke before it was found out which row is at fault, or what the table has become:
 * an outage, after which the batch is looked through again. */
static enum ods_status cut_short(struct attempt *attempt)
{
    error_init(attempt->error);
    return error_set(attempt->error, ODS_RETRY,
                     "target %s: the connection broke while a refused batch was looked through",
                     attempt->postgres->conn.name);
}

/* A commit whose answer was lost. *done: it has happened, and nothing of the batch is left. */
static enum ods_status settle_unknown(struct attempt *attempt, bool *done)
{
    struct postgres *postgres = attempt->postgres;
    bool happened;
    *done = false;
    if (!attempt->batch->commit_unknown)
        return ODS_OK;
    enum ods_status status = offsets_settle(&postgres->conn, postgres->config.group, attempt->batch,
                                            &happened, attempt->error);
    if (status != ODS_OK)
        return status;
    attempt->batch->commit_unknown = false;
    if (happened)
        *done = !batch_advance(attempt->batch);
    return ODS_OK;
}

/* Is anything of the batch before what is held? */
static bool can_go_on(const struct batch *batch)
{
    bool can = !batch->range_count;
    for (uint32_t i = 0; i < batch->range_count; i++)
        can |= batch->ranges[i].from < range_end(&batch->ranges[i]);
    return can;
}

static enum ods_status wait_for_partners(struct attempt *attempt, const struct error *why)
{
    attempt->batch->patience--;
    *attempt->error = *why;
    error_prefix(attempt->error, "waits for the row that this one needs: ");
    return ODS_RETRY;
}

/* What is made outside of the transaction counts whatever becomes of it. */
static void forget_rows(struct apply_result *result)
{
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++)
        if (apply_counts[i].of == APPLY_OF_ROWS)
            *apply_count(result, i) = 0;
}

/* Until it is committed as far as nothing is held. *waits: something is, for what *why says. */
static enum ods_status attempt_until_done(struct attempt *attempt, bool *waits, struct error *why)
{
    struct batch *batch = attempt->batch;
    *waits = false;
    for (;;) {
        uint32_t had_rejects = batch->reject_count;
        forget_rows(attempt->result);
        enum ods_status status = fold_attempt(attempt);
        if (status == ODS_OK)
            status = run_transaction(attempt);
        if (status == ODS_OK)
            break;
        bool connected = attempt->postgres->conn.pg;
        batch->commit_unknown = attempt->commit_sent && !connected;
        attempt_roll_back(attempt);
        if (attempt->held) {
            *why = attempt->why;
            *waits = true;
        }
        bool open = attempt->stale || status == ODS_REJECT;
        if (!attempt->postgres->conn.pg || !learn(attempt, status, had_rejects)) {
            if (open && !attempt->postgres->conn.pg)
                return cut_short(attempt);
            return status == ODS_REJECT ? unexplained(attempt) : status;
        }
        if (*waits && !can_go_on(batch))
            return ODS_RETRY;
        error_init(attempt->error);
    }
    attempt->result->folded = attempt->fold.folded;
    attempt->result->missing += attempt->fold.missing;
    attempt->result->skipped = attempt->fold.skipped - attempt->result->outdated;
    bool left = batch_advance(batch);
    attempt->goes_on = left && attempt->key_changes && !*waits;
    return left ? ODS_RETRY : ODS_OK;
}

static enum ods_status attempt_all(struct attempt *attempt)
{
    const struct apply_result before = *attempt->result;
    struct error why; /* of the first row that waits for others */
    bool waits;
    *attempt->result = (struct apply_result){0};
    enum ods_status status = attempt_until_done(attempt, &waits, &why);
    bool waiting = waits && status == ODS_RETRY && attempt->postgres->conn.pg;
    if (status != ODS_OK && !waiting)
        forget_rows(attempt->result);
    apply_result_add(attempt->result, &before); /* rows that were committed before count on */
    return waiting ? wait_for_partners(attempt, &why) : status;
}

/* --- outages that may be a row's fault ------------------------------------------------------ */

/* Tries of a batch whose rows meet the same outage, while the target takes its offsets. */
#define DOUBT_TRIES 5

static unsigned tries(const struct doubt *doubt)
{
    return doubt->most ? doubt->most : DOUBT_TRIES;
}

/* A trigger that raises 40001 whenever a row comes, or that takes longer than statement_timeout,
 * looks like an outage. After some tries the batch goes row by row, and a row that meets the same
 * by itself is refused. Where that was so, the next batch is doubted earlier. */
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
                              .careful = batch->guard_time || doubted,
                              .immediate = batch->guard_time || doubted,
                              .doubted = doubted,
                              .ask = postgres->asks,
                              .error = error ? error : &room};
    bool done;
    error_init(attempt.error);
    enum ods_status status = postgres_ready(postgres, attempt.error);
    if (status == ODS_OK)
        status = settle_unknown(&attempt, &done);
    if (status != ODS_OK || done)
        return status;
    readings_reset(&postgres->readings);
    do {
        batch_release_holds(batch);
        attempt.key_changes = attempt.goes_on = false;
        moved_keys_begin(&postgres->moved_keys);
        statements_begin(&postgres->conn.statements, postgres->conn.generation);
        status = attempt_all(&attempt);
        moved_keys_release(&postgres->moved_keys);
    } while (attempt.goes_on);
    result->statements = postgres->conn.pg ? postgres->conn.statements.known : 0;
    postgres->asks = postgres->readings.buckets != NULL;
    weigh(&attempt, status);
    if (status == ODS_RETRY && strcmp(attempt.error->code, "55P03") == 0)
        offsets_end_stalled(&postgres->conn);
    return status;
}
