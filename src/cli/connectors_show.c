/* Connectors in tables, in sentences and as JSON. */
#include "cli/connectors.h"

#include <string.h>

#include "cli/columns.h"
#include "cli/connector_cause.h"
#include "cli/connector_check.h"
#include "cli/json.h"
#include "source/kafka/kafka_admin.h"

/* The part of a class's name that says something. */
static const char *short_class(const json_t *config)
{
    const char *class = json_text(config, "connector.class");
    const char *dot = strrchr(class, '.');
    return dot ? dot + 1 : class;
}

/* "2 running, 1 failed" */
static void add_tasks(struct columns *table, const json_t *status)
{
    static const char *const states[] = {"RUNNING", "FAILED", "PAUSED", "UNASSIGNED", "RESTARTING"};
    static const char *const words[] = {"running", "failed", "paused", "unassigned", "restarting"};
    char text[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        size_t at, count = 0;
        json_t *task;
        json_array_foreach(json_object_get(status, "tasks"), at, task)
            count += strcmp(json_text(task, "state"), states[i]) == 0;
        if (count)
            length += (size_t) snprintf(text + length, sizeof text - length, "%s%zu %s",
                                        length ? ", " : "", count, words[i]);
    }
    columns_add(table, length ? text : "none");
}

/* --- failures ------------------------------------------------------------------------------- */

static json_t *failure_json(const char *trace)
{
    struct buffer line;
    buffer_init(&line);
    connector_cause(trace, &line);
    const struct known_cause *known = connector_known_cause(trace);
    json_t *failure = json_pack("{s:s%,s:s?,s:s?}", "cause", buffer_text(&line), line.length,
                                "meaning", known ? known->meaning : NULL, "advice",
                                known ? known->advice : NULL);
    buffer_done(&line);
    return failure;
}

static void print_failure(const char *who, const json_t *part)
{
    const char *trace = json_text(part, "trace");
    struct buffer line;
    if (strcmp(json_text(part, "state"), "FAILED") != 0)
        return;
    buffer_init(&line);
    connector_cause(trace, &line);
    const struct known_cause *known = connector_known_cause(trace);
    terminal_line(stdout, "%s on %s failed: %s", who, json_text(part, "worker_id"),
           line.length ? buffer_text(&line) : "Connect gives no reason");
    if (known)
        printf("  %s\n  %s\n", known->meaning, known->advice);
    buffer_done(&line);
}

void connectors_print_failures(const json_t *status)
{
    char who[512];
    size_t i;
    json_t *task;
    snprintf(who, sizeof who, "%s", json_text(status, "name"));
    print_failure(who, json_object_get(status, "connector"));
    json_array_foreach(json_object_get(status, "tasks"), i, task)
    {
        snprintf(who, sizeof who, "%s task %lld", json_text(status, "name"),
                 (long long) json_integer_value(json_object_get(task, "id")));
        print_failure(who, task);
    }
}

void connectors_cause(const char *name, enum connector_state state, const json_t *status,
                      struct error *error)
{
    const char *trace = connector_trace(status);
    struct buffer line;
    buffer_init(&line);
    connector_cause(trace, &line);
    const struct known_cause *known = *trace ? connector_known_cause(trace) : NULL;
    error_set(error, ODS_REJECT, "connector %s is %s%s%s%s%s%s%s", name,
              connector_state_name(state), line.length ? ": " : "",
              line.length ? buffer_text(&line) : "", known ? "; " : "", known ? known->meaning : "",
              known ? " " : "", known ? known->advice : "");
    buffer_done(&line);
}

/* --- troubles ------------------------------------------------------------------------------- */

static void print_trouble(void *context, const struct trouble *trouble)
{
    terminal_line(stdout, "  %-5s  %s%s%s%s: %s; %s", weight_name(trouble->weight),
                  trouble->property, *trouble->value ? " = " : " is not set", trouble->value,
                  *trouble->value && trouble->is_default ? ", by default" : "", trouble->what,
                  trouble->advice);
}

struct counter {
    size_t count;
};

static void count_trouble(void *context, const struct trouble *trouble)
{
    ((struct counter *) context)->count++;
}

void connectors_print_troubles(const char *name, const json_t *config)
{
    struct counter counter = {0};
    connector_check(config, count_trouble, &counter);
    if (!counter.count)
        return;
    printf("%s: in its configuration\n", name);
    connector_check(config, print_trouble, NULL);
}

