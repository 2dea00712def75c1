/* See status_sources.h. */
#include "cli/status_sources.h"

#include <stdio.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/json.h"

/* Of more connectors than this those that run well are only counted. */
#define CONNECTORS_SHOWN 20

enum paint status_paint(const char *level)
{
    return strcmp(level, "good") == 0   ? PAINT_GOOD
           : strcmp(level, "warn") == 0 ? PAINT_WARN
           : strcmp(level, "bad") == 0  ? PAINT_BAD
                                        : PAINT_NONE;
}

static void add_bytes(struct columns *table, const json_t *object, const char *name)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double bytes = (double) number_in(object, name);
    size_t unit = 0;
    char text[32];
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    snprintf(text, sizeof text, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    columns_add(table, bytes < 0 ? "?" : text);
}

void status_add_duration(struct columns *table, double seconds)
{
    char text[32] = "-";
    if (seconds >= 2 * 86400)
        snprintf(text, sizeof text, "%.1f d", seconds / 86400);
    else if (seconds >= 2 * 3600)
        snprintf(text, sizeof text, "%.1f h", seconds / 3600);
    else if (seconds >= 120)
        snprintf(text, sizeof text, "%.0f min", seconds / 60);
    else if (seconds >= 0)
        snprintf(text, sizeof text, "%.0f s", seconds);
    columns_add(table, text);
}

void status_add_ago(struct columns *table, const json_t *status, const json_t *at)
{
    double now = json_number_value(json_object_get(status, "now"));
    double ago = now - json_number_value(at);
    status_add_duration(table, !json_is_number(at) ? -1 : ago < 0 ? 0 : ago);
}

/* --- logs ------------------------------------------------------------------------------------ */

static enum paint paint_of_state(const char *state)
{
    return strcmp(state, "ok") == 0                                      ? PAINT_GOOD
           : strcmp(state, "lost") == 0 || strcmp(state, "away") == 0 ? PAINT_BAD
                                                                      : PAINT_WARN;
}

static void add_source(struct columns *table, const json_t *source, const json_t *log)
{
    const char *state = json_is_true(json_object_get(source, "reachable"))
                            ? text_in(log, "state")
                            : "away";
    const char *place = text_in(json_object_get(log, "connector"), "file");
    columns_add(table, text_in(source, "database"));
    columns_add(table, text_in(source, "pipeline"));
    columns_add(table, *text_in(log, "slot") ? text_in(log, "slot") : *place ? place : "-");
    columns_add(table, state);
    columns_paint(table, paint_of_state(state));
    add_bytes(table, log, "retained_bytes");
    add_bytes(table, log, "unread_bytes");
    status_add_duration(table, (double) number_in(log, "left_seconds"));
}

static void print_why(const struct terminal *terminal, const json_t *source, const json_t *log)
{
    if (!json_is_true(json_object_get(source, "reachable")) && *text_in(source, "failure"))
        terminal_line(terminal->out, "%s: %s", text_in(source, "database"),
                      text_in(source, "failure"));
    else if (*text_in(log, "why"))
        terminal_line(terminal->out, "%s: %s", text_in(source, "database"), text_in(log, "why"));
}

bool status_print_sources(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"SOURCE", "PIPELINE", "LOG", "STATE", "KEPT", "UNREAD",
                                        "LEFT"};
    const json_t *list = json_object_get(status, "sources"), *source, *log;
    struct columns table;
    size_t i, k;
    if (!json_array_size(list))
        return true;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, source)
    {
        const json_t *logs = json_object_get(source, "logs");
        json_array_foreach(logs, k, log) add_source(&table, source, log);
        if (!json_array_size(logs) && json_is_number(json_object_get(source, "looked_at")))
            add_source(&table, source, NULL);
    }
    putc('\n', terminal->out);
    bool good = columns_print(&table);
    columns_done(&table);
    json_array_foreach(list, i, source)
    {
        const json_t *logs = json_object_get(source, "logs");
        json_array_foreach(logs, k, log) print_why(terminal, source, log);
        if (!json_array_size(logs))
            print_why(terminal, source, NULL);
    }
    return good;
}

