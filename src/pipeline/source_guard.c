/* Looking at sources' logs. See source_guard.h. */
#include "pipeline/source_guard.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/connector_place.h"
#include "pipeline/source_room.h"

#define AGAIN_MS  1000
#define WINDOW_US INT64_C(1800000000) /* rates are of the last half an hour to an hour */
#define LEAST_US  INT64_C(1000000)    /* no rate over a shorter time */
#define SOON_MS   INT64_C(86400000)   /* a day: logged when the place is lost within it */

/* --- rates ----------------------------------------------------------------------------------- */

static const struct guarded_log *same_log(const struct guarded_source *source, const char *slot)
{
    for (size_t i = 0; i < source->log_count; i++)
        if (strcmp(source->logs[i].log.slot, slot) == 0)
            return &source->logs[i];
    return NULL;
}

/* The number in "binlog.000123". */
static int64_t number_of(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot ? strtoll(dot + 1, NULL, 10) : 0;
}

/* What the binary log has written and lost in all: files go at one end while bytes come at the
 * other. Files that are gone count as large as the first of them was. */
static void count_on(struct log_mark *mark, const struct guarded_log *before,
                     const struct source_log *log)
{
    int64_t files = number_of(log->oldest) - number_of(before->log.oldest);
    int64_t gone = files > 0 ? files * before->log.oldest_bytes : 0;
    mark->gone = before->next.gone + gone;
    mark->written = before->next.written + (log->end - before->log.end) + gone;
}

static void rate(struct guarded_log *now, const struct guarded_log *before)
{
    struct log_mark mark = {.at_us = time_monotonic_us(), .written = now->log.end};
    now->written_rate = now->gone_rate = -1;
    if (now->log.end < 0)
        return;
    if (before && before->next.at_us && *now->log.oldest)
        count_on(&mark, before, &now->log);
    now->next = mark;
    now->first = before && before->first.at_us ? before->first : mark;
    int64_t took = mark.at_us - now->first.at_us;
    if (took >= LEAST_US) {
        now->written_rate = (double) (mark.written - now->first.written) * 1e6 / (double) took;
        now->gone_rate = (double) (mark.gone - now->first.gone) * 1e6 / (double) took;
    }
    if (took > 2 * WINDOW_US)
        now->first = mark;
}

static int64_t sooner(int64_t left_ms, double other_ms)
{
    if (other_ms < 0 || other_ms > 1e15)
        return left_ms;
    return left_ms < 0 || other_ms < (double) left_ms ? (int64_t) other_ms : left_ms;
}

/* A file of the binary log goes so long after its last event, which is not older than the place;
 * the newest file does not go. */
static int64_t left_ms(const struct guarded_log *guarded)
{
    const struct source_log *log = &guarded->log;
    int64_t left = -1;
    if (log->lost)
        return 0;
    if (!log->known)
        return -1;
    if (log->safe >= 0 && guarded->written_rate > 0)
        left = sooner(left, (double) log->safe / guarded->written_rate * 1000);
    if (log->kept >= 0 && guarded->gone_rate > 0)
        left = sooner(left, (double) log->kept / guarded->gone_rate * 1000);
    if (log->expires_ms > 0) {
        bool newest = strcmp(log->place.file, log->newest) == 0;
        int64_t written_us =
            newest || !log->place.clock_us ? log->clock_us : log->place.clock_us;
        int64_t rest = written_us / 1000 + log->expires_ms - log->clock_us / 1000;
        left = sooner(left, (double) (rest > 0 ? rest : 0));
    }
    return left;
}

/* --- telling --------------------------------------------------------------------------------- */

static void say(const struct guarded_source *source, enum log_level level, const char *text)
{
    const char *const fields[] = {"pipeline", source->pipeline->name, "database",
                                  source->database->name, NULL};
    log_event(level, fields, "source: %s", text);
}

/* A slot counts as unread when two looks in a row find it so: a connector may be restarting. */
static void tell(const struct guarded_source *source, struct guarded_log *now,
                 const struct guarded_log *before)
{
    char text[600];
    now->told = now->log.lost                                   ? TOLD_OF_LOSS
                : now->left_ms >= 0 && now->left_ms < SOON_MS   ? TOLD_OF_END
                : now->inactive_us && before && before->inactive_us ? TOLD_INACTIVE
                                                                : TOLD_NOTHING;
    if (now->told <= (before ? before->told : TOLD_NOTHING))
        return;
    if (now->told == TOLD_OF_LOSS)
        snprintf(text, sizeof text, "%s", now->log.why);
    else if (now->told == TOLD_OF_END)
        snprintf(text, sizeof text,
                 "its log will lose the connector's place in about %lld min (%s): see to the "
                 "connector, or let the log be kept longer",
                 (long long) now->left_ms / 60000,
                 *now->log.slot ? now->log.slot : now->log.place.file);
    else
        snprintf(text, sizeof text,
                 "nobody reads slot %s, and the server keeps %lld bytes of WAL for it: is the "
                 "connector running? If nobody is to read it any more, drop it",
                 now->log.slot, (long long) now->log.retained);
    say(source, now->told == TOLD_OF_LOSS ? LOG_ERROR : LOG_WARN, text);
}

