/* Writes the rows of a batch in one transaction. See steps.h.
 *
 * The steps are sent in one pipeline, with a savepoint after a number of rows; a savepoint costs no
 * round trip, except where COPY interrupts the pipeline. When a step is refused, the transaction
 * goes back to the last savepoint, repeats what came after it, and searches the refused step for
 * bad rows. It tries the row that COPY names; else half of the rows among which there must be a bad
 * one; else as many rows as were good between the last two bad ones. So a single bad row costs a
 * logarithm of tries, and each of many bad rows costs a few. Good rows stay, and the pipeline goes
 * on after them.
 *
 * Before the first savepoint a refusal rolls the whole transaction back. So most batches, which
 * have no refusal, need no savepoint unless they are long.
 */
#include "sink/postgres/write/steps.h"

#include <assert.h>
#include <string.h>

#include "sink/postgres/write/copy.h"
#include "sink/postgres/fold/guess.h"
#include "sink/postgres/write/blocked.h"
#include "sink/postgres/write/marks.h"

/* The most rows of a step that is no COPY, and from one savepoint to the next. It is small enough
 * to repeat them for one bad row, and large enough that a batch has fewer than the 64
 * subtransactions for which PostgreSQL's snapshots have room. */
#define STEP_ROWS 2000

/* --- from fold to steps --------------------------------------------------------------------- */

static struct step *add_step(struct attempt *attempt, struct steps *steps)
{
    if (steps->count == steps->capacity) {
        uint32_t larger = steps->capacity ? steps->capacity * 2 : 64;
        struct step *moved = arena_alloc(&attempt->postgres->scratch, larger * sizeof *moved);
        if (!moved) {
            error_out_of_memory(attempt->error);
            return NULL;
        }
        if (steps->count)
            memcpy(moved, steps->items, steps->count * sizeof *moved);
        steps->items = moved;
        steps->capacity = larger;
    }
    struct step *step = &steps->items[steps->count++];
    *step = (struct step){0};
    return step;
}

static enum ods_status add_rows(struct attempt *attempt, struct steps *steps, struct group *group)
{
    /* One by one where each try of a bad row may take as long as statement_timeout. */
    const uint32_t most = attempt->caution == CAUTION_DOUBTFUL       ? 1
                          : copy_takes(attempt, group, group->count) ? COPY_ROWS
                                                                     : STEP_ROWS;
    for (uint32_t first = 0; first < group->count; first += most) {
        struct step *step = add_step(attempt, steps);
        if (!step)
            return ODS_RETRY;
        step->group = group;
        step->first = first;
        step->last = group->count - first > most ? first + most : group->count;
    }
    return ODS_OK;
}

/* Makes a group of successive inserts into a table without key. *loose is then the first change
 * after them. */
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
    if (!group || !rows || !items)
        return error_out_of_memory(attempt->error);
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
        .kind = GROUP_INSERT, .plan = plan, .columns = plan->columns, .rows = rows, .count = count};
    *made = group;
    return ODS_OK;
}

static enum ods_status add_loose(struct attempt *attempt, struct steps *steps, struct loose *loose)
{
    enum ods_status status = ODS_OK;
    while (status == ODS_OK && loose) {
        if (loose_is_insert(attempt->batch, loose)) {
            struct group *group = NULL;
            status = insert_group(attempt, &loose, &group);
            if (status == ODS_OK)
                status = add_rows(attempt, steps, group);
            continue;
        }
        struct step *step = add_step(attempt, steps);
        if (!step)
            return ODS_RETRY;
        step->loose = loose;
        loose = loose->next;
    }
    return status;
}

/* Adds the steps of a table: truncate, deletes, whole rows, rows that lack values, then changes of
 * rows without key. */
