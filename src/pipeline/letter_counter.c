/* See letter_counter.h. */
#include "pipeline/letter_counter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/rare.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"
#include "pipeline/worker.h"
#include "sink/postgres/letters/letters.h"

#define LOOK_MS 5000
#define OLD_US  INT64_C(300000000) /* what was counted so long ago is not told any more */
/* Of a table that takes long to read, looks have so many times as long between them. */
#define REST 20

struct letter_counter {
    const struct dead_letter_settings *settings;
    struct letters *letters;
    pthread_t thread;
    atomic_bool stop, ended;
    struct rare away;   /* the thread's */
    int64_t counted_us; /* monotonic; the thread's */

    /* One a pipeline. The thread alone writes them, in the mutex. */
    struct letters_waiting *counts, *next; /* as shown; as the next look finds them */
    size_t count;
    bool known; /* there was a look */
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
};

/* A look that fails leaves for some minutes what the last one has seen. */
static void look(struct letter_counter *counter)
{
    const struct dead_letter_settings *settings = counter->settings;
    struct error error;
    error_init(&error);
    enum ods_status status = letters_waiting(counter->letters, settings->table, counter->next,
                                             counter->count, &error);
    if (status != ODS_OK) {
        pthread_mutex_lock(&counter->mutex);
        counter->known &= time_monotonic_us() - counter->counted_us < OLD_US;
        pthread_mutex_unlock(&counter->mutex);
        if (!atomic_load(&counter->stop) && rare_due(&counter->away))
            log_warn("dead letters that wait in the table %s can't be counted: %s",
                     settings->table, error.text);
        return;
    }
    counter->away = (struct rare){0};
    counter->counted_us = time_monotonic_us();
    pthread_mutex_lock(&counter->mutex);
    memcpy(counter->counts, counter->next, counter->count * sizeof *counter->counts);
    counter->known = true;
    pthread_mutex_unlock(&counter->mutex);
}

static void *counter_main(void *context)
{
    struct letter_counter *counter = context;
    while (!atomic_load(&counter->stop)) {
        int64_t began_us = time_monotonic_us();
        look(counter);
        int64_t rest_ms = (time_monotonic_us() - began_us) / 1000 * REST;
        wait_for_stop(&counter->mutex, &counter->wakes, &counter->stop,
                      rest_ms > LOOK_MS ? rest_ms : LOOK_MS);
    }
    atomic_store(&counter->ended, true);
    return NULL;
}

static void release(struct letter_counter *counter)
{
    letters_free(counter->letters);
    free(counter->counts);
    free(counter->next);
    pthread_cond_destroy(&counter->wakes);
    pthread_mutex_destroy(&counter->mutex);
    free(counter);
}

/* The pipelines into this target. False: memory is out. */
static bool list_pipelines(struct letter_counter *counter, const struct settings *settings,
                           const char *target)
{
    counter->counts = calloc(settings->pipeline_count + 1, sizeof *counter->counts);
    counter->next = calloc(settings->pipeline_count + 1, sizeof *counter->next);
    if (!counter->counts || !counter->next)
        return false;
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        struct source_config config = {0};
        if (strcmp(pipeline->target, target) != 0)
            continue;
        counter->next[counter->count++] = (struct letters_waiting){
            .pipeline = pipeline->name,
            .group = pipeline->group_id,
            .queue = worker_source(settings, pipeline, &config)->kind == SOURCE_DELIVERIES};
    }
    return true;
}

enum ods_status letter_counter_start(struct letter_counter **out, const struct settings *settings,
                                     struct error *error)
{
    const struct dead_letter_settings *own = &settings->dead_letter;
    const struct target_settings *target =
        *own->table && *settings->http.listen ? settings_postgres(settings, own->target) : NULL;
    *out = NULL;
    if (!target)
        return ODS_OK;
    struct letter_counter *counter = calloc(1, sizeof *counter);
    if (!counter)
        return error_set(error, ODS_FATAL, "out of memory for a thread that counts dead letters");
    counter->settings = own;
    pthread_mutex_init(&counter->mutex, NULL);
    wait_init(&counter->wakes);
    enum ods_status status = ODS_OK;
    bool good = list_pipelines(counter, settings, target->name);
    if (good && counter->count)
        counter->letters = letters_new(target, own->table);
    if (!good || (counter->count && !counter->letters))
        status = error_set(error, ODS_FATAL, "out of memory for a thread that counts dead letters");
    int code = counter->letters ? pthread_create(&counter->thread, NULL, counter_main, counter) : 0;
    if (code)
        status = error_set(error, ODS_FATAL, "no thread for dead letters: %s", strerror(code));
    if (status != ODS_OK || !counter->letters)
        release(counter);
    else
        *out = counter;
    return status;
}

void letter_counter_stop(struct letter_counter *counter)
{
    if (!counter || atomic_exchange(&counter->stop, true))
        return;
    letters_interrupt(counter->letters);
    pthread_mutex_lock(&counter->mutex);
    pthread_cond_signal(&counter->wakes);
    pthread_mutex_unlock(&counter->mutex);
}

bool letter_counter_ended(const struct letter_counter *counter)
{
    return !counter || atomic_load(&counter->ended);
}

void letter_counter_join(struct letter_counter *counter)
{
    if (!counter)
        return;
    letter_counter_stop(counter);
    pthread_join(counter->thread, NULL);
    release(counter);
}

/* --- what it shows ---------------------------------------------------------------------------- */

void letter_counter_metrics(struct letter_counter *counter, struct buffer *out)
{
    if (!counter)
        return;
    metrics_head(out, "dead_letters_waiting", "gauge",
                 "Dead letters in the table that were neither replayed nor skipped, of all "
                 "processes");
    pthread_mutex_lock(&counter->mutex);
    for (size_t i = 0; counter->known && i < counter->count; i++) {
        const char *labels[] = {"pipeline", counter->counts[i].pipeline, NULL};
        metrics_put(out, "dead_letters_waiting", labels, (double) counter->counts[i].count);
    }
    pthread_mutex_unlock(&counter->mutex);
}

json_t *letter_counter_describe(struct letter_counter *counter)
{
    json_t *list = json_array();
    if (!counter)
        return list;
    pthread_mutex_lock(&counter->mutex);
    for (size_t i = 0; counter->known && i < counter->count; i++) {
        const struct letters_waiting *one = &counter->counts[i];
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:o}", "pipeline", text_of(one->pipeline), "waiting",
                            (json_int_t) one->count, "oldest_at",
                            one->count ? json_real((double) one->oldest_us / 1e6) : json_null()));
    }
    pthread_mutex_unlock(&counter->mutex);
    return list;
}
