/* What the last runs of rules found. See quality.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/quality.h"
#include "quality/store.h"
#include "verify/verify.h"

bool quality_is_kept(const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    return quality_any(pipeline, false) && target && strcmp(target->type, "postgres") == 0;
}

bool quality_is_of_lake(const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    return quality_any(pipeline, false) && target && verify_is_lake(target->type);
}

static const struct quality_rule *find(const struct quality_rule *rules, size_t count,
                                       const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

const struct quality_rule *quality_rule_named(const struct pipeline_settings *pipeline,
                                              const char *name)
{
    const struct quality_rule *rule =
        find(pipeline->quality.rules, pipeline->quality.rule_count, name);
    if (!rule)
        rule = find(pipeline->defaults.quality, pipeline->defaults.quality_count, name);
    for (size_t i = 0; !rule && i < pipeline->table_count; i++)
        rule = find(pipeline->tables[i].quality, pipeline->tables[i].quality_count, name);
    return rule;
}

const char *quality_cost(const json_t *row, char *text, size_t size)
{
    double seconds = json_number_value(json_object_get(row, "seconds"));
    double rows = json_number_value(json_object_get(row, "rows"));
    if (json_is_true(json_object_get(row, "in_flight")))
        snprintf(text, size, "%.2f µs an event", rows > 0 ? seconds * 1e6 / rows : 0.0);
    else if (seconds < 1)
        snprintf(text, size, "%.0f ms", seconds * 1e3);
    else
        snprintf(text, size, "%.1f s", seconds);
    return text;
}

const char *quality_measured(const json_t *row, char *text, size_t size)
{
    const json_t *measured = json_object_get(row, "measured");
    const char *check = json_string_value(json_object_get(row, "check"));
    bool flies = json_is_true(json_object_get(row, "in_flight"));
    const char *unit = !check                             ? ""
                       : flies                            ? " changes"
                       : strcmp(check, "freshness") == 0 ? " s"
                       : strcmp(check, "lag") == 0       ? " records"
                                                         : " rows";
    double number = json_number_value(measured);
    if (json_is_number(measured) && number == 1 && strlen(unit) > 2)
        snprintf(text, size, "1%.*s", (int) strlen(unit) - 1, unit);
    else if (json_is_number(measured))
        snprintf(text, size, "%.0f%s", number, unit);
    else
        snprintf(text, size, "–");
    return text;
}

/* --- put together ----------------------------------------------------------------------------- */

static const char *member(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static bool same_rule(const json_t *one, const json_t *other)
{
    static const char *const names[] = {"pipeline", "rule", "table", "target"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(member(one, names[i]), member(other, names[i])) != 0)
            return false;
    return json_is_true(json_object_get(one, "in_flight")) ==
           json_is_true(json_object_get(other, "in_flight"));
}

/* The newest run comes first: the rule's head is made of it, and older ones go before it. */
static void add_run(json_t *rules, json_t *row)
{
    static const char *const kept[] = {"at", "state", "measured", "rows", "seconds"};
    json_t *head = json_array_get(rules, json_array_size(rules) - 1), *run = json_object();
    if (!json_array_size(rules) || !same_rule(head, row)) {
        head = json_copy(row);
        json_object_set_new(head, "runs", json_array());
        json_array_append_new(rules, head);
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        json_object_set(run, kept[i], json_object_get(row, kept[i]));
    json_array_insert_new(json_object_get(head, "runs"), 0, run);
}

static bool is_wanted(const struct quality_arguments *arguments, const json_t *row)
{
    const char *table = member(row, "table"), *target = member(row, "target");
    const char *dot = strrchr(table, '.'), *target_dot = strrchr(target, '.');
    for (size_t i = 0; i < arguments->tables.count; i++) {
        const char *name = arguments->tables.items[i];
        if (strcmp(name, table) == 0 || strcmp(name, target) == 0 ||
            (dot && strcmp(name, dot + 1) == 0) ||
            (target_dot && strcmp(name, target_dot + 1) == 0))
            return true;
    }
    return !arguments->tables.count;
}

static int add_pipeline(const struct settings *settings, const struct pipeline_settings *pipeline,
                        const struct quality_arguments *arguments, json_t *rules,
                        struct error *error)
{
    struct quality_store *store = NULL;
    json_t *list = NULL, *row;
    size_t i;
    enum ods_status status = quality_store_open(&store, settings, pipeline, error);
    if (status == ODS_OK)
        status = quality_store_read(store, arguments->runs, &list, error);
    json_array_foreach(list, i, row)
    {
        const char *name = member(row, "rule");
        bool wanted = strcmp(member(row, "pipeline"), pipeline->name) == 0 &&
                      quality_rule_named(pipeline, name) && is_wanted(arguments, row) &&
                      (!arguments->rule || strcmp(arguments->rule, name) == 0);
        if (wanted)
            add_run(rules, row);
    }
    json_decref(list);
    quality_store_close(store);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static json_t *finish(json_t *rules)
{
    char now[64] = "";
    time_t clock = time(NULL);
    struct tm utc;
    json_int_t counts[3] = {0}; /* of a quality_state */
    size_t i;
    json_t *rule;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    json_array_foreach(rules, i, rule)
        for (int state = 0; state < 3; state++)
            counts[state] +=
                strcmp(member(rule, "state"), quality_state_name((enum quality_state) state)) == 0;
    const char *verdict = counts[QUALITY_FAILS]              ? "fail"
                          : counts[QUALITY_UNKNOWN] ? "unknown"
                          : counts[QUALITY_PASSES]  ? "pass"
                                                    : "none";
    return json_pack("{s:s, s:s, s:{s:I, s:I, s:I}, s:o}", "generated_at", now, "verdict", verdict,
                     "counts", "pass", counts[QUALITY_PASSES], "fail", counts[QUALITY_FAILS],
                     "unknown", counts[QUALITY_UNKNOWN], "rules", rules);
}

int quality_report(const struct settings *settings, const struct quality_arguments *arguments,
                   json_t **report, struct error *error)
{
    json_t *rules = json_array();
    int code = CLI_OK;
    *report = NULL;
    for (size_t i = 0; code == CLI_OK && i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        if (quality_is_kept(settings, pipeline) &&
            (!arguments->pipeline || strcmp(arguments->pipeline, pipeline->name) == 0))
            code = add_pipeline(settings, pipeline, arguments, rules, error);
    }
    if (code != CLI_OK) {
        json_decref(rules);
        return code;
    }
    *report = finish(rules);
    return CLI_OK;
}