static enum ods_status add_table(struct attempt *attempt, struct steps *steps,
                                 const struct table_work *work)
{
    enum ods_status status = ODS_OK;
    if (work->truncate) {
        struct step *step = add_step(attempt, steps);
        if (!step)
            return ODS_RETRY;
        step->truncate = work;
    }
    for (enum group_kind kind = GROUP_DELETE; kind <= GROUP_PARTIAL; kind++)
        for (struct group *group = work->groups[kind]; status == ODS_OK && group;
             group = group->next)
            status = add_rows(attempt, steps, group);
    return status == ODS_OK ? add_loose(attempt, steps, work->loose) : status;
}

/* --- sending -------------------------------------------------------------------------------- */

/* Can the transaction be committed as it is? */
static bool is_clean(const struct attempt *attempt)
{
    return !attempt->pending_count && attempt->next == NEXT_COMMIT &&
           !batch_letters_wait(attempt->batch);
}

static enum ods_status send_step(struct attempt *attempt, const struct step *step)
{
    if (step->truncate)
        return attempt_truncate(attempt, step->truncate);
    if (step->loose)
        return attempt_loose(attempt, step->loose);
    return copy_rows(attempt, step->group, step->first, step->last);
}

/* Sends steps [first, stop) in one round trip, and the commit after the last one if nothing has
 * failed. */
static enum ods_status send_run(struct attempt *attempt, const struct steps *steps, uint32_t first,
                                uint32_t stop)
{
    bool fresh = attempt->transaction == TRANSACTION_BROKEN;
    uint32_t since_mark = 0;
    enum ods_status status = attempt_begin(attempt);
    if (status == ODS_OK)
        status = attempt_resume(attempt);
    if (status == ODS_OK && !fresh && (attempt->divided || attempt->marked))
        status = attempt_mark(attempt, first);
    for (uint32_t i = first; status == ODS_OK && i < stop; i++) {
        const struct step *step = &steps->items[i];
        uint32_t rows = step->group ? step->last - step->first : 1;
        if (since_mark && since_mark + rows > STEP_ROWS) {
            status = attempt_mark(attempt, i);
            since_mark = 0;
        }
        since_mark += rows;
        attempt->step = i;
        if (status == ODS_OK)
            status = send_step(attempt, step);
        attempt->step = NO_STEP;
    }
    if (status == ODS_OK && attempt->awaited) {
        status = attempt_settle(attempt);
        if (status != ODS_OK)
            return status;
        status = attempt_begin(attempt);
    }
    if (status == ODS_OK && stop == steps->count && is_clean(attempt)) {
        status = marks_send_after(attempt);
        attempt->commit_sent = status == ODS_OK;
        if (status == ODS_OK)
            status = attempt_send(attempt, "commit");
        apply_hooks_phase(attempt->hooks, APPLY_COMMIT);
    }
    status = attempt_end(attempt, status);
    if (status == ODS_OK && attempt->commit_sent)
        attempt->transaction = TRANSACTION_NONE;
    else if (attempt->postgres->conn.pg)
        attempt->commit_sent = false; /* it did not run: something before it was refused */
    return status;
}

enum ods_status steps_try(struct attempt *attempt, struct group *group, uint32_t first,
                          uint32_t last)
{
    enum ods_status status = attempt_begin_marked(attempt);
    if (status == ODS_OK)
        status = copy_rows(attempt, group, first, last);
    return attempt_end(attempt, status);
}

/* --- who is at fault ------------------------------------------------------------------------ */

/* Does the answer concern the whole attempt, and not a row? */
static bool about_attempt(const struct attempt *attempt, enum ods_status status)
{
    return status != ODS_REJECT || attempt_is_void(attempt);
}

static enum ods_status refuse(struct attempt *attempt, struct group *group, uint32_t index,
                              const struct error *why)
{
    if (sqlstate_wants_partner(why->code))
        return blocked_add(attempt, group, index, NULL, why);
    return attempt_set_aside(attempt, group->rows[index], why);
}

