/* What inspectors show: metrics and /status. */
#include <string.h>

#include "pipeline/inspector_room.h"
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"

static const char *member(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

/* --- results in the target -------------------------------------------------------------------- */

static double broken(const json_t *row)
{
    return strcmp(member(row, "state"), "fail") == 0;
}

static double unknown(const json_t *row)
{
    return strcmp(member(row, "state"), "unknown") == 0;
}

static double measured(const json_t *row)
{
    return json_number_value(json_object_get(row, "measured"));
}

static double seconds(const json_t *row)
{
    return json_number_value(json_object_get(row, "seconds"));
}

static const struct {
    const char *name, *help;
    double (*value)(const json_t *row);
} shown[] = {
    {"quality_broken", "1: the rule did not hold when it was last checked", broken},
    {"quality_unknown", "1: it could not be told whether the rule holds", unknown},
    {"quality_measured", "Rows that break the rule, or what else it measures", measured},
    {"quality_check_seconds", "How long the rule's last check took", seconds},
};

/* A rule that tables.yaml no longer has is not shown; results of records on their way are counters
 * of their own. */
static bool is_shown(const struct inspector *inspector, const json_t *row)
{
    const struct pipeline_settings *pipeline = inspector->pipeline;
    const char *table = member(row, "table"), *dot = strrchr(table, '.');
    char schema[256] = "";
    const struct quality_rule *rule;
    size_t at = 0;
    if (json_is_true(json_object_get(row, "in_flight")) ||
        strcmp(member(row, "pipeline"), pipeline->name) != 0)
        return false;
    if (dot && (size_t) (dot - table) < sizeof schema)
        memcpy(schema, table, (size_t) (dot - table));
    const char *name = dot ? dot + 1 : table;
    const struct table_settings *entry = pipeline_table(pipeline, schema, name);
    while ((rule = quality_rule_next(pipeline, schema, name, entry, &at)))
        if (strcmp(rule->name, member(row, "rule")) == 0)
            return true;
    return false;
}

static void put_results(struct inspector *const *inspectors, size_t count, struct buffer *out)
{
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
        metrics_head(out, shown[k].name, "gauge", shown[k].help);
        for (size_t i = 0; i < count; i++) {
            struct inspector *inspector = inspectors[i];
            size_t number;
            json_t *row;
            pthread_mutex_lock(&inspector->mutex);
            json_array_foreach(inspector->last, number, row)
            {
                const char *labels[] = {"pipeline", inspector->pipeline->name, "table",
                                        member(row, "table"), "rule", member(row, "rule"), NULL};
                if (is_shown(inspector, row))
                    metrics_put(out, shown[k].name, labels, shown[k].value(row));
            }
            pthread_mutex_unlock(&inspector->mutex);
        }
    }
}

/* --- records on their way --------------------------------------------------------------------- */

static double looked_at(const struct quality_count *count)
{
    return (double) atomic_load(&count->looked_at);
}

static double broke(const struct quality_count *count)
{
    return (double) atomic_load(&count->broken);
}

static double cost(const struct quality_count *count)
{
    uint64_t timed = atomic_load(&count->timed);
    return timed ? (double) atomic_load(&count->timed_ns) / (double) timed / 1e9 : 0;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct quality_count *count);
} counted[] = {
    {"quality_flight_changes_total", "counter", "Changes that the rule looked at on their way",
     looked_at},
    {"quality_flight_broken_total", "counter", "Changes that broke the rule on their way", broke},
    {"quality_flight_seconds", "gauge", "What the rule costs a change on its way", cost},
};

static void put_counts(struct inspector *const *inspectors, size_t count, struct buffer *out)
{
    for (size_t k = 0; k < sizeof counted / sizeof *counted; k++) {
        metrics_head(out, counted[k].name, counted[k].type, counted[k].help);
        for (size_t i = 0; i < count; i++)
            for (struct quality_count *one = quality_counts_first(inspectors[i]->counts); one;
                 one = one->next) {
                const char *labels[] = {"pipeline", inspectors[i]->pipeline->name, "table",
                                        one->table, "rule", one->rule->name, NULL};
                metrics_put(out, counted[k].name, labels, counted[k].value(one));
            }
    }
}

