/* See inspector.h. */
#include "pipeline/inspector.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/inspector_room.h"
#include "quality/run.h"

#define LOOK_MS  15000 /* between two looks at what the target keeps, at most */
#define AWAY_MS  5000  /* the same after one that failed */
#define PAUSE_MS 60000 /* between two tries, unless it is done more often than that */
/* A group's first run waits so long, at most, for the tables to be there. */
#define FIRST_MS 600000

static void say(const struct inspector *inspector, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const struct inspector *inspector, enum log_level level, const char *format, ...)
{
    const char *const fields[] = {"pipeline", inspector->pipeline->name, NULL};
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_event(level, fields, "quality: %s", text);
}

static bool stops(void *context)
{
    return atomic_load(&((struct inspector *) context)->stop);
}

/* --- a run ------------------------------------------------------------------------------------ */

/* What the rule was like before, by the last results; "": it was not checked. */
static const char *state_before(const struct inspector *inspector,
                                const struct quality_result *result)
{
    size_t i;
    json_t *row;
    json_array_foreach(inspector->last, i, row)
    {
        const char *rule = json_string_value(json_object_get(row, "rule"));
        const char *target = json_string_value(json_object_get(row, "target"));
        const char *state = json_string_value(json_object_get(row, "state"));
        if (rule && target && state && strcmp(rule, result->rule->name) == 0 &&
            strcmp(target, result->target) == 0)
            return state;
    }
    return "";
}

static enum ods_status ends(void *context, const struct quality_result *result,
                            struct error *error)
{
    struct inspector *inspector = context;
    const char *state = quality_state_name(result->state);
    const char *before = state_before(inspector, result);
    bool news = strcmp(state, before) != 0 && (result->state != QUALITY_PASSES || *before);
    inspector->results[result->state]++;
    if (news)
        say(inspector, result->state == QUALITY_FAILS ? LOG_WARN : LOG_INFO,
            "rule %s of %s: %s%s%s", result->rule->name, result->source, state,
            *result->why ? ": " : "", result->why);
    return quality_store_put(inspector->store, &inspector->id, result, error);
}

static void show_run(struct inspector *inspector, bool running, const char *failure)
{
    pthread_mutex_lock(&inspector->mutex);
    inspector->running = running;
    snprintf(inspector->failure, sizeof inspector->failure, "%s", failure);
    pthread_mutex_unlock(&inspector->mutex);
}

static enum ods_status check(struct inspector *inspector, size_t *matched, struct error *error)
{
    const struct quality_options options = {.settings = inspector->settings,
                                            .pipeline = inspector->pipeline,
                                            .store = inspector->store,
                                            .stops = stops,
                                            .context = inspector,
                                            .cutoff = &inspector->cutoff};
    const struct quality_listener listener = {.ends = ends, .context = inspector};
    memset(inspector->results, 0, sizeof inspector->results);
    enum ods_status status = quality_run(&options, &listener, matched, error);
    if (status == ODS_OK && !stops(inspector))
        status = quality_store_prune(inspector->store, error);
    return status;
}

static int64_t pause_ms(const struct inspector *inspector)
{
    int64_t every_ms = inspector->pipeline->quality.every_ms;
    return every_ms < PAUSE_MS ? every_ms : PAUSE_MS;
}

/* *again_ms: when to try again, where nothing was found that the next run could be due by. */
static void run(struct inspector *inspector, int64_t now_us, int64_t *again_ms)
{
    struct error error;
    size_t matched = 0;
    int64_t began_us = time_monotonic_us();
    error_init(&error);
    show_run(inspector, true, "");
    inspector->id = (struct quality_run_id){
        .began_us = now_us, .by_daemon = true, .worker = inspector->self};
    enum ods_status status = check(inspector, &matched, &error);
    show_run(inspector, false, status == ODS_OK || stops(inspector) ? "" : error.text);
    if (stops(inspector))
        return;
    if (status != ODS_OK) {
        if (rare_due(&inspector->failing))
            say(inspector, LOG_WARN, "broken off, to be tried again: %.900s", error.text);
        inspector->unfinished = true;
        *again_ms = pause_ms(inspector);
        return;
    }
    inspector->failing = (struct rare){0};
    inspector->unfinished = false;
    const size_t *results = inspector->results;
    if (matched)
        say(inspector, LOG_INFO, "%zu rules hold, %zu are broken, of %zu it can't be told; %.1f s",
            results[QUALITY_PASSES], results[QUALITY_FAILS], results[QUALITY_UNKNOWN],
            (double) (time_monotonic_us() - began_us) / 1e6);
    else /* no rule is for the target's tables */
        *again_ms = pause_ms(inspector);
}

