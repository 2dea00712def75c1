/* See attention.h. HTTP thread. */
#include "pipeline/attention.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pipeline/condition.h"
#include "pipeline/json_text.h"
#include "pipeline/lane.h"

#define DAY_S    86400
#define LATELY_S 900 /* as long as OdsSinkDeadLetters says so */

struct list {
    json_t *bad, *warn;
};

static json_int_t number_in(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? (json_int_t) json_number_value(number) : -1;
}

/* Takes `says`. */
static void add(const struct list *list, bool bad, json_t *says)
{
    json_array_append_new(bad ? list->bad : list->warn,
                          json_pack("{s:s, s:o}", "level",
                                    condition_level_name(bad ? CONDITION_BAD : CONDITION_WARN),
                                    "says", says));
}

static void look_at_connectors(const struct list *list, const json_t *status)
{
    const json_t *cluster, *connector;
    size_t i, k;
    json_array_foreach(json_object_get(status, "connect"), i, cluster)
    {
        if (*text_in(cluster, "failure"))
            add(list, false, json_string(text_in(cluster, "failure")));
        json_array_foreach(json_object_get(cluster, "connectors"), k, connector)
        {
            const char *level = text_in(connector, "level");
            if (strcmp(level, condition_level_name(CONDITION_GOOD)) != 0)
                add(list, strcmp(level, condition_level_name(CONDITION_BAD)) == 0,
                    json_sprintf("connector %s: %s", text_in(connector, "name"),
                                 text_in(connector, "says")));
        }
    }
}

/* What was never looked at is not known to be away. */
static void look_at_sources(const struct list *list, const json_t *status)
{
    const json_t *source, *log;
    size_t i, k;
    json_array_foreach(json_object_get(status, "sources"), i, source)
    {
        const json_t *logs = json_object_get(source, "logs");
        const char *database = text_in(source, "database");
        bool looked = json_is_number(json_object_get(source, "looked_at"));
        if (looked && !json_is_true(json_object_get(source, "reachable")) &&
            !json_array_size(logs))
            add(list, false, json_sprintf("%s is not reached", database));
        json_array_foreach(logs, k, log)
        {
            const char *state = text_in(log, "state");
            if (strcmp(state, "ok") != 0)
                add(list, strcmp(state, "lost") == 0,
                    json_sprintf("the log of %s is %s", database, state));
        }
    }
}

static void look_at_retention(const struct list *list, const json_t *status)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(status, "retention"), i, one)
    {
        json_int_t left = number_in(one, "retention_left_seconds");
        const char *topic = text_in(one, "topic");
        char length[32];
        if (number_in(one, "lost") > 0)
            add(list, true,
                json_sprintf("%s: Kafka has dropped records that were not read", topic));
        else if (left >= 0 && left < DAY_S)
            add(list, false,
                json_sprintf("%s: Kafka may drop what was not read in %s", topic,
                             condition_span((double) left, length, sizeof length)));
    }
}

static void look_at_comparisons(const struct list *list, const json_t *status)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(status, "verify"), i, one)
    {
        const char *result = text_in(json_object_get(one, "last"), "result");
        if (*result && strcmp(result, "equal") != 0)
            add(list, strcmp(result, "differs") == 0,
                json_sprintf("%s compared with its source: %s", text_in(one, "pipeline"), result));
        if (*text_in(one, "failure"))
            add(list, false,
                json_sprintf("%s is not compared with its source: %s", text_in(one, "pipeline"),
                             text_in(one, "failure")));
    }
}

static void look_at_rules(const struct list *list, const json_t *status)
{
    const json_t *one, *rule;
    size_t i, k;
    json_array_foreach(json_object_get(status, "quality"), i, one)
    {
        if (*text_in(one, "problem"))
            add(list, false,
                json_sprintf("rules of %s can't be checked: %s", text_in(one, "pipeline"),
                             text_in(one, "problem")));
        json_array_foreach(json_object_get(one, "broken"), k, rule)
        {
            const char *name = text_in(rule, "rule"), *table = text_in(rule, "table");
            if (strcmp(text_in(rule, "state"), "fail") == 0)
                add(list, true, json_sprintf("rule %s of %s is broken", name, table));
            else
                add(list, false,
                    json_sprintf("whether rule %s of %s holds is not known", name, table));
        }
    }
}

