/* A batch into one transaction: rows, then nothing, or rows and offsets.
 *
 * The fast way is one pipeline: begin, the move of the offsets, a statement for each group of rows,
 * commit; one round trip whatever the number of tables. The offsets come first, so that a writer
 * which lost its partition fails before it has written a row, and two of them queue up behind one
 * row lock. When PostgreSQL refuses a row, the batch is rolled back and goes the careful way: the
 * same groups under savepoints, the refused one halved until the rows at fault stand alone.
 */
#include "sink/postgres/attempt.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/inherit.h"
#include "sink/postgres/offsets.h"

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
        status = offsets_prepare(&postgres->conn, error);
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
        for (uint32_t i = 0; i < batch->change_count; i++) {
            const struct change *change = &batch->changes[i];
            struct plan *plan = NULL;
            if (i && change->shape == batch->changes[i - 1].shape && !changed &&
                postgres->change_plans[i - 1] &&
                (postgres->change_plans[i - 1]->complete || !change->after)) {
                postgres->change_plans[i] = postgres->change_plans[i - 1];
                continue;
            }
            enum ods_status status =
                plan_find(&postgres->plans, change, &listener, &plan, &changed, attempt->error);
            if (status != ODS_OK)
                return status;
            postgres->change_plans[i] = plan;
        }
    } while (changed);
    return ODS_OK;
}

/* Dead letters are acknowledged before the offsets of their records move. */
static enum ods_status deliver_rejects(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    bool waiting = false;
    for (uint32_t i = 0; i < batch->reject_count; i++)
        waiting |= !batch->rejects[i].delivered;
    if (!waiting)
        return ODS_OK;
    if (!attempt->hooks || !attempt->hooks->before_commit)
        return error_set(attempt->error, ODS_FATAL,
                         "%s (record %u of its batch), and there is no "
                         "place for dead letters",
                         batch->rejects[0].error.text, batch->rejects[0].record);
    return attempt->hooks->before_commit(attempt->hooks->context, batch, attempt->error);
}

/* --- the fast way --------------------------------------------------------------------------- */

static enum ods_status run_fast(struct attempt *attempt)
{
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, "begin");
    if (status == ODS_OK)
        status = attempt_offsets(attempt);
    for (struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next) {
        if (work->truncate)
            status = attempt_truncate(attempt, work);
        if (status == ODS_OK)
            status = attempt_work(attempt, work, attempt_rows, attempt_loose);
    }
    if (status == ODS_OK) {
        attempt->commit_sent = true;
        status = attempt_send(attempt, "commit");
    }
    return attempt_end(attempt, status);
}

/* --- the careful way ------------------------------------------------------------------------ */

/* Rows [first, last) under a savepoint, in a round trip. */
static enum ods_status try_rows(struct attempt *attempt, struct group *group, uint32_t first,
                                uint32_t last)
{
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, "savepoint ods_rows");
    if (status == ODS_OK)
        status = attempt_rows(attempt, group, first, last);
    if (status == ODS_OK)
        status = attempt_send(attempt, "release ods_rows");
    return attempt_end(attempt, status);
}

static enum ods_status back_to_savepoint(struct attempt *attempt)
{
    struct error ignored;
    error_init(&ignored);
    return conn_script(&attempt->postgres->conn, "rollback to ods_rows", &ignored);
}

/* One row stands alone and is refused: its last change is at fault. */
static enum ods_status set_aside(struct attempt *attempt, const struct row *row)
{
    struct error why = *attempt->error;
    enum ods_status status = fold_reject(attempt->batch, row->last, &why, attempt->error);
    attempt->refold |= row->chain > 1;
    return status;
}

static enum ods_status careful_rows(struct attempt *attempt, struct group *group, uint32_t first,
                                    uint32_t last)
{
    enum ods_status status = try_rows(attempt, group, first, last);
    if (status != ODS_REJECT || attempt->unencodable || attempt->stale)
        return status;
    struct error why = *attempt->error;
    status = back_to_savepoint(attempt);
    if (status != ODS_OK)
        return status;
    if (last - first == 1) {
        *attempt->error = why;
        return set_aside(attempt, group->rows[first]);
    }
    uint32_t middle = first + (last - first) / 2;
    status = careful_rows(attempt, group, first, middle);
    return status == ODS_OK ? careful_rows(attempt, group, middle, last) : status;
}

/* Row by row: a change that the guard keeps out is set aside like one that PostgreSQL refuses. */
static enum ods_status guarded_rows(struct attempt *attempt, struct group *group, uint32_t first,
                                    uint32_t last)
{
    const struct plan *plan = group->plan;
    bool comparable = plan->timestamp_column >= 0;
    enum ods_status status = ODS_OK;
    if (group->kind == GROUP_INSERT)
        return careful_rows(attempt, group, first, last);
    for (uint32_t i = first; status == ODS_OK && i < last; i++) {
        attempt->kept = 0;
        if (comparable)
            status = careful_rows(attempt, group, i, i + 1);
        if (status != ODS_OK || (comparable && !attempt->kept))
            continue;
        error_set(attempt->error, ODS_REJECT,
                  comparable ? "table %s: its row is as new as this change or newer%s"
                             : "table %s: has no column with the time of a row's last change to "
                               "compare with%s",
                  plan->table->quoted,
                  comparable && plan->settings->on_delete == ON_DELETE_HARD
                      ? ", or is not there, as after a delete"
                      : "");
        status = set_aside(attempt, group->rows[i]);
    }
    return status;
}

