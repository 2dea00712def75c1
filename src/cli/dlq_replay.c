/* dlq replay and dlq skip.
 *
 * A replayed letter is a batch and a transaction of its own, on the lanes' own way: intake,
 * decoder, sink. What moves in it is not the record's offset but the letter's mark. One letter at a
 * time, since two changes of a key would be folded into one before the sink can compare each with
 * the row; it costs three round trips a letter (measured: 650 letters a second). A letter that is
 * refused again leaves nothing behind and stays as it was.
 */
#include <jansson.h>

#include "cli/dlq.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "source/kafka/kafka.h"

#define MARKS_AT_ONCE 1000

struct replaying {
    struct dlq *dlq;
    struct progress progress;
    uint64_t chosen, replayed, refused, meanwhile, seen;
    json_t *refusals;
    int code;
    struct error *error;
};

static bool is_chosen(const struct dlq *dlq, const struct letter *letter)
{
    return letter->route && (letter->mark == OFFSET_NONE || dlq->again);
}

/* --- one letter ----------------------------------------------------------------------------- */

static void notice(void *context, const char *text)
{
    terminal_line(stderr, "ods-sink dlq: %s", text);
}

/* The sink has set a change aside: nothing of the letter is to stay. */
static enum ods_status before_commit(void *context, struct batch *batch, struct error *error)
{
    struct route *route = context;
    route->refused = true;
    route->refusal = batch->rejects[0].error;
    return error_set(error, ODS_FATAL, "%s", route->refusal.text);
}

static enum ods_status apply(struct route *route, struct error *error)
{
    const struct apply_hooks hooks = {
        .notice = notice, .before_commit = before_commit, .context = route};
    struct apply_result result;
    struct worker_deadline deadline;
    worker_deadline_init(&deadline, route->settings, route->wait_ms);
    route->refused = false;
    enum ods_status status = worker_apply(&route->worker, route->batch, &hooks, &result,
                                          interrupt_deadline_wait, &deadline, error);
    return route->refused ? ODS_REJECT : status;
}

/* Instead of the record's partition the letter's mark moves. */
static bool cover_mark(const struct dlq *dlq, struct batch *batch, const struct letter *letter,
                       bool replay)
{
    const char *topic = dlq_mark_topic(dlq->store.name, &batch->arena, letter);
    int64_t upto = letter->mark == OFFSET_NONE ? (replay ? 1 : MARK_SKIPPED) : letter->mark + 1;
    return topic && batch_cover(batch, topic, letter->partition, letter->mark, upto - 1);
}

static bool truncates(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->change_count; i++)
        if (batch->changes[i].op == OP_TRUNCATE)
            return true;
    return false;
}

static enum ods_status replay_letter(const struct dlq *dlq, struct letter *letter,
                                     const struct record *message, struct error *error)
{
    struct batch *batch = letter->route->batch;
    struct dlq_record record;
    error_init(error);
    enum ods_status status = dlq_open(dlq, message, &record, error);
    if (status == ODS_OK)
        status = dlq_decode(letter, &record, error);
    if (status == ODS_OK && truncates(batch) && !dlq->force)
        status = error_set(error, ODS_REJECT, "a truncate would take newer rows away too");
    if (status == ODS_OK) {
        batch->claim_count = 0;
        batch->guard_time = !dlq->force;
        batch->apart = true;
        status = cover_mark(dlq, batch, letter, true)
                     ? apply(letter->route, error)
                     : error_set(error, ODS_FATAL, "out of memory for a letter");
    }
    dlq_record_done(&record);
    if (status == ODS_OK)
        letter->mark = letter->mark == OFFSET_NONE ? 1 : letter->mark + 1;
    batch_reset(batch);
    return status;
}

/* --- all of them ---------------------------------------------------------------------------- */

static void refuse(struct replaying *replaying, const struct letter *letter,
                   const struct error *error)
{
    replaying->refused++;
    if (!replaying->dlq->json) {
        progress_done(&replaying->progress);
        terminal_line(stderr, "%s:%d:%lld is refused again and stays: %s%s%s", letter->topic,
                      (int) letter->record_partition, (long long) letter->record_offset,
                      error->code, *error->code ? ": " : "", error->text);
        return;
    }
    json_array_append_new(replaying->refusals,
                          json_pack("{s:o, s:i, s:I, s:s, s:s, s:o}", "topic",
                                    cli_json(letter->topic), "partition",
                                    (int) letter->record_partition, "offset",
                                    (json_int_t) letter->record_offset, "code", error->code,
                                    "sqlstate", error->code, "error", cli_json(error->text)));
}

