/* Writes a batch: one commit a table, and one of the pipeline's own table, last.
 *
 * Each commit has rows and offsets and is a compare-and-swap on the offsets. Where a later one
 * fails the same batch comes again, and a table passes over what its own offsets say that it has.
 * So each table is exact by itself at every moment; the pipeline's own table is never ahead of one
 * of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "sink/lake/lake.h"

#define SCRATCH_KEEP_BYTES ((size_t) 8 * 1024 * 1024)

struct attempt {
    struct lake_sink *lake;
    struct batch *batch;
    const struct apply_hooks *hooks;
    struct apply_result *result;
    struct error *error;
};

/* --- turns ------------------------------------------------------------------------------------ */

/* Waits for another lane's commit, which may take long. */
static enum ods_status take_turn(struct lake_sink *lake, struct error *error)
{
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!pthread_mutex_timedlock(&lake->store->mutex, &until))
            return ODS_OK;
        if (lake->config.alive)
            lake->config.alive(lake->config.alive_context);
        if (atomic_load(&lake->interrupted))
            return error_set(error, ODS_RETRY, "interrupted while another lane commits");
    }
}

enum ods_status lake_enter(struct lake_sink *lake, bool create, struct error *error)
{
    enum ods_status status = ODS_OK;
    if (!lake->store) {
        status = lake_store_open(&lake->store, &lake->config, lake->sink.ops->type, error);
        lake->plans.store = lake->store;
    }
    if (status == ODS_OK)
        status = take_turn(lake, error);
    if (status != ODS_OK)
        return status;
    if (!lake->store->teller) {
        lake->store->teller = lake;
        atomic_store(&lake->told, lake->store);
    }
    status = lake_store_control(lake->store, create, error);
    if (status != ODS_OK)
        lake_leave(lake);
    return status;
}

void lake_leave(struct lake_sink *lake)
{
    pthread_mutex_unlock(&lake->store->mutex);
}

/* --- offsets ---------------------------------------------------------------------------------- */

/* Are the stored offsets those at which the batch begins? *done: they are those at which it ends.
 */
static enum ods_status check_offsets(const struct attempt *attempt, bool *done)
{
    const struct batch *batch = attempt->batch;
    const struct lake_table *control = attempt->lake->store->control;
    const struct claim *moved = NULL;
    int64_t stands = 0;
    *done = batch->claim_count > 0;
    for (uint32_t i = 0; i < batch->claim_count; i++) {
        const struct claim *claim = &batch->claims[i];
        int64_t stored = lake_table_offset(control, claim->topic, claim->partition);
        *done &= stored == claim_end(claim);
        if (stored != claim->from) {
            moved = claim;
            stands = stored;
        }
    }
    *done &= moved != NULL;
    if (*done || !moved)
        return ODS_OK;
    return error_set(attempt->error, ODS_FENCED,
                     "topic %s partition %d: the stored offset is %lld, not %lld", moved->topic,
                     (int) moved->partition, (long long) stands, (long long) moved->from);
}

/* The first record of a claim, where it stands before what is stored: the source's offsets begin
 * anew. -1: it does not. */
static int64_t first_behind(const struct batch *batch, const struct claim *claim)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct record *record = &batch->records[i];
        if (record->partition == claim->partition &&
            (record->topic == claim->topic || strcmp(record->topic, claim->topic) == 0))
            return record->offset < claim->from ? record->offset : -1;
    }
    return -1;
}

/* What is in a commit beside rows. */
struct moves {
    json_t *expect, *next;
    bool good; /* memory was there */
};

static struct moves moves_begin(void)
{
    struct moves moves = {.expect = json_object(), .next = json_object()};
    moves.good = moves.expect && moves.next;
    return moves;
}

/* Commits what is staged with them; without rows and offsets there is nothing to commit. */
static enum ods_status moves_commit(struct moves *moves, struct lake_table *table, bool rows,
                                    struct error *error)
{
    enum ods_status status = moves->good ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK && (rows || json_object_size(moves->next)))
        status = lake_table_commit(table, moves->expect, moves->next, error);
    json_decref(moves->expect);
    json_decref(moves->next);
    return status;
}

/* Offsets that go back do so by a commit of their own, before the rows: a table then knows that
 * what it has stored does not tell what it has of these records (offsets.c). */
