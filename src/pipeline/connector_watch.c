/* See connector_watch.h. */
#include "pipeline/connector_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connect/connect.h"
#include "core/log.h"
#include "core/rare.h"
#include "core/time.h"
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"

/* Connectors that have labels of their own; those beyond are counted together. */
#define SHOWN_MAX 500
#define OTHERS    "(others)"

/* A connector's or a task's. */
enum part_state { RUNNING, FAILED, PAUSED, STOPPED, UNASSIGNED, RESTARTING, STATES };

static const struct {
    const char *word, *connects; /* ours, and Connect's */
} states[STATES] = {
    [RUNNING] = {"running", "RUNNING"},          [FAILED] = {"failed", "FAILED"},
    [PAUSED] = {"paused", "PAUSED"},             [STOPPED] = {"stopped", "STOPPED"},
    [UNASSIGNED] = {"unassigned", "UNASSIGNED"}, [RESTARTING] = {"restarting", "RESTARTING"},
};

struct watched_connector {
    char *name;
    unsigned is[STATES]; /* 1 of its own state; of the others together how many are */
    unsigned tasks[STATES];
};

struct cluster {
    const struct connect_settings *settings;
    int64_t next_us; /* monotonic */
    struct rare away;
    /* Guarded by the mutex: */
    struct watched_connector *connectors; /* as they were when Connect last answered */
    size_t count;
    double looked_at;    /* seconds since 1970; 0: not yet */
    bool reached;        /* by the last question */
    char *failure;       /* why not; NULL: it was, or nobody has asked */
};

struct connector_watch {
    const atomic_bool *stop;
    pthread_mutex_t mutex;
    struct cluster *clusters;
    size_t count;
};

static const char *name_of(const struct cluster *cluster)
{
    return cluster->settings->name ? cluster->settings->name : "";
}

/* --- asking ---------------------------------------------------------------------------------- */

static void free_connectors(struct watched_connector *connectors, size_t count)
{
    for (size_t i = 0; connectors && i < count; i++)
        free(connectors[i].name);
    free(connectors);
}

static void count_state(unsigned *counts, const json_t *part)
{
    const char *text = json_string_value(json_object_get(part, "state"));
    for (enum part_state state = 0; text && state < STATES; state++)
        counts[state] += strcmp(text, states[state].connects) == 0;
}

static void take_status(struct watched_connector *connector, const json_t *status)
{
    const json_t *task;
    size_t i;
    count_state(connector->is, json_object_get(status, "connector"));
    json_array_foreach(json_object_get(status, "tasks"), i, task)
        count_state(connector->tasks, task);
}

/* NULL: memory is out. */
static struct watched_connector *take_all(json_t *answer, size_t *count)
{
    size_t all = json_object_size(answer);
    struct watched_connector *list = calloc(all + 1, sizeof *list);
    const char *name;
    json_t *entry;
    *count = 0;
    json_object_foreach(answer, name, entry)
    {
        bool own = *count < SHOWN_MAX;
        struct watched_connector *connector = list ? &list[own ? *count : SHOWN_MAX] : NULL;
        if (connector && !connector->name && !(connector->name = strdup(own ? name : OTHERS))) {
            free_connectors(list, *count);
            return NULL;
        }
        if (connector)
            take_status(connector, json_object_get(entry, "status"));
        *count += connector && own;
    }
    *count += all > SHOWN_MAX;
    return list;
}

static bool has_failed(const struct watched_connector *connector)
{
    return connector->is[FAILED] || connector->tasks[FAILED];
}

static unsigned sum_of(const unsigned *counts)
{
    unsigned sum = 0;
    for (enum part_state state = 0; state < STATES; state++)
        sum += counts[state];
    return sum;
}

static const struct watched_connector *same(const struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (strcmp(cluster->connectors[i].name, name) == 0)
            return &cluster->connectors[i];
    return NULL;
}

/* Of each that has failed since the last look. */
static void tell(const struct cluster *cluster, const struct watched_connector *now, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct watched_connector *before = same(cluster, now[i].name);
        const char *of = name_of(cluster);
        char who[400];
        if (!has_failed(&now[i]) || (before && has_failed(before)))
            continue;
        snprintf(who, sizeof who, "%s%s%s", i < SHOWN_MAX ? now[i].name : "beyond the first 500",
                 *of ? " of cluster " : "", of);
        if (now[i].is[FAILED])
            log_warn("connector %s has failed: ods-sink connectors status says why", who);
        else
            log_warn("connector %s: %u of its %u tasks have failed: ods-sink connectors status "
                     "says why",
                     who, now[i].tasks[FAILED], sum_of(now[i].tasks));
    }
}

