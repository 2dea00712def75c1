/* A batch into one transaction: rows, then nothing, or rows and offsets.
 *
 * The fast way is one pipeline: begin, the move of the offsets, a statement for each group of rows,
 * commit; one round trip whatever the number of tables. The offsets come first, so that a writer
 * which lost its partition fails before it has written a row, and two of them queue up behind one
 * row lock. When PostgreSQL refuses a row, the batch is rolled back and goes the careful way: the
 * same groups under savepoints, the refused one halved until the rows at fault stand alone.
 */
#include "sink/postgres/apply.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/inherit.h"
#include "sink/postgres/offsets.h"

/* Rows of one statement: enough to make a statement's own cost vanish, not enough to matter. */
#define STATEMENT_BYTES    ((size_t) 1024 * 1024)
#define SCRATCH_KEEP_BYTES ((size_t) 8 * 1024 * 1024)

/* One attempt at a batch. */
struct attempt {
    struct postgres *postgres;
    struct batch *batch;
    const struct apply_hooks *hooks;
    struct apply_result *result;
    struct fold fold;
    struct error *error;
    bool validate;    /* try to encode each change by itself while folding */
    bool careful;     /* savepoints and halving */
    bool refreshed;   /* the catalog was read again once */
    bool stale;       /* PostgreSQL says a table is not what we think */
    bool unencodable; /* a row can't be encoded */
    bool refold;      /* a row that stood for several changes was refused: fold without it */
    bool commit_sent;
    uint64_t kept; /* changes that the guard kept out since this was last set to 0 */
    struct sent *sent, **sent_tail;
};

/* A command in the pipeline, to be matched with its result. */
struct sent {
    struct sent *next;
    unsigned commands; /* 2: prepare and execute */
    struct statement *statement;
    enum group_kind kind;
    uint32_t rows;
    uint64_t stripped; /* values that lost a U+0000 */
    bool counts; /* its row count goes into the result */
};

static enum ods_status out_of_memory(struct error *error)
{
    return error_set(error, ODS_RETRY, "out of memory");
}

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
            return out_of_memory(attempt->error);
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

/* --- the pipeline --------------------------------------------------------------------------- */

static struct sent *add_sent(struct attempt *attempt, unsigned commands)
{
    struct sent *sent = arena_alloc(&attempt->postgres->scratch, sizeof *sent);
    if (!sent)
        return NULL;
    *sent = (struct sent){.commands = commands};
    *attempt->sent_tail = sent;
    attempt->sent_tail = &sent->next;
    return sent;
}

static enum ods_status send_plain(struct attempt *attempt, const char *sql)
{
    enum ods_status status = conn_send(&attempt->postgres->conn, sql, attempt->error);
    if (status == ODS_OK && !add_sent(attempt, 1))
        status = out_of_memory(attempt->error);
    return status;
}

static enum ods_status send_offsets(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    if (!attempt->batch->range_count)
        return ODS_OK;
    enum ods_status status = offsets_send(&postgres->conn, postgres->config.group, attempt->batch,
                                          postgres->offsets, attempt->error);
    if (status == ODS_OK && !add_sent(attempt, 1))
        status = out_of_memory(attempt->error);
    return status;
}

/* Encode and send rows [first, last) of a group. What can't be encoded is set aside, and from then
 * on nothing more is sent: the batch will be folded again without it. */
static enum ods_status send_rows(struct attempt *attempt, struct group *group, uint32_t first,
                                 uint32_t last)
{
    struct postgres *postgres = attempt->postgres;
    struct statement *statement = NULL;
    enum ods_status status =
        upsert_statement(group, attempt->batch->guard_time, &statement, attempt->error);
    while (status == ODS_OK && first < last) {
        uint64_t stripped = postgres->encoder.stripped;
        uint32_t upto;
        struct error why;
        error_init(&why);
        status = upsert_encode(group, statement, &postgres->encoder, &postgres->arrays, first, last,
                               STATEMENT_BYTES, &upto, &why);
        if (status == ODS_REJECT) {
            attempt->unencodable = true;
            return error_set(attempt->error, ODS_REJECT, "%s", why.text);
        }
        if (status != ODS_OK)
            return error_set(attempt->error, status, "%s", why.text);
        unsigned commands = 0;
        status =
            upsert_send(statement, &postgres->conn, &postgres->arrays, &commands, attempt->error);
        struct sent *sent = status == ODS_OK ? add_sent(attempt, commands) : NULL;
        if (status == ODS_OK && !sent)
            status = out_of_memory(attempt->error);
        if (sent) {
            sent->statement = statement;
            sent->kind = group->kind;
            sent->rows = upto - first;
            sent->stripped = postgres->encoder.stripped - stripped;
            sent->counts = true;
        }
        first = upto;
    }
    return status;
}