static void look_at_derived(const struct list *list, const json_t *status)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(status, "derived"), i, one)
    {
        json_int_t errors = number_in(one, "errors");
        const char *table = text_in(one, "table");
        if (*text_in(one, "problem"))
            add(list, true, json_sprintf("derived table %s: %s", table, text_in(one, "problem")));
        else if (errors > 0)
            add(list, false,
                json_sprintf("derived table %s: %s, but %lld key%s", table, text_in(one, "state"),
                             (long long) errors, errors == 1 ? " fails" : "s fail"));
    }
}

/* --- dead letters ------------------------------------------------------------------------ */

static bool is_counted(const json_t *status, const char *pipeline)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(status, "dead_letters"), i, one)
        if (strcmp(text_in(one, "pipeline"), pipeline) == 0)
            return true;
    return false;
}

/* The moment, and not how long: what is told is told anew when it changes. */
static json_t *say_waiting(const char *pipeline, json_int_t waiting, double oldest)
{
    char since[32] = "?";
    time_t seconds = (time_t) oldest;
    struct tm utc;
    if (gmtime_r(&seconds, &utc))
        strftime(since, sizeof since, "%Y-%m-%d %H:%M", &utc);
    return waiting == 1
               ? json_sprintf("%s: 1 dead letter waits since %s UTC", pipeline, since)
               : json_sprintf("%s: %lld dead letters wait, the oldest since %s UTC", pipeline,
                              (long long) waiting, since);
}

static void look_at_counts(const struct list *list, const json_t *status)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(status, "dead_letters"), i, one)
    {
        json_int_t waiting = number_in(one, "waiting");
        if (waiting > 0)
            add(list, false,
                say_waiting(text_in(one, "pipeline"), waiting,
                            json_number_value(json_object_get(one, "oldest_at"))));
    }
}

static bool set_aside_lately(struct lane *lane, double now)
{
    json_t *recent = lane_recent(lane), *note;
    bool any = false;
    size_t i;
    json_array_foreach(recent, i, note)
        any |= strcmp(text_in(note, "kind"), "letter") == 0 &&
               now - json_number_value(json_object_get(note, "last_at")) < LATELY_S;
    json_decref(recent);
    return any;
}

/* Where letters are not counted, whether they were replayed since is known to their place alone. */
static void look_at_lanes(const struct list *list, const json_t *status, struct lane *const *lanes,
                          size_t count)
{
    double now = json_number_value(json_object_get(status, "now"));
    const char *told = ""; /* a pipeline's lanes stand next to each other */
    for (size_t i = 0; i < count; i++) {
        struct lane_status lane;
        lane_status(lanes[i], &lane);
        if (strcmp(told, lane.pipeline) == 0 || is_counted(status, lane.pipeline) ||
            !set_aside_lately(lanes[i], now))
            continue;
        told = lane.pipeline;
        add(list, false, json_sprintf("%s set records aside in the last 15 minutes",
                                      lane.pipeline));
    }
}

json_t *attention_describe(const json_t *status, struct lane *const *lanes, size_t count)
{
    const struct list list = {json_array(), json_array()};
    look_at_connectors(&list, status);
    look_at_sources(&list, status);
    look_at_retention(&list, status);
    look_at_comparisons(&list, status);
    look_at_rules(&list, status);
    look_at_counts(&list, status);
    look_at_lanes(&list, status, lanes, count);
    look_at_derived(&list, status);
    json_array_extend(list.bad, list.warn);
    json_decref(list.warn);
    return list.bad;
}
