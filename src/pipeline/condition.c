/* See condition.h. Whatever keeps a lane from applying comes first, then what an order holds, then
 * how far it is behind. HTTP thread. */
#include "pipeline/condition.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "pipeline/json_text.h"
#include "pipeline/trends.h"
#include "pipeline/watch.h"

#define FEW_RECORDS    1000              /* so many wait in a lane that keeps up */
#define ANSWER_US      INT64_C(10000000) /* a batch seldom takes longer */
#define READ_LATELY_US INT64_C(10000000) /* a snapshot whose last rows are older is over */

static void say(struct condition *condition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends. What records and servers say ends at its first line. */
static void say(struct condition *condition, const char *format, ...)
{
    size_t had = strlen(condition->says), size = sizeof condition->says;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(condition->says + had, size - had, format, arguments);
    va_end(arguments);
    condition->says[strcspn(condition->says, "\n")] = '\0';
}

static void judge(struct condition *condition, const char *state, enum condition_level level)
{
    condition->state = state;
    condition->level = level;
    condition->says[0] = '\0';
}

const char *condition_span(double seconds, char *text, size_t size)
{
    if (seconds < 120)
        snprintf(text, size, "%.0f s", seconds < 0 ? 0 : seconds);
    else if (seconds < 7200)
        snprintf(text, size, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(text, size, "%.1f h", seconds / 3600);
    else
        snprintf(text, size, "%.0f d", seconds / 86400);
    return text;
}

/* " since 2026-11-27 10:12:03 UTC (3 min)" */
static void say_since(struct condition *condition, int64_t since_us)
{
    char moment[32], length[32];
    time_t seconds = (time_t) (since_us / 1000000);
    struct tm utc;
    condition->since_us = since_us;
    if (since_us <= 0 || !gmtime_r(&seconds, &utc))
        return;
    strftime(moment, sizeof moment, "%Y-%m-%d %H:%M:%S", &utc);
    say(condition, " since %s UTC (%s)", moment,
        condition_span((double) (time_wall_us() - since_us) / 1e6, length, sizeof length));
}

/* --- what the partitions tell --------------------------------------------------------------- */

struct extent {
    size_t partitions, paused;
    size_t starting; /* where they start is not settled, or the source not told */
    int64_t lag;     /* of those that are not paused; -1: not known of any */
};

static void measure(struct lane *lane, struct extent *extent)
{
    size_t count;
    const struct lane_partition *partition = lane_lock_partitions(lane, &count);
    extent->partitions += count;
    for (; count; count--, partition++) {
        extent->paused += partition->paused;
        extent->starting += partition->starts;
        if (!partition->paused && partition->lag >= 0)
            extent->lag = (extent->lag < 0 ? 0 : extent->lag) + partition->lag;
    }
    lane_unlock_partitions(lane);
}

/* Rows of a snapshot that a lane has applied, if that is what it is at. */
static uint64_t reads(const struct lane *lane)
{
    const struct metrics *metrics = lane_metrics(lane);
    int64_t last_us = atomic_load(&metrics->snapshot_us);
    bool lately = last_us && time_wall_us() - last_us < READ_LATELY_US;
    return lately ? atomic_load(&metrics->snapshot_rows) : 0;
}

/* --- judging -------------------------------------------------------------------------------- */

/* False: nothing keeps it from applying. */
static bool is_kept_up(struct condition *condition, const struct lane_status *status)
{
    const char *why = status->last_error;
    if (status->state == LANE_STOPPED) {
        judge(condition, "stopped", CONDITION_BAD);
        say(condition, "stopped: nothing is applied until the daemon is started again%s%s",
            *why ? ": " : "", why);
    } else if (status->stuck) {
        judge(condition, "stuck", CONDITION_BAD);
        say(condition, "stuck");
        say_since(condition, time_wall_us() - status->state_us);
        say(condition, ": a thread gives no sign of life");
    } else if (status->source_away) {
        judge(condition, "waiting", CONDITION_BAD);
        say(condition, "does not reach its source");
        say_since(condition, status->source_away_us);
    } else if (status->outage_us) {
        judge(condition, "waiting", CONDITION_BAD);
        say(condition, "waits for %s%s",
            status->letters_ready ? "its target " : "the place of its ",
            status->letters_ready ? status->target : "dead letters");
        say_since(condition, status->outage_us);
        say(condition, "%s%s", *why ? ": " : "", why);
    } else if (status->put_off_us) {
        judge(condition, "waiting", CONDITION_WARN);
        say(condition, "waits for what a record needs");
        say_since(condition, status->put_off_us);
        say(condition, "%s%s", *why ? ": " : "", why);
    } else if (status->state == LANE_WAITING) {
        judge(condition, "waiting", CONDITION_WARN);
        say(condition, "waits for other rows%s%s", *why ? ": " : "", why);
    } else if (status->state == LANE_APPLYING && status->state_us > ANSWER_US) {
        judge(condition, "waiting", CONDITION_WARN);
        say(condition, "waits for an answer of its target %s", status->target);
        say_since(condition, time_wall_us() - status->state_us);
    } else if (status->without_topics) {
        judge(condition, "waiting for topics", CONDITION_WARN);
        say(condition, "waits for topics: none matches yet");
    } else if (!status->joined || status->joining_us) {
        judge(condition, "joining", CONDITION_WARN);
        say(condition, "is joining its group");
        say_since(condition, status->joining_us);
        say(condition, "%s%s", status->hindrance ? ": " : "",
            status->hindrance ? status->hindrance : "");
    } else if (!status->target_ready) {
        judge(condition, "joining", CONDITION_WARN);
        say(condition, "connects to its target");
    } else {
        return false;
    }
    return true;
}

/* What has not started has no lag yet that would be known. */
static bool judge_start(struct condition *condition, const struct extent *extent)
{
    if (!extent->starting || extent->lag > 0)
        return false;
    judge(condition, "joining", CONDITION_WARN);
    say(condition, "finds out where its partitions start: %zu of %zu have started",
        extent->partitions - extent->starting, extent->partitions);
    return true;
}

static void judge_lag(struct condition *condition, const struct extent *extent, uint64_t rows,
                      bool shrinks)
{
    char length[32];
    long long lag = (long long) extent->lag;
    condition->lag = extent->lag;
    if (rows) {
        judge(condition, "snapshot", CONDITION_WARN);
        say(condition, "snapshot: %llu rows so far", (unsigned long long) rows);
        if (lag > 0)
            say(condition, ", %lld records yet", lag);
    } else if (lag <= 0) {
        judge(condition, "caught up", CONDITION_GOOD);
        say(condition, "caught up");
        condition->seconds_left = lag < 0 ? -1 : 0;
        return;
    } else if (lag <= FEW_RECORDS) {
        judge(condition, "keeps up", CONDITION_GOOD);
        say(condition, "keeps up: %lld record%s behind", lag, lag == 1 ? "" : "s");
        return;
    } else if (shrinks) {
        judge(condition, "catching up", CONDITION_WARN);
        say(condition, "catching up: %lld records behind", lag);
    } else {
        judge(condition, "behind", CONDITION_WARN);
        say(condition, "is behind by %lld records, which do not become fewer", lag);
    }
    if (condition->seconds_left >= 0)
        say(condition, ", about %s yet",
            condition_span(condition->seconds_left, length, sizeof length));
}

static void condition_init(struct condition *condition)
{
    *condition = (struct condition){.lag = -1, .seconds_left = -1};
}

void condition_of_lane(struct condition *condition, struct lane *lane)
{
    struct lane_status status;
    struct extent extent = {.lag = -1};
    condition_init(condition);
    lane_status(lane, &status);
    measure(lane, &extent);
    condition->lag = extent.lag;
    if (is_kept_up(condition, &status))
        return;
    if (!extent.partitions) {
        judge(condition, "spare", CONDITION_GOOD);
        say(condition, "has no partition: others of its group have them");
    } else if (extent.paused == extent.partitions) {
        judge(condition, "paused", CONDITION_WARN);
        say(condition, "paused");
    } else if (!judge_start(condition, &extent)) {
        judge_lag(condition, &extent, reads(lane), true);
    }
}

/* What orders hold: by whom, since when and why; of several the first. */
static void say_held(struct condition *condition, struct lane *lane, bool all)
{
    struct watch *watch = lane_watch(lane);
    size_t count = 0;
    if (!watch)
        return;
    const struct watch_held *held = watch_lock(watch, &count);
    if (count) {
        const struct order *order = held->order;
        if (all)
            judge(condition, "paused", CONDITION_WARN);
        condition->level = condition->level < CONDITION_WARN ? CONDITION_WARN : condition->level;
        if (all && count == 1)
            say(condition, "%s", order_state_name(order->state));
        else
            say(condition, "%s%s is %s", all ? "" : "; ", order->topic,
                order_state_name(order->state));
        say(condition, " by %s", order->by && *order->by ? order->by : "somebody");
        int64_t since_us = condition->since_us;
        say_since(condition, order->at_us);
        condition->since_us = all ? order->at_us : since_us;
        if (order->reason && *order->reason)
            say(condition, ": %s", order->reason);
        if (count > 1)
            say(condition, "; so %s %zu more", count > 2 ? "are" : "is", count - 1);
    }
    watch_unlock(watch);
}

/* How long until nothing waits, by what the last minute took off. False: it does not shrink.
 * Nobody knows it yet where other partitions were paused then: what waits in those that go on
 * again was there before. */
static bool foresee(struct condition *condition, const char *pipeline,
                    const struct extent *extent, struct trends *trends)
{
    struct trend_lag before;
    if (!trends || extent->lag <= 0 || !trends_lag_before(trends, pipeline, &before) ||
        before.paused != extent->paused)
        return true;
    double gone = (before.records - (double) extent->lag) / before.seconds_ago;
    if (gone <= 0)
        return false;
    condition->seconds_left = (double) extent->lag / gone;
    return true;
}

void condition_of_pipeline(struct condition *condition, struct lane *const *lanes, size_t count,
                           struct trends *trends)
{
    struct lane_status first;
    struct extent extent = {.lag = -1};
    struct condition worst, one;
    uint64_t rows = 0;
    condition_init(condition);
    condition_init(&worst);
    lane_status(lanes[0], &first);
    for (size_t i = 0; i < count; i++) {
        struct lane_status status;
        lane_status(lanes[i], &status);
        measure(lanes[i], &extent);
        rows += reads(lanes[i]);
        condition_init(&one);
        if (is_kept_up(&one, &status) && one.level > worst.level)
            worst = one;
    }
    bool all = extent.partitions && extent.paused == extent.partitions;
    condition->lag = extent.lag;
    if (worst.level > CONDITION_GOOD) {
        *condition = worst;
        condition->lag = extent.lag;
    } else if (!all) {
        bool shrinks = foresee(condition, first.pipeline, &extent, trends);
        if (!judge_start(condition, &extent))
            judge_lag(condition, &extent, rows, shrinks);
        if (!extent.partitions) {
            judge(condition, "spare", CONDITION_GOOD);
            say(condition, "has no partition: other processes have them");
        }
    } else {
        judge(condition, "paused", CONDITION_WARN);
    }
    say_held(condition, lanes[0], all && worst.level == CONDITION_GOOD);
    if (!*condition->says)
        say(condition, "%s", condition->state);
}

/* --- telling -------------------------------------------------------------------------------- */

const char *condition_level_name(enum condition_level level)
{
    static const char *const names[] = {
        [CONDITION_GOOD] = "good", [CONDITION_WARN] = "warn", [CONDITION_BAD] = "bad"};
    return names[level];
}

void condition_describe(const struct condition *condition, json_t *object)
{
    json_object_set_new(object, "state", json_string(condition->state));
    json_object_set_new(object, "level", json_string(condition_level_name(condition->level)));
    json_object_set_new(object, "says", text_of(condition->says));
    json_object_set_new(object, "since",
                        condition->since_us > 0 ? json_real((double) condition->since_us / 1e6)
                                                : json_null());
    json_object_set_new(object, "seconds_left",
                        condition->seconds_left < 0 ? json_null()
                                                    : json_real(condition->seconds_left));
}

json_t *conditions_describe(struct lane *const *lanes, size_t count, struct trends *trends)
{
    json_t *list = json_array();
    for (size_t first = 0, next; first < count; first = next) {
        struct lane_status status, other;
        struct condition condition;
        lane_status(lanes[first], &status);
        for (next = first + 1; next < count; next++) {
            lane_status(lanes[next], &other);
            if (strcmp(other.pipeline, status.pipeline) != 0)
                break;
        }
        condition_of_pipeline(&condition, lanes + first, next - first, trends);
        json_t *object = json_pack("{s:o, s:o}", "pipeline", text_of(status.pipeline), "lag",
                                   condition.lag < 0 ? json_null() : json_integer(condition.lag));
        condition_describe(&condition, object);
        json_array_append_new(list, object);
    }
    return list;
}