static enum ods_status set_back(struct attempt *attempt)
{
    struct lake_table *control = attempt->lake->store->control;
    const struct batch *batch = attempt->batch;
    struct moves moves = moves_begin();
    int64_t now_us = time_wall_us();
    for (uint32_t i = 0; moves.good && i < batch->claim_count; i++) {
        const struct claim *claim = &batch->claims[i];
        int64_t first = first_behind(batch, claim);
        if (first < 0 && claim_end(claim) < claim->from)
            first = claim_end(claim);
        if (first >= 0)
            moves.good = lake_table_move(control, moves.expect, moves.next, claim->topic,
                                         claim->partition, first) &&
                         lake_table_read_again(control, moves.next, claim->topic, claim->partition,
                                               now_us);
    }
    return moves_commit(&moves, control, false, attempt->error);
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum ods_status find_plans(struct attempt *attempt)
{
    struct lake_sink *lake = attempt->lake;
    const struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    if (batch->change_count > lake->change_plan_capacity) {
        const struct lake_plan **moved =
            realloc(lake->change_plans, batch->change_capacity * sizeof *moved);
        if (!moved)
            return error_out_of_memory(attempt->error);
        lake->change_plans = moved;
        lake->change_plan_capacity = batch->change_capacity;
    }
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        lake->change_plans[i] = NULL;
        if (!change->rejected)
            status = lake_plan_find(&lake->plans, change, attempt->hooks, attempt->result,
                                    &lake->change_plans[i], attempt->error);
    }
    return status;
}

/* A plan that was found before another one had a column added is found again. */
static bool are_current(const struct attempt *attempt)
{
    for (uint32_t i = 0; i < attempt->batch->change_count; i++) {
        const struct lake_plan *plan = attempt->lake->change_plans[i];
        if (plan && (plan->stale || (plan->table && plan->columns != plan->table->columns)))
            return false;
    }
    return true;
}

static enum ods_status read_table_offsets(struct attempt *attempt)
{
    enum ods_status status = ODS_OK;
    for (struct lake_table *table = attempt->lake->store->tables; status == ODS_OK && table;
         table = table->next)
        if (table->handle && (!table->offsets || *table->pending))
            status = lake_table_ready(table, attempt->error);
    return status;
}

/* Letters are records that nobody can compare with a row of the lake. */
static enum ods_status refuse_letters(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    enum ods_status status = ODS_OK;
    struct error why;
    error_init(&why);
    why.fault = FAULT_ROW;
    error_set(&why, ODS_REJECT, "the lake does not tell whether its row is newer than the letter");
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++)
        if (!batch->changes[i].rejected)
            status =
                batch_set_aside(batch, batch->changes[i].record, "apply", &why, attempt->error);
    return status;
}

static enum ods_status fold(struct attempt *attempt, struct lake_encoding *encoding)
{
    struct lake_sink *lake = attempt->lake;
    enum ods_status status = ODS_OK;
    lake_fold_reset(&lake->fold);
    arena_reset(&lake->scratch, SCRATCH_KEEP_BYTES);
    lake_plans_sweep(&lake->plans);
    if (attempt->batch->guard_time)
        status = refuse_letters(attempt);
    do
        status = status == ODS_OK ? find_plans(attempt) : status;
    while (status == ODS_OK && !are_current(attempt));
    if (status == ODS_OK)
        status = read_table_offsets(attempt);
    if (status != ODS_OK)
        return status;
    return lake_fold_batch(&lake->fold, &lake->scratch, attempt->batch, lake->change_plans,
                           encoding, attempt->hooks, attempt->error);
}

static enum ods_status stage(struct attempt *attempt, struct lake_work *work)
{
    const struct lake_engine *engine = &attempt->lake->store->engine;
    struct ods_lake_table *handle = work->table->handle;
    struct ArrowArray array;
    struct ArrowSchema schema;
    char *text = NULL;
    int64_t row = -1;
    enum ods_status status = ODS_OK;
    if (work->truncates) {
        enum ods_lake_answer answer = engine->truncate(handle, &text);
        status = lake_engine_judge(engine, answer, text, attempt->error);
        text = NULL;
    }
    if (status != ODS_OK || !work->length)
        return status;
    if (!lake_array_export(work->arrays, work->names, work->array_count, &array, &schema))
        return error_out_of_memory(attempt->error);
    enum ods_lake_answer answer = work->appends
                                      ? engine->append(handle, &array, &schema, &row, &text)
                                      : engine->upsert(handle, &array, &schema, &row, &text);
    status = lake_engine_judge(engine, answer, text, attempt->error);
    if (status == ODS_REJECT && row >= 0 && row < work->length) {
        struct error why = *attempt->error;
        status = lake_fold_refuse(&attempt->lake->fold, work->changes[row], &why);
        return status == ODS_OK ? error_set(attempt->error, ODS_REJECT, "a row was set aside")
                                : status;
    }
    if (status != ODS_OK)
        error_prefix(attempt->error, "target %s, table %s/%s: ", attempt->lake->config.name,
                     work->table->schema, work->table->name);
    return status;
}