/* A result that counts: what the target was sent, and what was not there. */
static void count_rows(struct attempt *attempt, const struct sent *sent, uint64_t rows)
{
    struct apply_result *result = attempt->result;
    if (!sent->counts)
        return;
    result->nul_stripped += sent->stripped;
    if (attempt->batch->guard_time && sent->statement && sent->kind != GROUP_INSERT) {
        attempt->kept += rows;
        rows = sent->rows - rows;
    }
    if (sent->kind == GROUP_DELETE || sent->kind == GROUP_SOFT_DELETE) {
        result->deleted += rows;
        result->missing += sent->rows > rows ? sent->rows - rows : 0;
    } else {
        result->upserted += sent->rows;
    }
}

/* Read all results. The first error is the answer; what follows it was not run. */
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
            if (status == ODS_OK && last)
                count_rows(attempt, sent, rows);
            if (status != ODS_OK && !last)
                upsert_unprepare(sent->statement);
            if (status == ODS_REJECT && !last)
                status = ODS_FATAL; /* the statement itself is refused, whatever its rows */
            if (status != ODS_OK && first == ODS_OK) {
                first = status;
                attempt->stale = !attempt->refreshed && sqlstate_is_stale_catalog(why.sqlstate);
                if (attempt->error)
                    *attempt->error = why;
            }
            if (!attempt->postgres->conn.pg)
                return first;
        }
    }
    return first;
}

static enum ods_status begin_pipeline(struct attempt *attempt)
{
    attempt->sent = NULL;
    attempt->sent_tail = &attempt->sent;
    return conn_pipeline_begin(&attempt->postgres->conn, attempt->error);
}

/* Close the pipeline and read it, whatever happened while filling it. */
static enum ods_status end_pipeline(struct attempt *attempt, enum ods_status sending)
{
    struct conn *conn = &attempt->postgres->conn;
    if (!conn->pg)
        return sending;
    enum ods_status status = conn_pipeline_sync(conn, sending == ODS_OK ? attempt->error : NULL);
    struct error *error = attempt->error;
    struct error ignored;
    if (sending != ODS_OK)
        attempt->error = &ignored; /* the first failure is the one to tell */
    if (status == ODS_OK)
        status = read_results(attempt);
    if (conn->pg) {
        enum ods_status ended = conn_pipeline_end(conn, status == ODS_OK ? attempt->error : NULL);
        status = status == ODS_OK ? ended : status;
    }
    attempt->error = error;
    return sending == ODS_OK ? status : sending;
}

static void roll_back(struct attempt *attempt)
{
    if (attempt->postgres->conn.pg)
        conn_script(&attempt->postgres->conn, "rollback", NULL);
}

/* --- what a table's work sends -------------------------------------------------------------- */

typedef enum ods_status row_sender(struct attempt *attempt, struct group *group, uint32_t first,
                                   uint32_t last);

static enum ods_status send_truncate(struct attempt *attempt, const struct table_work *work)
{
    const struct plan *plan = work->truncate_plan;
    struct buffer sql;
    buffer_init(&sql);
    if (plan->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0) {
        const char *operation = plan->table->columns[plan->operation_column].quoted;
        buffer_printf(&sql, "update %s set %s = 'd' where %s is distinct from 'd'",
                      plan->table->quoted, operation, operation);
    } else {
        buffer_printf(&sql, "truncate %s", plan->table->quoted);
    }
    enum ods_status status =
        sql.failed ? out_of_memory(attempt->error) : send_plain(attempt, buffer_text(&sql));
    buffer_done(&sql);
    attempt->result->truncated++;
    return status;
}