/* NULL with the error filled. */
static json_t *ask(const struct connector_watch *watch, const struct cluster *cluster,
                   struct error *error)
{
    struct connect *connect;
    json_t *answer = NULL;
    if (connect_open(&connect, cluster->settings, watch->stop, error) == ODS_OK)
        connect_ask(connect, "GET", "/connectors?expand=status", NULL, &answer, error);
    connect_close(connect);
    return answer;
}

/* A question without an answer leaves what the last one brought. */
static void look(struct connector_watch *watch, struct cluster *cluster)
{
    struct error error;
    size_t count = 0;
    error_init(&error);
    json_t *answer = ask(watch, cluster, &error);
    struct watched_connector *now = answer ? take_all(answer, &count) : NULL, *old = NULL;
    size_t old_count = cluster->count;
    json_decref(answer);
    if (answer && !now)
        error_out_of_memory(&error);
    if (now)
        tell(cluster, now, count);
    else if (!atomic_load(watch->stop) && rare_due(&cluster->away))
        log_warn("connectors: %s", error.text);
    pthread_mutex_lock(&watch->mutex);
    cluster->looked_at = (double) time_wall_us() / 1e6;
    cluster->reached = now != NULL;
    free(cluster->failure);
    cluster->failure = now ? NULL : strdup(error.text);
    if (now) {
        old = cluster->connectors;
        cluster->connectors = now;
        cluster->count = count;
        cluster->away = (struct rare){0};
    }
    pthread_mutex_unlock(&watch->mutex);
    free_connectors(old, old_count);
}

int64_t connector_watch_look(struct connector_watch *watch)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; watch && i < watch->count && !atomic_load(watch->stop); i++) {
        struct cluster *cluster = &watch->clusters[i];
        if (time_monotonic_us() >= cluster->next_us) {
            look(watch, cluster);
            cluster->next_us = time_monotonic_us() + cluster->settings->check_every_ms * 1000;
        }
        if (cluster->next_us < next_us)
            next_us = cluster->next_us;
    }
    return next_us;
}

/* --- /status --------------------------------------------------------------------------------- */

/* The one that asks for attention first. */
static enum part_state worst_of(const struct watched_connector *connector)
{
    for (enum part_state state = FAILED; state < STATES; state++)
        if (connector->is[state])
            return state;
    return RUNNING;
}

/* Of those that have no entry of their own. */
static const char *judge_many(const struct watched_connector *rest, char *says, size_t size)
{
    unsigned many = sum_of(rest->is), all = sum_of(rest->tasks);
    snprintf(says, size, "%u of %u run, with %u of %u tasks", rest->is[RUNNING], many,
             rest->tasks[RUNNING], all);
    if (has_failed(rest))
        return "bad";
    return rest->is[RUNNING] == many && rest->tasks[RUNNING] == all ? "good" : "warn";
}

/* "running, but 1 of 2 tasks failed", and how bad that is: good, warn or bad. */
static const char *judge(const struct watched_connector *connector, char *says, size_t size)
{
    const char *word = states[worst_of(connector)].word;
    unsigned all = sum_of(connector->tasks), failed = connector->tasks[FAILED];
    bool runs = connector->is[RUNNING];
    if (sum_of(connector->is) > 1)
        return judge_many(connector, says, size);
    snprintf(says, size, "%s", sum_of(connector->is) ? word : "in a state that is not known");
    if (connector->is[FAILED])
        return "bad";
    if (failed) {
        snprintf(says, size, "%s, %s %u of %u task%s failed", word, runs ? "but" : "and", failed,
                 all, all == 1 ? "" : "s");
        return "bad";
    }
    if (runs && connector->tasks[RUNNING] < all)
        snprintf(says, size, "running, but only %u of %u tasks", connector->tasks[RUNNING], all);
    else if (runs && !all)
        snprintf(says, size, "running without a task");
    return runs && all && connector->tasks[RUNNING] == all ? "good" : "warn";
}

