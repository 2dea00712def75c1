/* See verifier.h. */
#include "pipeline/verifier.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/lane.h"
#include "pipeline/verifier_room.h"

#define LOOK_MS    15000 /* between two looks at what the target keeps, at most */
#define ROWS_MS    500   /* the same while the first rows come */
#define AWAY_MS    5000  /* the same after one that failed */
#define PAUSE_MS   60000 /* between two runs, or tries, unless it is done more often than that */
#define FIRST_US   INT64_C(600000000) /* how long the first run waits for rows, at most */
/* A run that began so long ago starts over, unless runs are further apart than that. */
#define OLD_MS     INT64_C(86400000)
#define WAIT_MS    60000 /* how long a look at a difference waits for a pipeline that is behind */

/* --- when ------------------------------------------------------------------------------------ */

static int64_t pause_us(const struct verifier *verifier)
{
    int64_t every_ms = verifier->pipeline->verify.every_ms;
    return (every_ms < PAUSE_MS ? every_ms : PAUSE_MS) * 1000;
}

/* When the next run, or the rest of a broken one, is due; by the target's clock. */
static int64_t due_us(const struct verifier *verifier, const struct turn_record *record)
{
    if (record->began_us)
        return record->failed_us ? record->failed_us + pause_us(verifier) : record->now_us;
    if (!record->last_ended_us)
        return record->now_us;
    int64_t regular = record->last_began_us + verifier->pipeline->verify.every_ms * 1000;
    int64_t least = record->last_ended_us + pause_us(verifier);
    return regular > least ? regular : least;
}

static bool is_due(const struct verifier *verifier, const struct turn_record *record)
{
    return verifier->hurries || due_us(verifier, record) <= record->now_us;
}

static bool is_at_end(struct lane *lane, bool *any)
{
    struct lane_status status;
    size_t count;
    lane_status(lane, &status);
    bool good = status.joined && !status.source_away;
    const struct lane_partition *partition = lane_lock_partitions(lane, &count);
    *any |= count > 0;
    for (; count; count--, partition++)
        good &= partition->high == 0 ||
                (partition->high > 0 && partition->applied >= partition->high);
    lane_unlock_partitions(lane);
    return good;
}

/* The group's first run waits a while until what the topics have is applied: there is little to
 * compare before, and the next one may be a day later. */
static bool waits_for_rows(struct verifier *verifier, const struct turn_record *record)
{
    int64_t now_us = time_monotonic_us();
    int64_t most_us = verifier->pipeline->verify.every_ms * 1000;
    bool any = false, at_end = true;
    if (record->began_us || record->last_ended_us)
        return false;
    if (!verifier->began_waiting_us)
        verifier->began_waiting_us = now_us;
    for (size_t i = 0; i < verifier->lane_count; i++)
        at_end &= is_at_end(verifier->lanes[i], &any);
    return !(any && at_end) &&
           now_us < verifier->began_waiting_us + (most_us < FIRST_US ? most_us : FIRST_US);
}

/* --- showing --------------------------------------------------------------------------------- */

static void replace(char **text, const char *by)
{
    if (*text && strcmp(*text, by) == 0)
        return;
    free(*text);
    *text = strdup(by);
}

static void show(struct verifier *verifier, const struct turn_record *record)
{
    pthread_mutex_lock(&verifier->mutex);
    verifier->began_us = record->began_us;
    verifier->failed_us = record->began_us ? record->failed_us : 0;
    verifier->next_us = due_us(verifier, record);
    replace(&verifier->worker, record->began_us ? record->worker : "");
    replace(&verifier->failure, verifier->failed_us ? record->failure : "");
    if (!verifier->last_text || strcmp(verifier->last_text, record->report) != 0) {
        json_decref(verifier->last);
        verifier->last = json_loads(record->report, 0, NULL);
        replace(&verifier->last_text, record->report);
    }
    pthread_mutex_unlock(&verifier->mutex);
}