static struct group *without_guess(struct attempt *attempt, const struct group *group)
{
    struct group *copy = arena_alloc(&attempt->postgres->scratch, sizeof *copy);
    if (!copy) {
        error_out_of_memory(attempt->error);
        return NULL;
    }
    *copy = *group;
    copy->guess = GUESS_NONE;
    return copy;
}

/* This single row was refused for *why. Where it was sent with a guess, it is tried without.
 * *mistaken: the guess was wrong, and may be wrong for the rows after it too. */
static enum ods_status settle_row(struct attempt *attempt, struct group *group, uint32_t index,
                                  struct error *why, bool *mistaken)
{
    struct group *plain = group;
    *mistaken = false;
    if (group->guess != GUESS_NONE && !(plain = without_guess(attempt, group)))
        return ODS_RETRY;
    if (plain != group && sqlstate_wants_partner(why->code)) {
        enum ods_status status = steps_try(attempt, plain, index, index + 1);
        *mistaken = status == ODS_OK;
        if (*mistaken) {
            guess_failed(group->plan->table, group->guess);
            group->guess = GUESS_NONE;
            return ODS_OK;
        }
        if (about_attempt(attempt, status))
            return status;
        *why = *attempt->error;
    }
    return refuse(attempt, plain, index, why);
}

/* Rows [first, last) were refused together for *why; `suspect`, if it is one of them, is probably
 * the bad one. Writes all good rows of them. */
static enum ods_status sift(struct attempt *attempt, struct group *group, uint32_t first,
                            uint32_t last, uint32_t suspect, struct error *why)
{
    uint32_t bad_end = last; /* there is a bad row in [first, bad_end) */
    uint32_t good = 0;       /* good rows since the last bad one */
    uint32_t stride = 1;     /* how many rows to try where nothing is known */
    while (first < last) {
        if (group->rows[first]->aside) {
            first++;
            continue;
        }
        if (bad_end == first + 1) {
            bool mistaken;
            enum ods_status status = settle_row(attempt, group, first++, why, &mistaken);
            if (status != ODS_OK)
                return status;
            stride = mistaken ? last - first : good ? good : 1;
            good = 0;
            continue;
        }
        bool known = bad_end > first;
        uint32_t most = known ? (bad_end - first) / 2 : last - first;
        uint32_t count = known || most < stride ? most : stride;
        if (suspect >= first && suspect < bad_end)
            count = suspect > first ? suspect - first : 1;
        enum ods_status status = steps_try(attempt, group, first, first + count);
        if (status == ODS_OK) {
            first += count;
            good += count;
            if (!known)
                stride *= 2;
        } else if (about_attempt(attempt, status)) {
            return status;
        } else {
            bad_end = first + count;
            suspect = attempt->suspect;
            *why = *attempt->error;
        }
    }
    return ODS_OK;
}

/* Writes row by row: a change that the guard keeps out is set aside as if PostgreSQL had refused
 * it. */
static enum ods_status guarded_rows(struct attempt *attempt, struct group *group)
{
    const struct plan *plan = group->plan;
    bool comparable = plan->timestamp_column >= 0;
    /* What is inserted or kept as a history replaces nothing. */
    bool adds = group->kind == GROUP_INSERT || plan->shape->history_of;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < group->count; i++) {
        struct error why;
        error_init(&why);
        attempt->kept = 0;
        if (comparable || adds)
            status = steps_try(attempt, group, i, i + 1);
        if (status != ODS_OK) {
            why = *attempt->error;
            if (!about_attempt(attempt, status))
                status = refuse(attempt, group, i, &why);
            continue;
        }
        if (adds || group->rows[i]->aside || (comparable && !attempt->kept))
            continue;
        error_set(&why, ODS_REJECT,
                  comparable ? "table %s: its row is as new as this change or newer%s"
                             : "table %s: has no column with the time of a row's last change to "
                               "compare with%s",
                  plan->table->quoted,
                  comparable && plan->settings->on_delete == ON_DELETE_HARD
                      ? ", or is not there, as after a delete"
                      : "");
        status = attempt_set_aside(attempt, group->rows[i], &why);
    }
    return status;
}