static void add_trouble(void *context, const struct trouble *trouble)
{
    json_array_append_new(
        context, json_pack("{s:s,s:s,s:s,s:b,s:s,s:s}", "weight", weight_name(trouble->weight),
                           "property", trouble->property, "value", trouble->value, "default",
                           trouble->is_default, "what", trouble->what, "advice", trouble->advice));
}

/* --- schema history ------------------------------------------------------------------------- */

/* What a topic that must keep all its records is like. *what gets what is wrong; "": nothing is, or
 * it can't be told. */
static void look_at_history(struct kafka_admin *admin, const char *topic, char *what, size_t size)
{
    static const struct {
        const char *name, *good;
    } wanted[] = {{"cleanup.policy", "delete"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}};
    char value[64];
    struct error error;
    size_t length = 0;
    *what = '\0';
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        error_init(&error);
        if (kafka_admin_setting(admin, topic, wanted[i].name, value, sizeof value, &error) !=
                ODS_OK ||
            !*value || strcmp(value, wanted[i].good) == 0)
            continue;
        length += (size_t) snprintf(what + length, size - length, "%s%s=%s", length ? ", " : "",
                                    wanted[i].name, value);
    }
}

static void check_history(const struct connectors *connectors, const json_t *config,
                          void (*tell)(void *context, const struct trouble *trouble), void *context)
{
    const char *topic = json_text(config, "schema.history.internal.kafka.topic");
    char what[256];
    struct error error;
    struct kafka_admin *admin = NULL;
    error_init(&error);
    if (!*topic || !connectors->settings ||
        kafka_admin_open(&admin, connectors->settings, connectors->settings->kafka.group_id,
                         &error) != ODS_OK)
        return;
    look_at_history(admin, topic, what, sizeof what);
    kafka_admin_close(admin);
    const struct trouble trouble = {
        .weight = WEIGHT_RISK,
        .property = "schema.history.internal.kafka.topic",
        .value = topic,
        .what = "the topic does not keep its records for ever, without which the connector can't "
                "start again",
        .advice = what};
    if (*what)
        tell(context, &trouble);
}

/* --- list and status ------------------------------------------------------------------------ */

static json_t *connector_json(const json_t *status, const json_t *config)
{
    json_t *one = json_pack("{s:s,s:s,s:s,s:s}", "name", json_text(status, "name"), "type",
                            json_text(status, "type"), "state",
                            connector_state_name(connector_state(status)), "worker",
                            json_text(json_object_get(status, "connector"), "worker_id"));
    if (config)
        json_object_set_new(one, "class", json_string(json_text(config, "connector.class")));
    json_t *tasks = json_array(), *task;
    size_t i;
    const char *own = json_text(json_object_get(status, "connector"), "trace");
    if (*own)
        json_object_set_new(one, "failure", failure_json(own));
    json_array_foreach(json_object_get(status, "tasks"), i, task)
    {
        json_t *shown = json_pack("{s:O,s:s,s:s}", "id", json_object_get(task, "id"), "state",
                                  json_text(task, "state"), "worker",
                                  json_text(task, "worker_id"));
        const char *trace = json_text(task, "trace");
        if (*trace)
            json_object_set_new(shown, "failure", failure_json(trace));
        json_array_append_new(tasks, shown);
    }
    json_object_set_new(one, "tasks", tasks);
    return one;
}

void connectors_print_json(const json_t *status, json_t *changes)
{
    json_t *one = connector_json(status, NULL);
    if (changes)
        json_object_set(one, "changes", changes);
    cli_print_json_line(one);
}

static bool is_wanted(const struct connectors *connectors, const char *name)
{
    const struct strings *names = &connectors->options->names;
    return !names->count || strings_contain(names, name);
}