static void show_place(struct verifier *verifier, bool runs, const struct verify_table *table)
{
    pthread_mutex_lock(&verifier->mutex);
    verifier->runs = runs;
    snprintf(verifier->table, sizeof verifier->table, "%s", table ? table->source : "");
    verifier->source_rows = table ? table->source_rows : 0;
    verifier->target_rows = table ? table->target_rows : 0;
    pthread_mutex_unlock(&verifier->mutex);
}

/* --- a run ----------------------------------------------------------------------------------- */

static void say(const struct verifier *verifier, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const struct verifier *verifier, enum log_level level, const char *format, ...)
{
    const char *const fields[] = {"pipeline", verifier->pipeline->name, NULL};
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_event(level, fields, "verify: %s", text);
}

static bool stops(void *context)
{
    return atomic_load(&((struct verifier *) context)->stop);
}

static void begins(void *context, const struct verify_table *table)
{
    show_place(context, true, table);
}

static void differs(void *context, const struct verify_table *table,
                    const struct verify_difference *difference)
{
    struct verifier *verifier = context;
    (void) table;
    run_report_differs(&verifier->report, difference);
}

static void ends(void *context, const struct verify_table *table)
{
    struct verifier *verifier = context;
    run_report_table(&verifier->report, table);
    if (stops(verifier))
        return; /* what it has of this table is not kept */
    if (table->verdict == VERIFY_DIFFERS)
        say(verifier, LOG_WARN,
            "table %s: %lld rows are missing, %lld extra, %lld changed, of %lld; ods-sink verify "
            "%s shows them",
            table->source, (long long) table->missing, (long long) table->extra,
            (long long) table->changed, (long long) table->source_rows, table->source);
    else if (table->verdict != VERIFY_EQUAL)
        say(verifier, LOG_INFO, "table %s: %s: %s", table->source,
            verify_verdict_name(table->verdict), table->why);
}

static void notice(void *context, const char *text)
{
    struct verifier *verifier = context;
    run_report_notice(&verifier->report, text);
    say(verifier, LOG_INFO, "%s", text);
}

static enum ods_status keep(void *context, const char *state, struct error *error)
{
    return turn_keep(((struct verifier *) context)->turn, state, error);
}

static enum cli_exit compare(struct verifier *verifier, const char *progress, struct error *error)
{
    const struct verify_settings *settings = &verifier->pipeline->verify;
    const struct verify_keeper keeper = {progress, keep, verifier};
    const struct verify_options options = {.settings = verifier->settings,
                                           .pipeline = verifier->pipeline->name,
                                           .mode = settings->mode,
                                           .sample = settings->sample,
                                           .since_us = INT64_MIN,
                                           .wait_ms = WAIT_MS,
                                           .limit = REPORT_DIFFERENCES,
                                           .keeper = &keeper,
                                           .stops = stops,
                                           .stops_context = verifier,
                                           .cutoff = &verifier->cutoff};
    const struct verify_listener listener = {.begins = begins,
                                             .differs = differs,
                                             .goes_on = begins,
                                             .ends = ends,
                                             .notice = notice,
                                             .context = verifier}; /* nothing is repaired here */
    return verify_run(&options, &listener, error);
}

static enum ods_status finish(struct verifier *verifier, enum cli_exit code, int64_t began_us,
                              struct error *error)
{
    const struct run_report *report = &verifier->report;
    const struct run_report_head head = {.pipeline = verifier->pipeline->name,
                                         .mode = verifier_mode(verifier),
                                         .worker = verifier->self,
                                         .began_us = began_us,
                                         .ended_us = time_wall_us(),
                                         .code = code};
    char *text = run_report_text(report, &head);
    if (!text)
        return error_out_of_memory(error);
    enum ods_status status = turn_end(verifier->turn, text, error);
    free(text);
    if (status == ODS_OK)
        say(verifier, LOG_INFO,
            "%lld tables are equal, %lld differ, of %lld it can't be told, %lld are not compared; "
            "%lld rows in %.1f s",
            (long long) report->counts[VERIFY_EQUAL], (long long) report->counts[VERIFY_DIFFERS],
            (long long) report->counts[VERIFY_UNSETTLED],
            (long long) report->counts[VERIFY_SKIPPED], (long long) report->source_rows,
            (double) (head.ended_us - began_us) / 1e6);
    return status;
}

