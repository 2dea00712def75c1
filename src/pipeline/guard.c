/* Looking at Kafka's retention. See guard.h. */
#include "pipeline/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/lane.h"
#include "pipeline/metrics.h"
#include "source/kafka/kafka_admin.h"

#define ANSWER_MS  2000
#define TELL_SHARE 10 /* logged when less than a tenth of the retention is left */

/* A partition in which records wait, as of the last look. */
struct waiting {
    const char *pipeline;
    char *topic;
    int32_t partition;
    int64_t applied, first; /* first: Kafka's oldest; -1: not known */
    int64_t next_ms;        /* when the next record was written, -1: not known */
    int64_t retention_ms;   /* -1: for ever, or not known */
    enum { TOLD_NOTHING, TOLD_OF_END, TOLD_OF_LOSS } told; /* logged, and not over since */
};

struct guard {
    const struct settings *settings;
    struct lane *const *lanes;
    size_t lane_count;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stops;
    bool stopping;
    struct waiting *waiting; /* in the mutex; by the thread alone made anew */
    size_t count;
    int64_t looked_ms;
};

static void free_waiting(struct waiting *waiting, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(waiting[i].topic);
    free(waiting);
}

static int64_t lost(const struct waiting *waiting)
{
    return waiting->first > waiting->applied ? waiting->first - waiting->applied : 0;
}

/* -1: retention takes nothing, or it is not known when. */
static int64_t left_ms(const struct waiting *waiting, int64_t now_ms)
{
    if (waiting->retention_ms < 0 || waiting->next_ms < 0)
        return -1;
    int64_t left = waiting->next_ms + waiting->retention_ms - now_ms;
    return left > 0 ? left : 0;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct list {
    struct waiting *items;
    size_t count;
};

static bool add(struct list *list, const char *pipeline, const struct lane_partition *partition)
{
    struct waiting *larger = realloc(list->items, (list->count + 1) * sizeof *larger);
    if (!larger)
        return false;
    list->items = larger;
    larger[list->count] = (struct waiting){.pipeline = pipeline,
                                           .topic = strdup(partition->topic),
                                           .partition = partition->number,
                                           .applied = partition->applied,
                                           .first = -1,
                                           .next_ms = -1,
                                           .retention_ms = -1};
    return larger[list->count++].topic != NULL;
}

static bool is_of_kafka(const struct guard *guard, const char *pipeline)
{
    for (size_t i = 0; i < guard->settings->pipeline_count; i++)
        if (strcmp(guard->settings->pipelines[i].name, pipeline) == 0)
            return strcmp(guard->settings->pipelines[i].input.type, "kafka") == 0;
    return false;
}

/* False: memory is out. */
static bool list_waiting(const struct guard *guard, struct list *list)
{
    bool good = true;
    for (size_t i = 0; good && i < guard->lane_count; i++) {
        struct lane_status status;
        size_t count;
        lane_status(guard->lanes[i], &status);
        if (status.source_away || !is_of_kafka(guard, status.pipeline))
            continue;
        const struct lane_partition *partition = lane_lock_partitions(guard->lanes[i], &count);
        for (; good && count; count--, partition++)
            if (partition->applied >= 0 && partition->high > partition->applied)
                good = add(list, status.pipeline, partition);
        lane_unlock_partitions(guard->lanes[i]);
    }
    return good;
}

static enum ods_status look_at_offsets(struct kafka_admin *admin, struct list *list,
                                       struct error *error)
{
    struct kafka_extent *extents = calloc(list->count, sizeof *extents);
    struct kafka_moment *moments = calloc(list->count, sizeof *moments);
    enum ods_status status = extents && moments ? ODS_OK : error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < list->count; i++)
        extents[i] = (struct kafka_extent){.topic = list->items[i].topic,
                                           .partition = list->items[i].partition};
    if (status == ODS_OK)
        status = kafka_admin_extents(admin, extents, list->count, error);
    for (size_t i = 0; status == ODS_OK && i < list->count; i++) {
        list->items[i].first = extents[i].low;
        int64_t from = list->items[i].applied;
        moments[i] = (struct kafka_moment){.topic = list->items[i].topic,
                                           .partition = list->items[i].partition,
                                           .offset = from < extents[i].low ? extents[i].low : from};
    }
    if (status == ODS_OK)
        status = kafka_admin_moments(admin, moments, list->count, error);
    for (size_t i = 0; status == ODS_OK && i < list->count; i++)
        list->items[i].next_ms = moments[i].time_ms;
    free(extents);
    free(moments);
    return status;
}

