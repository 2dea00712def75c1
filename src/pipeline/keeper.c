/* See keeper.h. */
#include "pipeline/keeper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"
#include "derived/refresher.h"
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"
#include "sink/postgres/tables/settings.h"

struct keeper {
    const char *target;
    struct refresher *refresher;
    pthread_t thread;
    atomic_bool stop, ended;
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
};

static void say(void *context, bool warning, const char *table, const char *text)
{
    const struct keeper *keeper = context;
    const char *const fields[] = {"target", keeper->target, *table ? "derived" : NULL, table, NULL};
    if (!atomic_load(&keeper->stop))
        log_event(warning ? LOG_WARN : LOG_INFO, fields, "%s: %s",
                  *table ? "derived table" : "derived tables", text);
}

static void *keeper_main(void *context)
{
    struct keeper *keeper = context;
    while (!atomic_load(&keeper->stop))
        wait_for_stop(&keeper->mutex, &keeper->wakes, &keeper->stop,
                      refresher_turn(keeper->refresher));
    atomic_store(&keeper->ended, true);
    return NULL;
}

static void release(struct keeper *keeper)
{
    refresher_close(keeper->refresher);
    pthread_cond_destroy(&keeper->wakes);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}

static size_t count_of(const struct settings *settings, const char *target)
{
    size_t count = 0;
    for (size_t i = 0; i < settings->derived_count; i++)
        count += strcmp(settings->derived[i].target, target) == 0;
    return count;
}

/* A pipeline into the target that has redacted columns: what the server says quotes no row then. */
static const struct pipeline_settings *with_redacted(const struct settings *settings,
                                                     const char *target)
{
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        bool any = strcmp(pipeline->target, target) == 0 && pipeline->defaults.redact.count;
        for (size_t k = 0; !any && k < pipeline->table_count; k++)
            any = strcmp(pipeline->target, target) == 0 && pipeline->tables[k].redact.count;
        if (any)
            return pipeline;
    }
    return NULL;
}

enum ods_status keeper_start(struct keeper **out, const struct settings *settings,
                             const struct target_settings *target, struct error *error)
{
    *out = NULL;
    if (!count_of(settings, target->name))
        return ODS_OK;
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return error_set(error, ODS_FATAL, "out of memory for a thread that keeps derived tables");
    keeper->target = target->name;
    pthread_mutex_init(&keeper->mutex, NULL);
    wait_init(&keeper->wakes);
    const struct refresher_listener listener = {say, keeper};
    const struct postgres_settings *own = target->own;
    enum ods_status status =
        refresher_open(&keeper->refresher, target->name, &own->session,
                       with_redacted(settings, target->name), settings->derived,
                       settings->derived_count, &listener, error);
    int code = status == ODS_OK ? pthread_create(&keeper->thread, NULL, keeper_main, keeper) : 0;
    if (code)
        status = error_set(error, ODS_FATAL, "no thread for derived tables: %s", strerror(code));
    if (status != ODS_OK)
        release(keeper);
    else
        *out = keeper;
    return status;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper || atomic_exchange(&keeper->stop, true))
        return;
    refresher_interrupt(keeper->refresher);
    pthread_mutex_lock(&keeper->mutex);
    pthread_cond_signal(&keeper->wakes);
    pthread_mutex_unlock(&keeper->mutex);
}

bool keeper_ended(const struct keeper *keeper)
{
    return !keeper || atomic_load(&keeper->ended);
}

void keeper_join(struct keeper *keeper)
{
    if (!keeper)
        return;
    keeper_stop(keeper);
    pthread_join(keeper->thread, NULL);
    release(keeper);
}

/* --- what it shows ---------------------------------------------------------------------------- */

static json_t *describe(const struct keeper *keeper, const struct refresher_status *status)
{
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "table",
                     text_of(status->name), "target", text_of(keeper->target), "state",
                     refresher_state_name(status->state), "problem",
                     *status->problem ? text_of(status->problem) : json_null(), "fresh_at",
                     status->fresh_us ? json_real((double) status->fresh_us / 1e6) : json_null(),
                     "passes", (json_int_t) status->passes, "keys", (json_int_t) status->keys,
                     "rows_made", (json_int_t) status->made, "rows_changed",
                     (json_int_t) status->changed, "rows_removed", (json_int_t) status->removed,
                     "waiting", (json_int_t) status->todo, "errors", (json_int_t) status->errors);
}

json_t *keepers_describe(struct keeper *const *keepers, size_t count)
{
    struct refresher_status status;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < refresher_count(keepers[i]->refresher); k++) {
            refresher_status(keepers[i]->refresher, k, &status);
            json_array_append_new(list, describe(keepers[i], &status));
        }
    return list;
}

static double passes(const struct refresher_status *status)
{
    return (double) status->passes;
}

static double pass_seconds(const struct refresher_status *status)
{
    return (double) status->pass_us / 1e6;
}

static double rows(const struct refresher_status *status)
{
    return (double) (status->made + status->changed + status->removed);
}

static double failed(const struct refresher_status *status)
{
    return (double) status->failed;
}

static double waiting(const struct refresher_status *status)
{
    return (double) status->todo;
}

static double errors(const struct refresher_status *status)
{
    return (double) status->errors;
}

static double fresh(const struct refresher_status *status)
{
    return (double) status->fresh_us / 1e6;
}

static double keeps(const struct refresher_status *status)
{
    return status->state == REFRESHER_KEEPS || status->state == REFRESHER_FILLING;
}

/* What is shown of each table. */
static const struct {
    const char *name, *type, *help;
    double (*value)(const struct refresher_status *status);
} shown[] = {
    {"derived_kept", "gauge", "1: this process keeps the derived table", keeps},
    {"derived_passes_total", "counter", "Passes over the derived table that computed keys", passes},
    {"derived_pass_seconds_total", "counter", "Time that these passes took", pass_seconds},
    {"derived_rows_total", "counter", "Rows made, changed and removed in the derived table", rows},
    {"derived_failed_total", "counter", "Keys of the derived table that were set aside", failed},
    {"derived_waiting", "gauge", "Parts of its keys that wait for a pass", waiting},
    {"derived_errors", "gauge", "Keys that are set aside now", errors},
    {"derived_fresh_timestamp_seconds", "gauge",
     "When nothing that had changed waited for the derived table", fresh},
};

void keepers_metrics(struct keeper *const *keepers, size_t count, struct buffer *out)
{
    struct refresher_status status;
    for (size_t m = 0; m < sizeof shown / sizeof *shown && count; m++) {
        metrics_head(out, shown[m].name, shown[m].type, shown[m].help);
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < refresher_count(keepers[i]->refresher); k++) {
                refresher_status(keepers[i]->refresher, k, &status);
                const char *labels[] = {"target", keepers[i]->target, "table", status.name, NULL};
                metrics_put(out, shown[m].name, labels, shown[m].value(&status));
            }
    }
}