static json_t *describe_connector(const struct watched_connector *connector)
{
    char says[100];
    const char *level = judge(connector, says, sizeof says);
    return json_pack("{s:o, s:s, s:s, s:s, s:i, s:i}", "name", text_of(connector->name), "state",
                     sum_of(connector->is) ? states[worst_of(connector)].word : "unknown",
                     "level", level, "says", says, "tasks", (int) sum_of(connector->tasks),
                     "tasks_failed", (int) connector->tasks[FAILED]);
}

json_t *connector_watch_describe(struct connector_watch *watch)
{
    json_t *list = json_array();
    if (!watch)
        return list;
    pthread_mutex_lock(&watch->mutex);
    for (size_t i = 0; i < watch->count; i++) {
        const struct cluster *cluster = &watch->clusters[i];
        json_t *connectors = json_array();
        for (size_t k = 0; k < cluster->count; k++)
            json_array_append_new(connectors, describe_connector(&cluster->connectors[k]));
        json_array_append_new(
            list, json_pack("{s:o, s:b, s:o, s:o, s:o}", "cluster", text_of(name_of(cluster)),
                            "reachable", cluster->reached, "failure",
                            cluster->failure ? text_of(cluster->failure) : json_null(),
                            "looked_at",
                            cluster->looked_at > 0 ? json_real(cluster->looked_at) : json_null(),
                            "connectors", connectors));
    }
    pthread_mutex_unlock(&watch->mutex);
    return list;
}

/* --- metrics --------------------------------------------------------------------------------- */

static void put_states(struct buffer *out, const struct cluster *cluster, bool tasks)
{
    for (size_t i = 0; i < cluster->count; i++)
        for (enum part_state state = 0; state < STATES; state++) {
            const struct watched_connector *connector = &cluster->connectors[i];
            const char *labels[] = {"cluster", name_of(cluster), "connector", connector->name,
                                    "state", states[state].word, NULL};
            if (tasks)
                metrics_put(out, "connector_tasks", labels, connector->tasks[state]);
            else
                metrics_put(out, "connector_state", labels, connector->is[state]);
        }
}

void connector_watch_metrics(struct connector_watch *watch, struct buffer *out)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    metrics_head(out, "connect_reachable", "gauge",
                 "Whether Kafka Connect answered when it was last asked");
    for (size_t i = 0; i < watch->count; i++) {
        const char *labels[] = {"cluster", name_of(&watch->clusters[i]), NULL};
        if (watch->clusters[i].looked_at > 0)
            metrics_put(out, "connect_reachable", labels, watch->clusters[i].reached);
    }
    metrics_head(out, "connector_state", "gauge",
                 "1 for the state that the connector is in, as Kafka Connect last told");
    for (size_t i = 0; i < watch->count; i++)
        put_states(out, &watch->clusters[i], false);
    metrics_head(out, "connector_tasks", "gauge",
                 "Tasks of the connector, by the state that they are in");
    for (size_t i = 0; i < watch->count; i++)
        put_states(out, &watch->clusters[i], true);
    pthread_mutex_unlock(&watch->mutex);
}

/* --- the whole ------------------------------------------------------------------------------- */

static void add_cluster(struct connector_watch *watch, const struct connect_settings *settings)
{
    if (*settings->url && settings->check_every_ms)
        watch->clusters[watch->count++].settings = settings;
}

enum ods_status connector_watch_new(struct connector_watch **out, const struct settings *settings,
                                    const atomic_bool *stop, struct error *error)
{
    struct connector_watch *watch = calloc(1, sizeof *watch);
    *out = NULL;
    if (watch)
        watch->clusters = calloc(settings->connect_cluster_count + 1, sizeof *watch->clusters);
    if (!watch || !watch->clusters) {
        free(watch);
        return error_out_of_memory(error);
    }
    watch->stop = stop;
    pthread_mutex_init(&watch->mutex, NULL);
    add_cluster(watch, &settings->connect);
    for (size_t i = 0; i < settings->connect_cluster_count; i++)
        add_cluster(watch, &settings->connect_clusters[i]);
    if (watch->count)
        *out = watch;
    else
        connector_watch_free(watch);
    return ODS_OK;
}

void connector_watch_free(struct connector_watch *watch)
{
    for (size_t i = 0; watch && i < watch->count; i++) {
        free_connectors(watch->clusters[i].connectors, watch->clusters[i].count);
        free(watch->clusters[i].failure);
    }
    if (!watch)
        return;
    free(watch->clusters);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}