/* --- runs ------------------------------------------------------------------------------------- */

enum moment { RUNNING, FAILED, LAST_RUN };

static void put_moments(struct inspector *const *inspectors, size_t count, struct buffer *out)
{
    static const struct {
        const char *name, *help;
    } moments[] = {
        {"quality_running", "Whether this process checks rules now"},
        {"quality_failed", "Whether the last run was broken off; it is tried again"},
        {"quality_last_run_timestamp_seconds", "When rules were checked last"}};
    for (size_t k = 0; k < sizeof moments / sizeof *moments; k++) {
        metrics_head(out, moments[k].name, "gauge", moments[k].help);
        for (size_t i = 0; i < count; i++) {
            struct inspector *inspector = inspectors[i];
            const char *labels[] = {"pipeline", inspector->pipeline->name, NULL};
            pthread_mutex_lock(&inspector->mutex);
            double value = k == RUNNING  ? inspector->running
                           : k == FAILED ? *inspector->failure != '\0'
                                         : (double) inspector->newest_us / 1e6;
            pthread_mutex_unlock(&inspector->mutex);
            if (inspector->runs_thread && (k != LAST_RUN || value > 0))
                metrics_put(out, moments[k].name, labels, value);
        }
    }
}

void inspectors_metrics(struct inspector *const *inspectors, size_t count, struct buffer *out)
{
    if (!count)
        return;
    put_moments(inspectors, count, out);
    put_results(inspectors, count, out);
    put_counts(inspectors, count, out);
}

/* Rules that changes broke on their way since the process started. */
static json_t *describe_flight(const struct inspector *inspector)
{
    json_t *list = json_array();
    for (struct quality_count *one = quality_counts_first(inspector->counts); one; one = one->next)
        if (atomic_load(&one->broken))
            json_array_append_new(
                list, json_pack("{s:o, s:s, s:s, s:I, s:I}", "table", text_of(one->table), "rule",
                                one->rule->name, "on_fail", quality_on_fails[one->rule->on_fail],
                                "changes", (json_int_t) atomic_load(&one->looked_at), "broken",
                                (json_int_t) atomic_load(&one->broken)));
    return list;
}

static json_t *moment(int64_t at_us)
{
    return at_us ? json_real((double) at_us / 1e6) : json_null();
}

static json_t *describe(struct inspector *inspector)
{
    static const char *const kept[] = {"table",    "rule", "state", "measured",
                                       "expected", "why",  "at"};
    json_t *list = json_array(), *row;
    json_int_t counts[3] = {0};
    size_t i;
    json_array_foreach(inspector->last, i, row)
    {
        if (!is_shown(inspector, row))
            continue;
        for (int state = 0; state < 3; state++)
            counts[state] +=
                strcmp(member(row, "state"), quality_state_name((enum quality_state) state)) == 0;
        if (strcmp(member(row, "state"), "pass") == 0)
            continue;
        json_t *one = json_object();
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            json_object_set(one, kept[k], json_object_get(row, kept[k]));
        json_array_append_new(list, one);
    }
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:{s:I, s:I, s:I}, s:o, s:o}", "pipeline",
                     inspector->pipeline->name, "running", (int) inspector->running, "problem",
                     *inspector->failure ? text_of(inspector->failure) : json_null(), "checked_at",
                     moment(inspector->newest_us), "next_at", moment(inspector->next_us),
                     "counts", "pass", counts[QUALITY_PASSES], "fail", counts[QUALITY_FAILS],
                     "unknown", counts[QUALITY_UNKNOWN], "broken", list, "flight",
                     describe_flight(inspector));
}

json_t *inspectors_describe(struct inspector *const *inspectors, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&inspectors[i]->mutex);
        json_array_append_new(list, describe(inspectors[i]));
        pthread_mutex_unlock(&inspectors[i]->mutex);
    }
    return list;
}