static bool take(void *context, struct letter *letter, const struct record *record)
{
    struct replaying *replaying = context;
    if (interrupt_came()) {
        replaying->dlq->store.release(record->owner);
        return false;
    }
    replaying->seen++;
    progress_show(&replaying->progress, "letter %llu of %llu",
                  (unsigned long long) replaying->seen, (unsigned long long) replaying->chosen);
    switch (replay_letter(replaying->dlq, letter, record, replaying->error)) {
    case ODS_OK:
        replaying->replayed++;
        return true;
    case ODS_REJECT:
        refuse(replaying, letter, replaying->error);
        return true;
    case ODS_FENCED:
        replaying->meanwhile++;
        return true;
    default:
        error_prefix(replaying->error, "%s:%d:%lld: ", letter->topic,
                     (int) letter->record_partition, (long long) letter->record_offset);
        replaying->code = CLI_TARGET;
        return false;
    }
}

static void print_summary(const struct replaying *replaying, uint64_t gone, uint64_t orphans)
{
    const struct dlq *dlq = replaying->dlq;
    if (dlq->json) {
        json_t *summary = json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:O}", "replayed", (json_int_t) replaying->replayed,
            "refused", (json_int_t) replaying->refused, "handled_meanwhile",
            (json_int_t) replaying->meanwhile, "gone", (json_int_t) gone, "without_pipeline",
            (json_int_t) orphans, "refusals", replaying->refusals);
        cli_print_json(summary);
        return;
    }
    printf("%llu replayed, %llu refused\n", (unsigned long long) replaying->replayed,
           (unsigned long long) replaying->refused);
    if (replaying->meanwhile)
        printf("%llu were handled by somebody else meanwhile\n",
               (unsigned long long) replaying->meanwhile);
    if (gone)
        printf("%llu are not in the topic any more\n", (unsigned long long) gone);
    if (orphans)
        printf("%llu left: their pipeline is not configured\n", (unsigned long long) orphans);
    if (replaying->refused && !dlq->force)
        printf("--force applies also what is older than its row or can't be compared with it\n");
}

int dlq_replay(struct dlq *dlq, struct error *error)
{
    struct replaying replaying = {.dlq = dlq, .error = error, .refusals = json_array()};
    uint64_t orphans = 0;
    for (size_t i = 0; i < dlq->count; i++) {
        replaying.chosen += is_chosen(dlq, &dlq->letters[i]);
        orphans += !dlq->letters[i].route;
    }
    progress_init(&replaying.progress, dlq->terminal);
    interrupt_catch();
    if (dlq_read(dlq, is_chosen, take, &replaying, error) != ODS_OK)
        replaying.code = CLI_SOURCE;
    progress_done(&replaying.progress);
    bool whole = replaying.code == CLI_OK && !interrupt_came();
    uint64_t gone = whole ? replaying.chosen - replaying.seen : 0;
    print_summary(&replaying, gone, orphans);
    json_decref(replaying.refusals);
    if (interrupt_came())
        return interrupt_code();
    return whole && (replaying.refused || orphans || gone) ? CLI_NEGATIVE : replaying.code;
}

/* --- skip ----------------------------------------------------------------------------------- */

static enum ods_status mark(struct route *route, uint64_t *skipped, struct error *error)
{
    uint32_t count = route->batch->claim_count;
    enum ods_status status = count ? apply(route, error) : ODS_OK;
    if (status == ODS_FENCED)
        error_prefix(error, "another dlq command handles the same letters; list and try again: ");
    if (status == ODS_OK)
        *skipped += count;
    batch_reset(route->batch);
    return status;
}

int dlq_skip(struct dlq *dlq, struct error *error)
{
    uint64_t skipped = 0, orphans = 0;
    enum ods_status status = ODS_OK;
    interrupt_catch();
    for (size_t i = 0; status == ODS_OK && i < dlq->count && !interrupt_came(); i++) {
        struct letter *letter = &dlq->letters[i];
        orphans += !letter->route;
        if (!letter->route || letter->mark != OFFSET_NONE)
            continue;
        if (!cover_mark(dlq, letter->route->batch, letter, false))
            status = error_set(error, ODS_FATAL, "out of memory for a letter");
        else if (letter->route->batch->claim_count >= MARKS_AT_ONCE)
            status = mark(letter->route, &skipped, error);
    }
    for (size_t i = 0; status == ODS_OK && i < dlq->route_count && !interrupt_came(); i++)
        status = mark(&dlq->routes[i], &skipped, error);
    if (dlq->json) {
        cli_print_json(json_pack("{s:I, s:I}", "skipped", (json_int_t) skipped, "without_pipeline",
                                 (json_int_t) orphans));
    } else {
        printf("%llu skipped\n", (unsigned long long) skipped);
        if (orphans)
            printf("%llu left: their pipeline is not configured, and with it the target that would "
                   "keep the mark\n",
                   (unsigned long long) orphans);
    }
    if (interrupt_came())
        return interrupt_code();
    return status != ODS_OK ? CLI_TARGET : orphans ? CLI_NEGATIVE : CLI_OK;
}