/* A run that is ended by a stop stays begun: another process, or the next one here, goes on. */
static void run(struct verifier *verifier)
{
    char *progress = NULL;
    int64_t began_us = 0;
    struct error error;
    error_init(&error);
    run_report_init(&verifier->report);
    show_place(verifier, true, NULL);
    int64_t every_ms = verifier->pipeline->verify.every_ms;
    enum ods_status status = turn_begin(verifier->turn, every_ms > OLD_MS ? every_ms : OLD_MS,
                                        &progress, &began_us, &error);
    if (status == ODS_OK) {
        enum cli_exit code = compare(verifier, progress, &error);
        bool whole = code == CLI_OK || code == CLI_NEGATIVE || code == CLI_CANT_TELL;
        status = whole ? ODS_OK : ODS_RETRY;
        if (whole && !json_array_size(verifier->report.tables) && !stops(verifier))
            status = error_set(&error, ODS_RETRY, "there is nothing to compare yet: the target has "
                               "no table of this pipeline");
        else if (whole && !stops(verifier))
            status = finish(verifier, code, began_us, &error);
    }
    if (status != ODS_OK && !stops(verifier)) {
        struct error ignored;
        error_init(&ignored);
        if (rare_due(&verifier->failing))
            say(verifier, LOG_WARN, "broken off, to be continued later: %.900s", error.text);
        turn_fail(verifier->turn, error.text, &ignored);
    } else {
        verifier->failing = (struct rare){0};
    }
    show_place(verifier, false, NULL);
    run_report_done(&verifier->report);
    free(progress);
}

/* --- the thread ------------------------------------------------------------------------------ */

/* When to look again, in milliseconds. */
static int64_t look(struct verifier *verifier)
{
    struct turn_record record;
    struct error error;
    bool taken = false;
    error_init(&error);
    enum ods_status status = turn_look(verifier->turn, &record, &error);
    if (status == ODS_OK)
        show(verifier, &record);
    verifier->hurries |= atomic_exchange(&verifier->hurry, false);
    if (status == ODS_OK && !verifier->hurries && waits_for_rows(verifier, &record))
        return ROWS_MS;
    if (status == ODS_OK && is_due(verifier, &record)) {
        status = turn_take(verifier->turn, &taken, &error);
        if (status == ODS_OK && taken) /* another one may have ended in between */
            status = turn_look(verifier->turn, &record, &error);
        if (status == ODS_OK && taken && is_due(verifier, &record))
            run(verifier);
        if (status == ODS_OK) /* else another process compares now */
            verifier->hurries = false;
        turn_leave(verifier->turn);
        if (status == ODS_OK && taken)
            status = turn_look(verifier->turn, &record, &error);
        if (status == ODS_OK)
            show(verifier, &record);
    }
    if (status != ODS_OK) {
        if (!stops(verifier) && rare_due(&verifier->away))
            say(verifier, LOG_WARN, "when it was done last can't be read: %.900s", error.text);
        return AWAY_MS;
    }
    verifier->away = (struct rare){0};
    int64_t left_ms = (due_us(verifier, &record) - record.now_us) / 1000 + 1;
    if (left_ms <= 1) /* another process is at it */
        left_ms = verifier->pipeline->verify.every_ms;
    return left_ms > LOOK_MS ? LOOK_MS : left_ms;
}

static void doze(struct verifier *verifier, int64_t ms)
{
    struct timespec until = time_deadline(ms);
    pthread_mutex_lock(&verifier->mutex);
    while (!atomic_load(&verifier->stop) && !atomic_load(&verifier->hurry))
        if (pthread_cond_timedwait(&verifier->wakes, &verifier->mutex, &until))
            break;
    pthread_mutex_unlock(&verifier->mutex);
}