/* --- looking --------------------------------------------------------------------------------- */

static bool guard_stops(void *context)
{
    return atomic_load(&((struct source_guard *) context)->stop);
}

/* Connect tells where the connector goes on when it starts again; where it is not asked, or does
 * not answer, the newest record is the best that is known. */
static enum ods_status find_place(struct source_guard *guard, struct guarded_source *source,
                                  struct error *error)
{
    const struct connect_settings *connect = &guard->settings->connect;
    struct source_place place;
    struct error unasked;
    if (strcmp(source->database->type, "mysql") != 0 ||
        strcmp(source->pipeline->input.type, "kafka") != 0)
        return ODS_OK;
    enum ods_status status = arrival_newest(&source->arrival, error);
    source->place = source->arrival.newest;
    source->place.clock_us =
        source->arrival.newest_us == INT64_MIN ? 0 : source->arrival.newest_us;
    source->found_from = source->place.known ? "records" : "";
    if (status != ODS_OK || !*connect->url || atomic_load(&guard->stop))
        return status;
    error_init(&unasked);
    if (connector_place(connect, &source->arrival, &guard->stop, &place, &unasked) != ODS_OK) {
        if (rare_due(&source->unasked))
            say(source, LOG_WARN, unasked.text);
    } else if (place.known) {
        source->place = place;
        source->found_from = "connect";
    }
    return ODS_OK;
}

/* Without a slot and without records the connector has not begun. */
static enum ods_status weigh_absence(struct guarded_source *source, struct source_log *log,
                                     struct error *error)
{
    if (!log->absent || strcmp(source->pipeline->input.type, "kafka") != 0)
        return ODS_OK;
    enum ods_status status = arrival_newest(&source->arrival, error);
    if (status == ODS_OK)
        log->lost = arrival_any(&source->arrival);
    return status;
}

static enum ods_status ask_source(struct source_guard *guard, struct guarded_source *source,
                                  struct source_logs *logs, struct error *error)
{
    struct database *database = database_new(source->database);
    if (!database)
        return error_out_of_memory(error);
    enum ods_status status = database->ops->open(database, error);
    if (status == ODS_OK) {
        int ticket = cutoff_add(&guard->cutoff, database->ops->socket(database));
        status = source_logs_read(logs, database, &source->place, error);
        cutoff_drop(&guard->cutoff, ticket);
    }
    database_free(database);
    for (size_t i = 0; status == ODS_OK && i < logs->count; i++)
        status = weigh_absence(source, &logs->items[i], error);
    return status;
}

static struct guarded_log *judge(const struct guarded_source *source,
                                 const struct source_logs *logs)
{
    struct guarded_log *list = calloc(logs->count + 1, sizeof *list);
    for (size_t i = 0; list && i < logs->count; i++) {
        struct guarded_log *now = &list[i];
        const struct guarded_log *before = same_log(source, logs->items[i].slot);
        now->log = logs->items[i];
        rate(now, before);
        now->left_ms = left_ms(now);
        if (!now->log.active)
            now->inactive_us = now->log.inactive_since_us        ? now->log.inactive_since_us
                               : before && before->inactive_us ? before->inactive_us
                                                               : now->log.clock_us;
        tell(source, now, before);
    }
    return list;
}

/* A look that fails leaves the results of the last one. */
static void look(struct source_guard *guard, struct guarded_source *source)
{
    struct source_logs logs = {0};
    struct guarded_log *list = NULL, *old = NULL;
    struct error error;
    error_init(&error);
    enum ods_status status = find_place(guard, source, &error);
    if (status == ODS_OK)
        status = ask_source(guard, source, &logs, &error);
    if (status == ODS_OK && !(list = judge(source, &logs)))
        status = error_out_of_memory(&error);
    if (atomic_load(&guard->stop))
        status = ODS_RETRY;
    else if (status != ODS_OK && rare_due(&source->away))
        say(source, LOG_WARN, error.text);
    pthread_mutex_lock(&guard->mutex);
    source->looked_us = time_wall_us();
    source->reached = status == ODS_OK;
    snprintf(source->failure, sizeof source->failure, "%s", status == ODS_OK ? "" : error.text);
    if (status == ODS_OK) {
        old = source->logs;
        source->logs = list;
        source->log_count = logs.count;
        source->place_from = source->found_from;
        list = NULL;
        source->away = (struct rare){0};
    }
    pthread_mutex_unlock(&guard->mutex);
    free(old);
    free(list);
    source_logs_done(&logs);
}