/* --- connectors ------------------------------------------------------------------------------ */

static void add_connector(struct columns *table, const json_t *status, const json_t *cluster,
                          const json_t *connector)
{
    bool away = !json_is_true(json_object_get(cluster, "reachable"));
    const char *name = text_in(cluster, "cluster");
    columns_add(table, connector ? text_in(connector, "name") : "-");
    columns_add(table, *name ? name : "-");
    columns_add(table, connector ? text_in(connector, "says") : "-");
    columns_paint(table, connector ? status_paint(text_in(connector, "level")) : PAINT_NONE);
    columns_add(table, away ? "no answer" : "answers");
    columns_paint(table, away ? PAINT_BAD : PAINT_GOOD);
    status_add_ago(table, status, json_object_get(cluster, "looked_at"));
}

static size_t connectors_of(const json_t *list)
{
    const json_t *cluster;
    size_t i, sum = 0;
    json_array_foreach(list, i, cluster) sum +=
        json_array_size(json_object_get(cluster, "connectors"));
    return sum;
}

/* Of many only those are shown that ask for attention. How many others there are. */
static size_t add_connectors(struct columns *table, const json_t *status, size_t *rows)
{
    const json_t *list = json_object_get(status, "connect"), *cluster, *connector;
    bool many = connectors_of(list) > CONNECTORS_SHOWN;
    size_t i, k, others = 0;
    json_array_foreach(list, i, cluster)
    {
        const json_t *connectors = json_object_get(cluster, "connectors");
        bool none = !json_array_size(connectors) && *text_in(cluster, "failure");
        json_array_foreach(connectors, k, connector)
        {
            bool left = many && json_is_true(json_object_get(cluster, "reachable")) &&
                        strcmp(text_in(connector, "level"), "good") == 0;
            others += left;
            *rows += !left;
            if (!left)
                add_connector(table, status, cluster, connector);
        }
        *rows += none;
        if (none)
            add_connector(table, status, cluster, NULL);
    }
    return others;
}

bool status_print_connectors(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"CONNECTOR", "CLUSTER", "STATE", "CONNECT", "ASKED AGO"};
    const json_t *cluster;
    struct columns table;
    size_t i, rows = 0;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    size_t others = add_connectors(&table, status, &rows);
    if (rows || others)
        putc('\n', terminal->out);
    bool good = !rows || columns_print(&table);
    columns_done(&table);
    if (others)
        terminal_line(terminal->out, "%zu %sconnector%s", others, rows ? "other " : "",
                      others == 1 ? " runs" : "s run");
    json_array_foreach(json_object_get(status, "connect"), i, cluster)
    {
        if (*text_in(cluster, "failure"))
            terminal_line(terminal->out, "connectors: %s", text_in(cluster, "failure"));
    }
    return good;
}

/* --- comparisons ----------------------------------------------------------------------------- */

static void add_result(struct columns *table, const json_t *verify)
{
    const char *result = text_in(json_object_get(verify, "last"), "result");
    columns_add(table, *result ? result : "-");
    columns_paint(table, strcmp(result, "equal") == 0     ? PAINT_GOOD
                         : strcmp(result, "differs") == 0 ? PAINT_BAD
                         : *result                        ? PAINT_WARN
                                                          : PAINT_NONE);
}