static void *verifier_main(void *context)
{
    struct verifier *verifier = context;
    while (!atomic_load(&verifier->stop))
        doze(verifier, look(verifier));
    atomic_store(&verifier->ended, true);
    return NULL;
}

static void release(struct verifier *verifier)
{
    turn_close(verifier->turn);
    cutoff_done(&verifier->cutoff);
    pthread_cond_destroy(&verifier->wakes);
    pthread_mutex_destroy(&verifier->mutex);
    json_decref(verifier->last);
    free(verifier->last_text);
    free(verifier->worker);
    free(verifier->failure);
    free(verifier);
}

enum ods_status verifier_start(struct verifier **out, const struct settings *settings,
                               const struct pipeline_settings *pipeline, struct lane *const *lanes,
                               size_t lane_count, struct error *error)
{
    char host[64] = "";
    *out = NULL;
    if (!pipeline->verify.every_ms)
        return ODS_OK;
    struct verifier *verifier = calloc(1, sizeof *verifier);
    if (!verifier)
        return error_set(error, ODS_FATAL, "out of memory for a thread that verifies");
    verifier->settings = settings;
    verifier->pipeline = pipeline;
    verifier->lanes = lanes;
    verifier->lane_count = lane_count;
    gethostname(host, sizeof host - 1);
    snprintf(verifier->self, sizeof verifier->self, "%s, process %ld", host, (long) getpid());
    cutoff_init(&verifier->cutoff);
    pthread_mutex_init(&verifier->mutex, NULL);
    wait_init(&verifier->wakes);
    enum ods_status status =
        turn_open(&verifier->turn, settings, pipeline, verifier->self, error);
    int code = status == ODS_OK
                   ? pthread_create(&verifier->thread, NULL, verifier_main, verifier)
                   : 0;
    if (code)
        status = error_set(error, ODS_FATAL, "no thread to verify: %s", strerror(code));
    if (status != ODS_OK)
        release(verifier);
    else
        *out = verifier;
    return status;
}

void verifier_stop(struct verifier *verifier)
{
    if (!verifier || atomic_exchange(&verifier->stop, true))
        return;
    cutoff_cut(&verifier->cutoff);
    turn_interrupt(verifier->turn);
    pthread_mutex_lock(&verifier->mutex);
    pthread_cond_signal(&verifier->wakes);
    pthread_mutex_unlock(&verifier->mutex);
}

static enum ods_status hurry(struct verifier *verifier, bool look, struct error *error)
{
    enum ods_status status = ODS_OK;
    pthread_mutex_lock(&verifier->mutex);
    if (verifier->runs || (verifier->began_us && !verifier->failed_us))
        status = error_set(error, ODS_REJECT, "a comparison runs already, in %s%s%s",
                           verifier->runs || !verifier->worker ? "this process"
                                                               : verifier->worker,
                           *verifier->table ? ": " : "", verifier->table);
    else if (!look)
        atomic_store(&verifier->hurry, true);
    pthread_cond_signal(&verifier->wakes);
    pthread_mutex_unlock(&verifier->mutex);
    return status;
}

enum ods_status verifiers_hurry(struct verifier *const *verifiers, size_t count,
                                const char *pipeline, bool look, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(verifiers[i]->pipeline->name, pipeline) == 0)
            return hurry(verifiers[i], look, error);
    return error_set(error, ODS_REJECT,
                     "pipeline %s has no comparisons that the daemon could begin: it needs verify: "
                     "{ every: … } in tables.yaml; ods-sink verify compares without it",
                     pipeline);
}

bool verifier_ended(const struct verifier *verifier)
{
    return !verifier || atomic_load(&verifier->ended);
}

void verifier_join(struct verifier *verifier)
{
    if (!verifier)
        return;
    verifier_stop(verifier);
    pthread_join(verifier->thread, NULL);
    release(verifier);
}