static uint64_t *all_columns(struct attempt *attempt, const struct plan *plan)
{
    size_t bytes = plan_words(plan->table) * sizeof(uint64_t);
    uint64_t *columns = arena_alloc(&attempt->postgres->scratch, bytes);
    if (columns)
        memcpy(columns, plan->columns, bytes);
    return columns;
}

/* A run of inserts into a table without key, as a group of its own. *loose ends behind the run. */
static enum ods_status insert_group(struct attempt *attempt, struct loose **loose,
                                    struct group **made)
{
    struct arena *arena = &attempt->postgres->scratch;
    const struct plan *plan = (*loose)->plan;
    uint32_t count = 0;
    struct loose *end = *loose;
    for (; end && end->plan == plan && loose_is_insert(attempt->batch, end); end = end->next)
        count++;
    struct group *group = arena_alloc(arena, sizeof *group);
    struct row **rows = arena_alloc(arena, count * sizeof *rows);
    struct row *items = arena_alloc(arena, count * sizeof *items);
    uint64_t *columns = all_columns(attempt, plan);
    if (!group || !rows || !items || !columns)
        return out_of_memory(attempt->error);
    for (uint32_t i = 0; i < count; i++, *loose = (*loose)->next) {
        const struct change *change = &attempt->batch->changes[(*loose)->change];
        items[i] = (struct row){.plan = plan,
                                .last = (*loose)->change,
                                .chain = 1,
                                .image = change->after ? change->after : change->before,
                                .stamp = change};
        rows[i] = &items[i];
    }
    *group = (struct group){
        .kind = GROUP_INSERT, .plan = plan, .columns = columns, .rows = rows, .count = count};
    *made = group;
    return ODS_OK;
}

static enum ods_status send_one_loose(struct attempt *attempt, const struct loose *loose)
{
    struct postgres *postgres = attempt->postgres;
    struct error why;
    error_init(&why);
    uint64_t stripped = postgres->encoder.stripped;
    enum ods_status status =
        loose_compile(&postgres->loose, attempt->batch, loose, &postgres->encoder, &why);
    if (status == ODS_REJECT) {
        status = fold_reject(attempt->batch, loose->change, &why, attempt->error);
        if (status != ODS_OK)
            return status;
        attempt->refold = true;
        return error_set(attempt->error, ODS_REJECT, "%s", why.text);
    }
    if (status != ODS_OK)
        return error_set(attempt->error, status, "%s", why.text);
    status = loose_send(&postgres->loose, &postgres->conn, attempt->error);
    struct sent *sent = status == ODS_OK ? add_sent(attempt, 1) : NULL;
    if (status == ODS_OK && !sent)
        status = out_of_memory(attempt->error);
    if (sent) {
        bool delete = attempt->batch->changes[loose->change].op == OP_DELETE;
        sent->kind = delete ? GROUP_DELETE : GROUP_UPSERT;
        sent->rows = 1;
        sent->stripped = postgres->encoder.stripped - stripped;
        sent->counts = true;
    }
    return status;
}

typedef enum ods_status loose_sender(struct attempt *attempt, const struct loose *loose);

/* One table: truncate, deletes, whole rows, rows that lack values, then what has no key. */
static enum ods_status send_work(struct attempt *attempt, const struct table_work *work,
                                 row_sender *send, loose_sender *send_loose)
{
    enum ods_status status = ODS_OK;
    for (enum group_kind kind = GROUP_DELETE; kind <= GROUP_PARTIAL; kind++)
        for (struct group *group = work->groups[kind]; status == ODS_OK && group;
             group = group->next)
            status = send(attempt, group, 0, group->count);
    for (struct loose *loose = work->loose; status == ODS_OK && loose;) {
        if (!loose_is_insert(attempt->batch, loose)) {
            status = send_loose(attempt, loose);
            loose = loose->next;
            continue;
        }
        struct group *group = NULL;
        status = insert_group(attempt, &loose, &group);
        if (status == ODS_OK)
            status = send(attempt, group, 0, group->count);
    }
    return status;
}