/* --- commits ---------------------------------------------------------------------------------- */

static bool move(struct moves *moves, const struct lake_table *table, const struct claim *claim,
                 int64_t now_us)
{
    return lake_table_move(table, moves->expect, moves->next, claim->topic, claim->partition,
                           claim_end(claim)) &&
           lake_table_stamp(table, moves->next, claim->topic, claim->partition, now_us);
}

static enum ods_status commit_table(struct attempt *attempt, struct lake_work *work)
{
    const struct batch *batch = attempt->batch;
    struct moves moves = moves_begin();
    int64_t now_us = time_wall_us();
    for (uint32_t i = 0; moves.good && i < batch->claim_count; i++)
        if (work->moves[i])
            moves.good = move(&moves, work->table, &batch->claims[i], now_us);
    enum ods_status status = moves_commit(&moves, work->table, work->length, attempt->error);
    if (status != ODS_OK)
        return status;
    attempt->result->upserted += work->upserted;
    attempt->result->deleted += work->deleted;
    attempt->result->folded += work->folded;
    attempt->result->truncated += work->truncated;
    atomic_fetch_add(&attempt->lake->commits, 1);
    if (!work->appends)
        lake_table_count(work->table, attempt->hooks, &attempt->result->missing,
                         &attempt->result->values_lost);
    work->length = 0;
    return ODS_OK;
}

static enum ods_status commit_control(struct attempt *attempt)
{
    struct lake_table *control = attempt->lake->store->control;
    const struct batch *batch = attempt->batch;
    struct moves moves = moves_begin();
    int64_t now_us = time_wall_us();
    for (uint32_t i = 0; moves.good && i < batch->claim_count; i++)
        moves.good = move(&moves, control, &batch->claims[i], now_us);
    return moves_commit(&moves, control, false, attempt->error);
}

/* ODS_REJECT: a record was set aside after others were staged, so all of it is folded anew. */
static enum ods_status write(struct attempt *attempt)
{
    struct lake_sink *lake = attempt->lake;
    const struct apply_hooks *hooks = attempt->hooks;
    struct apply_result values = {0};
    struct lake_encoding encoding = {
        .source = &lake->config.pipeline->source, .result = &values, .arena = &lake->scratch};
    buffer_init(&encoding.text);
    enum ods_status status = fold(attempt, &encoding);
    buffer_done(&encoding.text);
    struct lake_work *works = lake->fold.works;
    for (struct lake_work *work = works; status == ODS_OK && work; work = work->next)
        status = stage(attempt, work);
    if (status == ODS_OK && hooks && hooks->before_commit && batch_letters_wait(attempt->batch))
        status = hooks->before_commit(hooks->context, attempt->batch, attempt->error);
    for (struct lake_work *work = works; status == ODS_OK && work; work = work->next)
        status = commit_table(attempt, work);
    if (status != ODS_OK)
        for (struct lake_work *work = works; work; work = work->next)
            if (work->table->handle && !*work->table->pending)
                lake->store->engine.rollback(work->table->handle);
    if (status == ODS_OK)
        status = commit_control(attempt);
    if (status == ODS_OK) {
        attempt->result->skipped += lake->fold.skipped;
        attempt->result->missing += lake->fold.missing;
        apply_result_add(attempt->result, &values);
    }
    return status;
}

enum ods_status lake_apply_batch(struct lake_sink *lake, struct batch *batch,
                                 const struct apply_hooks *hooks, struct apply_result *result,
                                 struct error *error)
{
    struct attempt attempt = {lake, batch, hooks, result, error};
    bool done = false;
    enum ods_status status = lake_enter(lake, true, error);
    if (status != ODS_OK)
        return status;
    status = check_offsets(&attempt, &done);
    if (status == ODS_OK && !done)
        status = set_back(&attempt);
    if (status == ODS_OK && !done)
        do
            status = write(&attempt);
        while (status == ODS_REJECT);
    if (status == ODS_FENCED)
        lake_store_forget_offsets(lake->store);
    for (struct lake_work *work = status == ODS_OK && !done ? lake->fold.works : NULL; work;
         work = work->next)
        lake_table_maintain(work->table, hooks);
    if (status == ODS_OK && !done)
        lake_table_maintain(lake->store->control, NULL);
    if (status == ODS_OK && !done)
        lake_store_maintain_next(lake->store, hooks);
    if (hooks) {
        lake->store->hooks =
            (struct apply_hooks){.notice = hooks->notice, .context = hooks->context};
        lake->store->heard = lake;
    }
    lake_leave(lake);
    return status;
}