/* --- the thread ------------------------------------------------------------------------------ */

static int64_t look_at_all(struct source_guard *guard)
{
    int64_t next_us = connector_watch_look(guard->connectors);
    for (size_t i = 0; i < guard->count && !atomic_load(&guard->stop); i++) {
        struct guarded_source *source = &guard->sources[i];
        if (time_monotonic_us() >= source->next_us) {
            look(guard, source);
            source->next_us = time_monotonic_us() + source->database->check_every_ms * 1000;
        }
        if (source->next_us < next_us)
            next_us = source->next_us;
    }
    int64_t left_ms = (next_us - time_monotonic_us()) / 1000 + 1;
    return left_ms < 1 ? 1 : left_ms > AGAIN_MS ? AGAIN_MS : left_ms;
}

static void *source_guard_main(void *context)
{
    struct source_guard *guard = context;
    while (!atomic_load(&guard->stop)) {
        int64_t ms = look_at_all(guard);
        wait_for_stop(&guard->mutex, &guard->wakes, &guard->stop, ms);
    }
    atomic_store(&guard->ended, true);
    return NULL;
}

static void release(struct source_guard *guard)
{
    for (size_t i = 0; i < guard->count; i++) {
        arrival_done(&guard->sources[i].arrival);
        free(guard->sources[i].logs);
    }
    free(guard->sources);
    connector_watch_free(guard->connectors);
    cutoff_done(&guard->cutoff);
    pthread_cond_destroy(&guard->wakes);
    pthread_mutex_destroy(&guard->mutex);
    free(guard);
}

static void list_sources(struct source_guard *guard)
{
    for (size_t i = 0; i < guard->settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &guard->settings->pipelines[i];
        const struct database_settings *database =
            settings_database(guard->settings, pipeline->database);
        if (!database || !database->check_every_ms)
            continue;
        struct guarded_source *source = &guard->sources[guard->count++];
        source->pipeline = pipeline;
        source->database = database;
        source->found_from = source->place_from = "";
        arrival_init(&source->arrival, &guard->options, pipeline, NULL);
    }
}

enum ods_status source_guard_start(struct source_guard **out, const struct settings *settings,
                                   struct error *error)
{
    struct source_guard *guard = calloc(1, sizeof *guard);
    *out = NULL;
    if (guard)
        guard->sources = calloc(settings->pipeline_count + 1, sizeof *guard->sources);
    if (!guard || !guard->sources) {
        free(guard);
        return error_set(error, ODS_FATAL, "out of memory for the guard of sources");
    }
    guard->settings = settings;
    guard->options = (struct verify_options){
        .settings = settings, .stops = guard_stops, .stops_context = guard};
    cutoff_init(&guard->cutoff);
    pthread_mutex_init(&guard->mutex, NULL);
    wait_init(&guard->wakes);
    list_sources(guard);
    enum ods_status status =
        connector_watch_new(&guard->connectors, settings, &guard->stop, error);
    if (status != ODS_OK || (!guard->count && !guard->connectors)) {
        release(guard);
        return status;
    }
    int code = pthread_create(&guard->thread, NULL, source_guard_main, guard);
    if (code) {
        release(guard);
        return error_set(error, ODS_FATAL, "no thread for the guard of sources: %s",
                         strerror(code));
    }
    *out = guard;
    return ODS_OK;
}

void source_guard_stop(struct source_guard *guard)
{
    if (!guard || atomic_exchange(&guard->stop, true))
        return;
    cutoff_cut(&guard->cutoff);
    pthread_mutex_lock(&guard->mutex);
    pthread_cond_signal(&guard->wakes);
    pthread_mutex_unlock(&guard->mutex);
}

bool source_guard_ended(const struct source_guard *guard)
{
    return !guard || atomic_load(&guard->ended);
}

void source_guard_join(struct source_guard *guard)
{
    if (!guard)
        return;
    source_guard_stop(guard);
    pthread_join(guard->thread, NULL);
    release(guard);
}