/* `all` is a list: each connector as Connect answers it, with the name of its cluster. */
static bool print_table(const struct connectors *connectors, json_t *all)
{
    static const char *const heads[] = {"CLUSTER", "CONNECTOR", "TYPE", "CLASS", "STATE", "TASKS"};
    struct columns table;
    json_t *one;
    size_t i, skipped = connectors->cluster_count == 1;
    columns_init(&table, connectors->call->terminal, heads + skipped,
                 sizeof heads / sizeof *heads - skipped);
    json_array_foreach(all, i, one)
    {
        const json_t *status = json_object_get(one, "status");
        const char *name = json_text(status, "name");
        if (!is_wanted(connectors, name))
            continue;
        if (!skipped)
            columns_add(&table, json_text(one, "cluster"));
        columns_add(&table, name);
        columns_add(&table, json_text(status, "type"));
        columns_add(&table, short_class(json_object_get(json_object_get(one, "info"), "config")));
        enum connector_state state = connector_state(status);
        columns_add(&table, connector_state_name(state));
        columns_paint(&table, state == CONNECTOR_RUNNING  ? PAINT_GOOD
                              : state == CONNECTOR_FAILED ? PAINT_BAD
                                                          : PAINT_WARN);
        add_tasks(&table, status);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static void print_details(const struct connectors *connectors, json_t *all)
{
    json_t *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        const json_t *config = json_object_get(json_object_get(one, "info"), "config");
        const char *name = json_text(json_object_get(one, "status"), "name");
        if (!is_wanted(connectors, name))
            continue;
        connectors_print_failures(json_object_get(one, "status"));
        connectors_print_troubles(name, config);
        check_history(connectors, config, print_trouble, NULL);
    }
}

static void print_all_json(const struct connectors *connectors, json_t *all)
{
    json_t *array = json_array(), *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        const json_t *config = json_object_get(json_object_get(one, "info"), "config");
        if (!is_wanted(connectors, json_text(json_object_get(one, "status"), "name")))
            continue;
        json_t *shown = connector_json(json_object_get(one, "status"), config);
        if (connectors->cluster_count > 1)
            json_object_set(shown, "cluster", json_object_get(one, "cluster"));
        if (connectors->options->detailed) {
            json_t *troubles = json_array();
            connector_check(config, add_trouble, troubles);
            check_history(connectors, config, add_trouble, troubles);
            json_object_set_new(shown, "troubles", troubles);
        }
        json_array_append_new(array, shown);
    }
    cli_print_json(array);
}

static bool is_there(json_t *all, const char *name)
{
    json_t *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        if (strcmp(json_text(json_object_get(one, "status"), "name"), name) == 0)
            return true;
    }
    return false;
}

/* status answers no as soon as one does not run; so does a name that there is not. */
static int verdict(const struct connectors *connectors, json_t *all)
{
    const struct strings *names = &connectors->options->names;
    int code = CLI_OK;
    json_t *one;
    size_t i;
    for (i = 0; i < names->count; i++)
        if (!is_there(all, names->items[i])) {
            terminal_line(stderr, "ods-sink %s: there is no connector %s", connectors->call->name,
                          names->items[i]);
            code = CLI_NEGATIVE;
        }
    json_array_foreach(all, i, one)
    {
        const json_t *status = json_object_get(one, "status");
        if (is_wanted(connectors, json_text(status, "name")) && connectors->options->detailed &&
            connector_state(status) != CONNECTOR_RUNNING)
            code = CLI_NEGATIVE;
    }
    return code;
}

/* What a cluster has, into the list. */
static enum ods_status read_cluster(struct connectors *connectors,
                                    const struct connect_settings *cluster, json_t *all,
                                    struct error *error)
{
    json_t *found = NULL, *one;
    const char *name;
    enum ods_status status = ODS_OK;
    if (connectors->cluster_count > 1)
        status = connectors_ask(connectors, cluster, error);
    if (status == ODS_OK)
        status = connect_ask(connectors->connect, "GET", "/connectors?expand=status&expand=info",
                             NULL, &found, error);
    json_object_foreach(found, name, one)
    {
        json_object_set_new(one, "cluster", json_string(connectors_cluster_name(cluster)));
        json_array_append(all, one);
    }
    json_decref(found);
    return status;
}

int connectors_show(struct connectors *connectors)
{
    json_t *all = json_array();
    struct error error;
    bool failed = false;
    for (size_t i = 0; i < connectors->cluster_count; i++) {
        error_init(&error);
        if (read_cluster(connectors, connectors->clusters[i], all, &error) == ODS_OK)
            continue;
        terminal_line(stderr, "ods-sink %s: %s", connectors->call->name, error.text);
        failed = true;
    }
    if (failed && connectors->cluster_count == 1) {
        json_decref(all);
        return CLI_SOURCE;
    }
    int code = verdict(connectors, all);
    if (failed)
        code = CLI_SOURCE;
    if (connectors->options->json) {
        print_all_json(connectors, all);
    } else if (!print_table(connectors, all)) {
        code = CLI_INTERNAL;
    } else if (connectors->options->detailed) {
        print_details(connectors, all);
    }
    json_decref(all);
    return code;
}