/* One question a topic: a topic's partitions stand together, as its lane lists them. */
static enum ods_status look_at_retention(struct kafka_admin *admin, struct list *list,
                                         struct error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        char policy[64], text[32];
        struct waiting *one = &list->items[i];
        if (i && strcmp(one->topic, one[-1].topic) == 0) {
            one->retention_ms = one[-1].retention_ms;
            continue;
        }
        enum ods_status status = kafka_admin_setting(admin, one->topic, "cleanup.policy", policy,
                                                     sizeof policy, error);
        if (status == ODS_OK)
            status = kafka_admin_setting(admin, one->topic, "retention.ms", text, sizeof text,
                                         error);
        if (status != ODS_OK)
            return status;
        if (*text && strstr(policy, "delete"))
            one->retention_ms = strtoll(text, NULL, 10);
    }
    return ODS_OK;
}

static int was_told(const struct guard *guard, const struct waiting *now)
{
    for (size_t i = 0; i < guard->count; i++) {
        const struct waiting *before = &guard->waiting[i];
        if (before->partition == now->partition && strcmp(before->topic, now->topic) == 0 &&
            strcmp(before->pipeline, now->pipeline) == 0)
            return before->told;
    }
    return TOLD_NOTHING;
}

static void tell(const struct guard *guard, struct waiting *waiting, int64_t now_ms)
{
    const char *const fields[] = {"pipeline", waiting->pipeline, NULL};
    int64_t left = left_ms(waiting, now_ms), gone = lost(waiting);
    waiting->told = gone ? TOLD_OF_LOSS
                    : left >= 0 && left < waiting->retention_ms / TELL_SHARE ? TOLD_OF_END
                                                                              : TOLD_NOTHING;
    if ((int) waiting->told <= was_told(guard, waiting))
        return;
    if (gone)
        log_event(LOG_ERROR, fields,
                  "topic %s partition %d: Kafka's retention has taken the offsets %lld to %lld, "
                  "which were not applied",
                  waiting->topic, (int) waiting->partition, (long long) waiting->applied,
                  (long long) waiting->first - 1);
    else
        log_event(LOG_WARN, fields,
                  "topic %s partition %d: Kafka's retention may take records from offset %lld on "
                  "in %lld s, and they are not applied: raise its retention.ms (%lld) until "
                  "they are",
                  waiting->topic, (int) waiting->partition, (long long) waiting->applied,
                  (long long) left / 1000, (long long) waiting->retention_ms);
}

static enum ods_status ask_kafka(const struct guard *guard, struct list *list, struct error *error)
{
    struct kafka_admin *admin;
    enum ods_status status =
        kafka_admin_open(&admin, guard->settings, guard->settings->kafka.group_id, error);
    if (status != ODS_OK)
        return status;
    kafka_admin_patience(admin, ANSWER_MS);
    status = look_at_offsets(admin, list, error);
    if (status == ODS_OK)
        status = look_at_retention(admin, list, error);
    kafka_admin_close(admin);
    return status;
}

