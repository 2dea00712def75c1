/* An hour of each pipeline. See trends.h. */
#include "pipeline/trends.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "core/wait.h"
#include "pipeline/json_text.h"
#include "pipeline/lane.h"
#include "pipeline/metrics.h"
#include "pipeline/tables_show.h"

#define STEP_MS 10000
#define SAMPLES 360
#define MINUTE  6

/* What happened in one step. */
struct sample {
    float changes;      /* a second */
    float p50_s, p99_s; /* of the batches' oldest changes; negative: there were none */
    float lag;          /* records in partitions that are not paused; negative: not known */
    uint32_t paused;    /* partitions */
};

/* The counters of a pipeline's lanes, added up. */
struct totals {
    uint64_t changes;
    uint64_t buckets[HISTOGRAM_MAX + 1];
};

struct course {
    const char *pipeline;
    size_t first, lanes; /* in trends->lanes */
    struct totals before;
    struct sample samples[SAMPLES]; /* a ring */
    size_t count, next;
};

struct trends {
    struct lane *const *lanes;
    struct course *courses;
    size_t count;
    int64_t sampled_us; /* wall clock of the newest sample */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stops;
    bool stopping;
};

static void add_up(const struct trends *trends, const struct course *course, struct totals *totals)
{
    *totals = (struct totals){.changes = 0};
    for (size_t i = 0; i < course->lanes; i++) {
        const struct metrics *metrics = lane_metrics(trends->lanes[course->first + i]);
        totals->changes += atomic_load_explicit(&metrics->changes, memory_order_relaxed);
        for (size_t k = 0; k <= histogram_seconds.count; k++)
            totals->buckets[k] += atomic_load_explicit(&metrics->latency_seconds.buckets[k],
                                                       memory_order_relaxed);
    }
}

static float lag_of(const struct trends *trends, const struct course *course, uint32_t *paused)
{
    int64_t lag = 0;
    bool known = false;
    for (size_t i = 0; i < course->lanes; i++) {
        size_t count;
        struct lane *lane = trends->lanes[course->first + i];
        const struct lane_partition *partition = lane_lock_partitions(lane, &count);
        for (; count; count--, partition++) {
            *paused += partition->paused;
            if (partition->paused || partition->lag < 0)
                continue;
            known = true;
            lag += partition->lag;
        }
        lane_unlock_partitions(lane);
    }
    return known ? (float) lag : -1;
}

/* The latency below which this share of the step's batches stayed, in seconds, as far as the
 * buckets tell: inside of one it is taken to be even. Negative: there were no batches. */
static float quantile(const struct totals *now, const struct totals *before, double share)
{
    const struct histogram_bounds *bounds = &histogram_seconds;
    uint64_t all = 0, below = 0;
    for (size_t k = 0; k <= bounds->count; k++)
        all += now->buckets[k] - before->buckets[k];
    if (!all)
        return -1;
    for (size_t k = 0; k < bounds->count; k++) {
        uint64_t here = now->buckets[k] - before->buckets[k];
        double low = k ? (double) bounds->upto[k - 1] : 0, high = (double) bounds->upto[k];
        if (here && (double) (below + here) >= share * (double) all)
            return (float) ((low + (high - low) * (share * (double) all - (double) below) /
                                       (double) here) / bounds->unit);
        below += here;
    }
    return (float) ((double) bounds->upto[bounds->count - 1] / bounds->unit);
}

static void take_sample(struct trends *trends, struct course *course, double seconds)
{
    struct totals now;
    add_up(trends, course, &now);
    struct sample sample = {
        .changes = (float) ((double) (now.changes - course->before.changes) / seconds),
        .p50_s = quantile(&now, &course->before, 0.5),
        .p99_s = quantile(&now, &course->before, 0.99),
    };
    sample.lag = lag_of(trends, course, &sample.paused);
    pthread_mutex_lock(&trends->mutex);
    course->samples[course->next] = sample;
    course->next = (course->next + 1) % SAMPLES;
    course->count += course->count < SAMPLES;
    pthread_mutex_unlock(&trends->mutex);
    course->before = now;
    tables_sample(trends->lanes + course->first, course->lanes, seconds);
}

static void *look(void *context)
{
    struct trends *trends = context;
    int64_t last_us = time_monotonic_us();
    pthread_mutex_lock(&trends->mutex);
    while (!trends->stopping) {
        struct timespec deadline = time_deadline(STEP_MS);
        while (!trends->stopping &&
               pthread_cond_timedwait(&trends->stops, &trends->mutex, &deadline) != ETIMEDOUT)
            ;
        if (trends->stopping)
            break;
        pthread_mutex_unlock(&trends->mutex);
        int64_t now_us = time_monotonic_us();
        for (size_t i = 0; i < trends->count; i++)
            take_sample(trends, &trends->courses[i], (double) (now_us - last_us) / 1e6);
        last_us = now_us;
        pthread_mutex_lock(&trends->mutex);
        trends->sampled_us = time_wall_us();
    }
    pthread_mutex_unlock(&trends->mutex);
    return NULL;
}