/* Sets the truncate aside. The fold had dropped the changes before it, which count again now. */
static enum ods_status refuse_truncate(struct attempt *attempt, const struct table_work *work,
                                       const struct error *why)
{
    attempt_demand(attempt, NEXT_FOLD);
    return attempt_refuse(attempt, (uint32_t) (work->truncated_by - attempt->batch->changes), why);
}

/* Handles a step that was refused for the reason in attempt->error. The transaction is at the place
 * before the step. */
static enum ods_status settle_step(struct attempt *attempt, struct steps *steps, uint32_t index,
                                   uint32_t suspect)
{
    struct step step = steps->items[index];
    struct error why = *attempt->error;
    bool partner = sqlstate_wants_partner(why.code);
    if (step.truncate)
        return refuse_truncate(attempt, step.truncate, &why);
    if (step.loose)
        return partner ? blocked_add(attempt, NULL, 0, step.loose, &why)
                       : attempt_reject(attempt, step.loose->change, &why);
    bool named = suspect != NO_STEP;
    if (partner && !named && !step.postponed && index + 1 < steps->count &&
        blocked_can_wait(&step)) {
        struct step *again = add_step(attempt, steps);
        if (!again)
            return ODS_RETRY;
        *again = step;
        again->postponed = true;
        return ODS_OK;
    }
    assert(step.group);
    /* No guess that the row exists: one would have to wait whether the update finds it. */
    if (step.group->guess == GUESS_THERE && !(step.group = without_guess(attempt, step.group)))
        return ODS_RETRY;
    return sift(attempt, step.group, step.first, step.last, suspect, &why);
}

/* --- the run -------------------------------------------------------------------------------- */

static enum ods_status run_guarded(struct attempt *attempt, struct steps *steps)
{
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < steps->count; i++) {
        const struct step *step = &steps->items[i];
        if (step->group) {
            if (!step->first)
                status = guarded_rows(attempt, step->group);
            continue;
        }
        status = send_run(attempt, steps, i, i + 1);
        if (!about_attempt(attempt, status) && attempt->refused == i)
            status = settle_step(attempt, steps, i, NO_STEP);
    }
    return status;
}

static enum ods_status run(struct attempt *attempt, struct steps *steps)
{
    uint32_t first = 0, stop = UINT32_MAX; /* stop: a step that is known to be refused, */
    uint32_t suspect = NO_STEP;            /* and the row of it that COPY names */
    for (;;) {
        uint32_t end = stop < steps->count ? stop : steps->count;
        enum ods_status status = send_run(attempt, steps, first, end);
        if (status == ODS_OK && end == steps->count)
            return ODS_OK;
        if (status == ODS_OK) {
            *attempt->error = attempt->why;
            status = settle_step(attempt, steps, stop, suspect);
            if (status != ODS_OK)
                return status;
            attempt->mark = first = stop + 1;
            stop = UINT32_MAX;
            continue;
        }
        if (about_attempt(attempt, status) || attempt->refused == NO_STEP)
            return status;
        stop = attempt->refused;
        suspect = attempt->suspect;
        attempt->why = *attempt->error;
        first = attempt->mark;
        attempt->divided = true;
        if (!attempt->marked)
            attempt_roll_back(attempt);
    }
}

enum ods_status steps_run(struct attempt *attempt)
{
    struct steps steps = {0};
    enum ods_status status = ODS_OK;
    for (const struct table_work *work = attempt->fold.tables; status == ODS_OK && work;
         work = work->next)
        status = add_table(attempt, &steps, work);
    if (status != ODS_OK)
        return status;
    attempt->step = NO_STEP;
    return attempt->batch->guard_time ? run_guarded(attempt, &steps) : run(attempt, &steps);
}