/* --- the fast way --------------------------------------------------------------------------- */

static enum ods_status run_fast(struct attempt *attempt)
{
    enum ods_status status = begin_pipeline(attempt);
    if (status == ODS_OK)
        status = send_plain(attempt, "begin");
    if (status == ODS_OK)
        status = send_offsets(attempt);
    for (struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next) {
        if (work->truncate)
            status = send_truncate(attempt, work);
        if (status == ODS_OK)
            status = send_work(attempt, work, send_rows, send_one_loose);
    }
    if (status == ODS_OK) {
        attempt->commit_sent = true;
        status = send_plain(attempt, "commit");
    }
    return end_pipeline(attempt, status);
}

/* --- the careful way ------------------------------------------------------------------------ */

/* Rows [first, last) under a savepoint, in a round trip. */
static enum ods_status try_rows(struct attempt *attempt, struct group *group, uint32_t first,
                                uint32_t last)
{
    enum ods_status status = begin_pipeline(attempt);
    if (status == ODS_OK)
        status = send_plain(attempt, "savepoint ods_rows");
    if (status == ODS_OK)
        status = send_rows(attempt, group, first, last);
    if (status == ODS_OK)
        status = send_plain(attempt, "release ods_rows");
    return end_pipeline(attempt, status);
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
    enum ods_status status = begin_pipeline(attempt);
    if (status == ODS_OK)
        status = send_plain(attempt, "savepoint ods_rows");
    if (status == ODS_OK)
        status = send_one_loose(attempt, loose);
    if (status == ODS_OK)
        status = send_plain(attempt, "release ods_rows");
    status = end_pipeline(attempt, status);
    if (status != ODS_REJECT || attempt->refold || attempt->stale)
        return status;
    struct error why = *attempt->error;
    status = back_to_savepoint(attempt);
    return status == ODS_OK ? fold_reject(attempt->batch, loose->change, &why, attempt->error)
                            : status;
}

static enum ods_status run_careful(struct attempt *attempt)
{
    enum ods_status status = begin_pipeline(attempt);
    if (status == ODS_OK)
        status = send_plain(attempt, "begin");
    if (status == ODS_OK)
        status = send_plain(attempt, "set constraints all immediate");
    if (status == ODS_OK)
        status = send_offsets(attempt);
    for (struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next)
        if (work->truncate)
            status = send_truncate(attempt, work);
    status = end_pipeline(attempt, status);
    for (struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next)
        status = send_work(attempt, work, attempt->batch->guard_time ? guarded_rows : careful_rows,
                           careful_loose);
    if (status == ODS_OK && attempt->refold)
        status = error_set(attempt->error, ODS_REJECT, "a change behind others was set aside");
    if (status == ODS_OK)
        status = deliver_rejects(attempt);
    if (status != ODS_OK)
        return status;
    status = begin_pipeline(attempt);
    if (status == ODS_OK) {
        attempt->commit_sent = true;
        status = send_plain(attempt, "commit");
    }
    return end_pipeline(attempt, status);
}

/* --- attempts ------------------------------------------------------------------------------- */

static enum ods_status fold_attempt(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    arena_reset(&postgres->scratch, SCRATCH_KEEP_BYTES);
    struct inheritance inheritance = {0};
    enum ods_status status = find_plans(attempt);
    if (status == ODS_OK)
        status = inherit_values(&inheritance, &postgres->scratch, attempt->batch,
                                postgres->change_plans, &postgres->conn, &postgres->encoder,
                                attempt->error);
    attempt->result->values_lost = inheritance.lost;
    if (status == ODS_OK)
        status = fold_batch(&attempt->fold, &postgres->scratch, attempt->batch,
                            postgres->change_plans, inheritance.of, &postgres->encoder,
                            attempt->validate, attempt->error);
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
        roll_back(&attempt);
        if (!postgres->conn.pg || !learn(&attempt, status, had_rejects))
            return status == ODS_REJECT ? unexplained(&attempt) : status;
        error_init(attempt.error);
    }
    result->folded = attempt.fold.folded;
    result->skipped = attempt.fold.skipped;
    return ODS_OK;
}