/* --- what lanes count ------------------------------------------------------------------------- */

static enum ods_status keep_count(struct inspector *inspector, struct quality_count *count,
                                  struct error *error)
{
    struct quality_result result;
    uint64_t looked_at = atomic_load(&count->looked_at), broken = atomic_load(&count->broken);
    uint64_t timed = atomic_load(&count->timed), ns = atomic_load(&count->timed_ns);
    quality_result_init(&result);
    result.rule = count->rule;
    result.pipeline = inspector->pipeline->name;
    result.source = strdup(count->table);
    result.target = strdup("");
    result.looked_at = (int64_t) (looked_at - count->kept_looked_at);
    result.has_measured = true;
    result.measured = (double) (broken - count->kept_broken);
    result.state = result.measured > 0 ? QUALITY_FAILS : QUALITY_PASSES;
    result.seconds = timed ? (double) ns / (double) timed * (double) result.looked_at / 1e9 : 0;
    snprintf(result.expected, sizeof result.expected, "no change");
    if (result.measured > 0)
        snprintf(result.why, sizeof result.why, "%.0f of %lld changes", result.measured,
                 (long long) result.looked_at);
    enum ods_status status = result.source && result.target ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK)
        status = quality_store_put(inspector->store, &inspector->id, &result, error);
    if (status == ODS_OK) {
        count->kept_looked_at = looked_at;
        count->kept_broken = broken;
    }
    quality_result_done(&result);
    return status;
}