static enum ods_status find_courses(struct trends *trends, size_t lane_count, struct error *error)
{
    trends->courses = calloc(lane_count + 1, sizeof *trends->courses);
    if (!trends->courses)
        return error_set(error, ODS_FATAL, "out of memory for the trends");
    for (size_t i = 0; i < lane_count; i++) {
        struct lane_status status;
        lane_status(trends->lanes[i], &status);
        struct course *course = trends->count ? &trends->courses[trends->count - 1] : NULL;
        if (!course || strcmp(course->pipeline, status.pipeline) != 0) {
            course = &trends->courses[trends->count++];
            *course = (struct course){.pipeline = status.pipeline, .first = i};
        }
        course->lanes++;
    }
    return ODS_OK;
}

enum ods_status trends_start(struct trends **out, struct lane *const *lanes, size_t count,
                             struct error *error)
{
    struct trends *trends = calloc(1, sizeof *trends);
    *out = NULL;
    if (!trends)
        return error_set(error, ODS_FATAL, "out of memory for the trends");
    trends->lanes = lanes;
    pthread_mutex_init(&trends->mutex, NULL);
    wait_init(&trends->stops);
    enum ods_status status = find_courses(trends, count, error);
    if (status == ODS_OK && pthread_create(&trends->thread, NULL, look, trends) != 0)
        status = error_set(error, ODS_FATAL, "no thread left for the trends");
    if (status != ODS_OK) {
        pthread_cond_destroy(&trends->stops);
        pthread_mutex_destroy(&trends->mutex);
        free(trends->courses);
        free(trends);
        return status;
    }
    *out = trends;
    return ODS_OK;
}

void trends_stop(struct trends *trends)
{
    if (!trends)
        return;
    pthread_mutex_lock(&trends->mutex);
    trends->stopping = true;
    pthread_cond_broadcast(&trends->stops);
    pthread_mutex_unlock(&trends->mutex);
    pthread_join(trends->thread, NULL);
    pthread_cond_destroy(&trends->stops);
    pthread_mutex_destroy(&trends->mutex);
    free(trends->courses);
    free(trends);
}

bool trends_lag_before(struct trends *trends, const char *pipeline, struct trend_lag *before)
{
    bool known = false;
    pthread_mutex_lock(&trends->mutex);
    for (size_t i = 0; i < trends->count; i++) {
        const struct course *course = &trends->courses[i];
        size_t back = course->count < MINUTE ? course->count : MINUTE;
        if (strcmp(course->pipeline, pipeline) != 0)
            continue;
        for (; back && !known; back--) {
            size_t place = (course->next + SAMPLES - back) % SAMPLES;
            const struct sample *sample = &course->samples[place];
            known = sample->lag >= 0;
            *before = (struct trend_lag){
                .records = sample->lag,
                .paused = sample->paused,
                .seconds_ago = (double) (time_wall_us() - trends->sampled_us) / 1e6 +
                               (double) (back - 1) * STEP_MS / 1000,
            };
        }
    }
    pthread_mutex_unlock(&trends->mutex);
    return known && before->seconds_ago > 1;
}

/* --- telling -------------------------------------------------------------------------------- */

static json_t *number(double value, double unit)
{
    return value < 0 ? json_null() : json_real((double) (int64_t) (value * unit + 0.5) / unit);
}

static json_t *describe(const struct course *course)
{
    json_t *changes = json_array(), *p50 = json_array(), *p99 = json_array(), *lag = json_array();
    for (size_t i = 0; i < course->count; i++) {
        const struct sample *sample =
            &course->samples[(course->next + SAMPLES - course->count + i) % SAMPLES];
        json_array_append_new(changes, number(sample->changes, 10));
        json_array_append_new(p50, number(sample->p50_s, 10000));
        json_array_append_new(p99, number(sample->p99_s, 10000));
        json_array_append_new(lag, number(sample->lag, 1));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "pipeline", text_of(course->pipeline),
                     "changes_per_second", changes, "latency_p50_seconds", p50,
                     "latency_p99_seconds", p99, "lag_records", lag);
}

json_t *trends_describe(struct trends *trends)
{
    json_t *list = json_array();
    double sampled = 0;
    if (trends) {
        pthread_mutex_lock(&trends->mutex);
        for (size_t i = 0; i < trends->count; i++)
            json_array_append_new(list, describe(&trends->courses[i]));
        sampled = (double) trends->sampled_us / 1e6;
        pthread_mutex_unlock(&trends->mutex);
    }
    return json_pack("{s:i, s:i, s:f, s:o}", "step_seconds", STEP_MS / 1000, "samples", SAMPLES,
                     "newest_at", sampled, "pipelines", list);
}