static void add_verify(struct columns *table, const json_t *status, const json_t *verify)
{
    const json_t *last = json_object_get(verify, "last");
    columns_add(table, text_in(verify, "pipeline"));
    add_result(table, verify);
    status_add_ago(table, status, json_object_get(last, "ended_at"));
    columns_number(table, (int64_t) json_array_size(json_object_get(last, "tables")));
    columns_number(table, json_is_object(last) ? number_in(last, "source_rows") : 0);
    columns_number(table, json_is_object(last) ? number_in(last, "missing") : 0);
    columns_number(table, json_is_object(last) ? number_in(last, "extra") : 0);
    columns_number(table, json_is_object(last) ? number_in(last, "changed") : 0);
    columns_add(table, *text_in(verify, "failure")                         ? "broken off"
                       : json_is_true(json_object_get(verify, "running")) ? "here"
                       : *text_in(verify, "worker")                        ? "elsewhere"
                                                                           : "-");
}

static void print_tables(const struct terminal *terminal, const json_t *verify)
{
    const json_t *table;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(verify, "last"), "tables"), i, table)
    {
        if (strcmp(text_in(table, "result"), "equal") == 0)
            continue;
        if (strcmp(text_in(table, "result"), "differs") == 0)
            terminal_line(terminal->out, "%s: %lld missing, %lld extra, %lld changed",
                          text_in(table, "table"), (long long) number_in(table, "missing"),
                          (long long) number_in(table, "extra"),
                          (long long) number_in(table, "changed"));
        else
            terminal_line(terminal->out, "%s: %s: %s", text_in(table, "table"),
                          text_in(table, "result"), text_in(table, "why"));
    }
    if (*text_in(verify, "failure"))
        terminal_line(terminal->out, "verify of pipeline %s was broken off: %s",
                      text_in(verify, "pipeline"), text_in(verify, "failure"));
}

bool status_print_verify(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"VERIFY",  "RESULT", "AGO",     "TABLES", "ROWS",
                                        "MISSING", "EXTRA",  "CHANGED", "RUNNING"};
    const json_t *list = json_object_get(status, "verify"), *verify;
    struct columns table;
    size_t i;
    if (!json_array_size(list))
        return true;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, verify) add_verify(&table, status, verify);
    putc('\n', terminal->out);
    bool good = columns_print(&table);
    columns_done(&table);
    json_array_foreach(list, i, verify) print_tables(terminal, verify);
    return good;
}

/* --- derived tables --------------------------------------------------------------------------- */

static void add_derived(struct columns *table, const json_t *status, const json_t *derived)
{
    const char *state = text_in(derived, "state");
    int64_t errors = number_in(derived, "errors");
    char says[128];
    if (errors > 0)
        snprintf(says, sizeof says, "%s, but %lld key%s fail%s", state, (long long) errors,
                 errors == 1 ? "" : "s", errors == 1 ? "s" : "");
    else
        snprintf(says, sizeof says, "%s", state);
    columns_add(table, text_in(derived, "table"));
    columns_add(table, says);
    columns_paint(table, errors > 0                      ? PAINT_WARN
                         : strcmp(state, "keeps") == 0   ? PAINT_GOOD
                         : strcmp(state, "stopped") == 0 ? PAINT_BAD
                                                         : PAINT_WARN);
    status_add_ago(table, status, json_object_get(derived, "fresh_at"));
    columns_number(table, number_in(derived, "rows_made") + number_in(derived, "rows_changed") +
                              number_in(derived, "rows_removed"));
    columns_number(table, number_in(derived, "waiting"));
    columns_number(table, number_in(derived, "errors"));
}

bool status_print_derived(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"DERIVED", "STATE", "FRESH AGO", "ROWS", "WAITING",
                                        "ERRORS"};
    const json_t *list = json_object_get(status, "derived"), *derived;
    struct columns table;
    size_t i;
    if (!json_array_size(list))
        return true;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, derived) add_derived(&table, status, derived);
    putc('\n', terminal->out);
    bool good = columns_print(&table);
    columns_done(&table);
    json_array_foreach(list, i, derived) if (*text_in(derived, "problem"))
        terminal_line(terminal->out, "%s: %s", text_in(derived, "table"),
                      text_in(derived, "problem"));
    return good;
}