static enum ods_status careful_loose(struct attempt *attempt, const struct loose *loose)
{
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, "savepoint ods_rows");
    if (status == ODS_OK)
        status = attempt_loose(attempt, loose);
    if (status == ODS_OK)
        status = attempt_send(attempt, "release ods_rows");
    status = attempt_end(attempt, status);
    if (status != ODS_REJECT || attempt->refold || attempt->stale)
        return status;
    struct error why = *attempt->error;
    status = back_to_savepoint(attempt);
    return status == ODS_OK ? fold_reject(attempt->batch, loose->change, &why, attempt->error)
                            : status;
}

static enum ods_status run_careful(struct attempt *attempt)
{
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_send(attempt, "begin");
    if (status == ODS_OK)
        status = attempt_send(attempt, "set constraints all immediate");
    if (status == ODS_OK)
        status = attempt_offsets(attempt);
    for (struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next)
        if (work->truncate)
            status = attempt_truncate(attempt, work);
    status = attempt_end(attempt, status);
    for (struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next)
        status = attempt_work(
            attempt, work, attempt->batch->guard_time ? guarded_rows : careful_rows, careful_loose);
    if (status == ODS_OK && attempt->refold)
        status = error_set(attempt->error, ODS_REJECT, "a change behind others was set aside");
    if (status == ODS_OK)
        status = deliver_rejects(attempt);
    if (status != ODS_OK)
        return status;
    status = attempt_begin(attempt);
    if (status == ODS_OK) {
        attempt->commit_sent = true;
        status = attempt_send(attempt, "commit");
    }
    return attempt_end(attempt, status);
}

/* --- attempts ------------------------------------------------------------------------------- */

static enum ods_status fold_attempt(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    arena_reset(&postgres->scratch, SCRATCH_KEEP_BYTES);
    struct inheritance inheritance = {0};
    enum ods_status status = find_plans(attempt);
    if (status == ODS_OK)
        status =
            inherit_values(&inheritance, &postgres->scratch, attempt->batch, postgres->change_plans,
                           &postgres->conn, &postgres->encoder, attempt->error);
    attempt->result->values_lost = inheritance.lost;
    if (status == ODS_OK)
        status =
            fold_batch(&attempt->fold, &postgres->scratch, attempt->batch, postgres->change_plans,
                       inheritance.of, &postgres->encoder, attempt->validate, attempt->error);
    return status == ODS_OK ? deliver_rejects(attempt) : status;
}

/* What a failed attempt teaches; true: try the batch again now. */
static bool learn(struct attempt *attempt, enum ods_status status, uint32_t had_rejects)
{
    bool stale = attempt->stale, unencodable = attempt->unencodable;
    attempt->stale = attempt->unencodable = attempt->refold = false;
    if (stale) {
        attempt->refreshed = true;
        forget_catalog(attempt->postgres);
        return conn_script(&attempt->postgres->conn, "deallocate all", NULL) == ODS_OK;
    }
    if (status != ODS_REJECT)
        return false;
    if (attempt->batch->reject_count > had_rejects)
        return true; /* without those */
    if (unencodable && attempt->validate)
        return false;
    if (!unencodable && attempt->careful)
        return false;
    attempt->validate |= unencodable;
    attempt->careful |= !unencodable;
    return true;
}

/* A refusal that no row explains: a deferred trigger, an encoder that disagrees with itself. */
static enum ods_status unexplained(struct attempt *attempt)
{
    error_prefix(attempt->error, "no single row is at fault: ");
    return ODS_FATAL;
}

static enum ods_status settle_unknown(struct attempt *attempt, bool *done)
{
    struct postgres *postgres = attempt->postgres;
    *done = false;
    if (!attempt->batch->commit_unknown)
        return ODS_OK;
    enum ods_status status = offsets_settle(&postgres->conn, postgres->config.group, attempt->batch,
                                            done, attempt->error);
    if (status == ODS_OK)
        attempt->batch->commit_unknown = false;
    return status;
}

enum ods_status apply_batch(struct postgres *postgres, struct batch *batch,
                            const struct apply_hooks *hooks, struct apply_result *result,
                            struct error *error)
{
    struct error room;
    struct attempt attempt = {.postgres = postgres,
                              .batch = batch,
                              .hooks = hooks,
                              .result = result,
                              .careful = batch->guard_time,
                              .error = error ? error : &room};
    bool done;
    error_init(attempt.error);
    enum ods_status status = postgres_ready(postgres, attempt.error);
    if (status == ODS_OK)
        status = settle_unknown(&attempt, &done);
    if (status != ODS_OK || done)
        return status;
    for (;;) {
        uint32_t had_rejects = batch->reject_count;
        struct apply_result made = {.tables_created = result->tables_created,
                                    .columns_added = result->columns_added,
                                    .columns_changed = result->columns_changed};
        *result = made;
        attempt.commit_sent = false;
        status = fold_attempt(&attempt);
        if (status == ODS_OK)
            status = attempt.careful ? run_careful(&attempt) : run_fast(&attempt);
        if (status == ODS_OK)
            break;
        batch->commit_unknown = attempt.commit_sent && !postgres->conn.pg;
        attempt_roll_back(&attempt);
        if (!postgres->conn.pg || !learn(&attempt, status, had_rejects))
            return status == ODS_REJECT ? unexplained(&attempt) : status;
        error_init(attempt.error);
    }
    result->folded = attempt.fold.folded;
    result->skipped = attempt.fold.skipped;
    return ODS_OK;
}