/* Each process keeps its own, as often as rules are checked, where there was something to count. */
static enum ods_status keep_counts(struct inspector *inspector, int64_t now_us,
                                   struct error *error)
{
    enum ods_status status = ODS_OK;
    int64_t every_us = inspector->pipeline->quality.every_ms * 1000;
    if (time_monotonic_us() < inspector->told_us + every_us)
        return ODS_OK;
    inspector->told_us = time_monotonic_us();
    inspector->id = (struct quality_run_id){
        .began_us = now_us, .by_daemon = true, .in_flight = true, .worker = inspector->self};
    for (struct quality_count *count = quality_counts_first(inspector->counts);
         status == ODS_OK && count; count = count->next)
        if (atomic_load(&count->looked_at) != count->kept_looked_at)
            status = keep_count(inspector, count, error);
    return status;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* The first run of a group waits a while, for there is nothing to check before the tables come. */
static int64_t due_us(const struct inspector *inspector, const struct quality_moments *moments)
{
    int64_t every_ms = inspector->pipeline->quality.every_ms;
    int64_t first_ms = every_ms < FIRST_MS ? every_ms : FIRST_MS;
    if (inspector->unfinished)
        return 0;
    if (!moments->began_us)
        return inspector->started_us + first_ms * 1000;
    return moments->began_us + every_ms * 1000;
}

/* Shows the last results, this process's or another's, where there are new ones. */
static enum ods_status refresh(struct inspector *inspector, const struct quality_moments *moments,
                               struct error *error)
{
    json_t *last = NULL;
    enum ods_status status = ODS_OK;
    bool news = moments->newest_us != inspector->newest_us ||
                moments->newest_rows != inspector->newest_rows;
    if (news)
        status = quality_store_read(inspector->store, 1, &last, error);
    pthread_mutex_lock(&inspector->mutex);
    inspector->next_us = due_us(inspector, moments);
    if (news && status == ODS_OK) {
        json_decref(inspector->last);
        inspector->last = last;
        inspector->newest_us = moments->newest_us;
        inspector->newest_rows = moments->newest_rows;
    }
    pthread_mutex_unlock(&inspector->mutex);
    return status;
}

static enum ods_status look_and_run(struct inspector *inspector, struct quality_moments *moments,
                                    int64_t *again_ms, struct error *error)
{
    bool taken = false;
    enum ods_status status = quality_store_take(inspector->store, &taken, error);
    if (status == ODS_OK && taken) /* another process may have ended in between */
        status = quality_store_moments(inspector->store, moments, error);
    if (status == ODS_OK && taken && due_us(inspector, moments) <= moments->now_us)
        run(inspector, moments->now_us, again_ms);
    quality_store_leave(inspector->store);
    return status == ODS_OK && !stops(inspector)
               ? quality_store_moments(inspector->store, moments, error)
               : status;
}

/* When to look again, in milliseconds. */
static int64_t look(struct inspector *inspector)
{
    struct quality_moments moments;
    struct error error;
    int64_t again_ms = 0;
    error_init(&error);
    enum ods_status status = quality_store_moments(inspector->store, &moments, &error);
    if (status == ODS_OK && due_us(inspector, &moments) <= moments.now_us)
        status = look_and_run(inspector, &moments, &again_ms, &error);
    if (status == ODS_OK && !stops(inspector))
        status = keep_counts(inspector, moments.now_us, &error);
    if (status == ODS_OK && !stops(inspector))
        status = refresh(inspector, &moments, &error);
    if (status != ODS_OK) {
        if (!stops(inspector) && rare_due(&inspector->away))
            say(inspector, LOG_WARN, "results can't be read or kept: %.900s", error.text);
        return AWAY_MS;
    }
    inspector->away = (struct rare){0};
    if (again_ms)
        return again_ms;
    int64_t left_ms = (due_us(inspector, &moments) - moments.now_us) / 1000 + 1;
    if (left_ms <= 1) /* another process is at it, or there was nothing to check */
        left_ms = inspector->pipeline->quality.every_ms;
    return left_ms > LOOK_MS ? LOOK_MS : left_ms;
}

static void *inspector_main(void *context)
{
    struct inspector *inspector = context;
    while (!atomic_load(&inspector->stop))
        wait_for_stop(&inspector->mutex, &inspector->wakes, &inspector->stop, look(inspector));
    atomic_store(&inspector->ended, true);
    return NULL;
}

static void release(struct inspector *inspector)
{
    quality_store_close(inspector->store);
    cutoff_done(&inspector->cutoff);
    pthread_cond_destroy(&inspector->wakes);
    pthread_mutex_destroy(&inspector->mutex);
    json_decref(inspector->last);
    free(inspector);
}

enum ods_status inspector_start(struct inspector **out, const struct settings *settings,
                                const struct pipeline_settings *pipeline,
                                struct quality_counts *counts, struct error *error)
{
    char host[64] = "";
    *out = NULL;
    if (!quality_any(pipeline, false))
        return ODS_OK;
    struct inspector *inspector = calloc(1, sizeof *inspector);
    if (!inspector)
        return error_set(error, ODS_FATAL, "out of memory for a thread that checks rules");
    inspector->settings = settings;
    inspector->pipeline = pipeline;
    inspector->counts = counts;
    inspector->started_us = time_wall_us();
    gethostname(host, sizeof host - 1);
    snprintf(inspector->self, sizeof inspector->self, "%s, process %ld", host, (long) getpid());
    cutoff_init(&inspector->cutoff);
    pthread_mutex_init(&inspector->mutex, NULL);
    wait_init(&inspector->wakes);
    enum ods_status status = ODS_OK;
    int code = 0;
    if (pipeline->quality.every_ms)
        status = quality_store_open(&inspector->store, settings, pipeline, error);
    if (status == ODS_OK && pipeline->quality.every_ms) {
        code = pthread_create(&inspector->thread, NULL, inspector_main, inspector);
        inspector->runs_thread = !code;
    }
    if (code)
        status = error_set(error, ODS_FATAL, "no thread for quality: %s", strerror(code));
    if (status != ODS_OK)
        release(inspector);
    else
        *out = inspector;
    return status;
}

void inspector_stop(struct inspector *inspector)
{
    if (!inspector || atomic_exchange(&inspector->stop, true))
        return;
    cutoff_cut(&inspector->cutoff);
    if (inspector->store)
        quality_store_interrupt(inspector->store);
    pthread_mutex_lock(&inspector->mutex);
    pthread_cond_signal(&inspector->wakes);
    pthread_mutex_unlock(&inspector->mutex);
}

bool inspector_ended(const struct inspector *inspector)
{
    return !inspector || !inspector->runs_thread || atomic_load(&inspector->ended);
}

void inspector_join(struct inspector *inspector)
{
    if (!inspector)
        return;
    inspector_stop(inspector);
    if (inspector->runs_thread)
        pthread_join(inspector->thread, NULL);
    release(inspector);
}