/* A look that fails leaves what the last one has seen. */
static void look(struct guard *guard)
{
    struct list list = {0};
    struct error error;
    error_init(&error);
    int64_t now_ms = time_wall_us() / 1000;
    bool good = list_waiting(guard, &list);
    if (good && list.count)
        good = ask_kafka(guard, &list, &error) == ODS_OK;
    if (!good) {
        if (*error.text)
            log_debug("retention can't be looked at: %s", error.text);
        free_waiting(list.items, list.count);
        return;
    }
    for (size_t i = 0; i < list.count; i++)
        tell(guard, &list.items[i], now_ms);
    pthread_mutex_lock(&guard->mutex);
    struct list old = {guard->waiting, guard->count};
    guard->waiting = list.items;
    guard->count = list.count;
    guard->looked_ms = now_ms;
    pthread_mutex_unlock(&guard->mutex);
    free_waiting(old.items, old.count);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void *run(void *opaque)
{
    struct guard *guard = opaque;
    int64_t every_ms = guard->settings->kafka.retention_check_ms;
    pthread_mutex_lock(&guard->mutex);
    while (!guard->stopping) {
        struct timespec until = time_deadline(every_ms);
        int waited = 0;
        while (!guard->stopping && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&guard->stops, &guard->mutex, &until);
        if (guard->stopping)
            break;
        pthread_mutex_unlock(&guard->mutex);
        look(guard);
        pthread_mutex_lock(&guard->mutex);
    }
    pthread_mutex_unlock(&guard->mutex);
    return NULL;
}

enum ods_status guard_start(struct guard **out, const struct settings *settings,
                            struct lane *const *lanes, size_t count, struct error *error)
{
    *out = NULL;
    if (!settings->kafka.retention_check_ms)
        return ODS_OK;
    struct guard *guard = calloc(1, sizeof *guard);
    if (!guard)
        return error_set(error, ODS_FATAL, "out of memory for the guard of retention");
    guard->settings = settings;
    guard->lanes = lanes;
    guard->lane_count = count;
    pthread_mutex_init(&guard->mutex, NULL);
    wait_init(&guard->stops);
    int code = pthread_create(&guard->thread, NULL, run, guard);
    if (code) {
        free(guard);
        return error_set(error, ODS_FATAL, "no thread for the guard of retention: %s",
                         strerror(code));
    }
    *out = guard;
    return ODS_OK;
}

void guard_stop(struct guard *guard)
{
    if (!guard)
        return;
    pthread_mutex_lock(&guard->mutex);
    guard->stopping = true;
    pthread_cond_signal(&guard->stops);
    pthread_mutex_unlock(&guard->mutex);
    pthread_join(guard->thread, NULL);
    pthread_cond_destroy(&guard->stops);
    pthread_mutex_destroy(&guard->mutex);
    free_waiting(guard->waiting, guard->count);
    free(guard);
}

/* --- showing ---------------------------------------------------------------------------------- */

void guard_metrics(struct guard *guard, struct buffer *out)
{
    if (!guard)
        return;
    int64_t now_ms = time_wall_us() / 1000;
    pthread_mutex_lock(&guard->mutex);
    metrics_partition_head(out, "retention_left_seconds",
                           "Time until Kafka's retention may take the oldest record that is "
                           "not applied");
    for (size_t i = 0; i < guard->count; i++) {
        const struct waiting *one = &guard->waiting[i];
        int64_t left = left_ms(one, now_ms);
        if (left >= 0)
            metrics_partition(out, "retention_left_seconds", one->pipeline, one->topic,
                              one->partition, left / 1000);
    }
    metrics_partition_head(out, "records_lost",
                           "Offsets that Kafka no longer has and that were not applied");
    for (size_t i = 0; i < guard->count; i++) {
        const struct waiting *one = &guard->waiting[i];
        metrics_partition(out, "records_lost", one->pipeline, one->topic, one->partition,
                          lost(one));
    }
    pthread_mutex_unlock(&guard->mutex);
}

json_t *guard_describe(struct guard *guard)
{
    json_t *list = json_array();
    int64_t now_ms = time_wall_us() / 1000;
    if (!guard)
        return list;
    pthread_mutex_lock(&guard->mutex);
    for (size_t i = 0; i < guard->count; i++) {
        const struct waiting *one = &guard->waiting[i];
        int64_t left = left_ms(one, now_ms);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:i, s:o, s:I, s:I, s:o}", "pipeline", one->pipeline,
                            "topic", one->topic, "partition", (int) one->partition, "first",
                            one->first < 0 ? json_null() : json_integer(one->first), "applied",
                            (json_int_t) one->applied, "lost", (json_int_t) lost(one),
                            "retention_left_seconds",
                            left < 0 ? json_null() : json_integer(left / 1000)));
    }
    pthread_mutex_unlock(&guard->mutex);
    return list;
}
