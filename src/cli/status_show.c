/* See status_show.h. */
#include "cli/status_show.h"

#include <stdio.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/json.h"
#include "cli/status_fleet.h"
#include "cli/status_sources.h"
#include "cli/status_tables.h"
#include "core/time.h"

#define SHOWN 10 /* of what asks for attention */

static void add_reachable(struct columns *table, const json_t *lane, const char *name)
{
    bool yes = json_is_true(json_object_get(lane, name));
    columns_add(table, yes ? "yes" : "no");
    columns_paint(table, yes ? PAINT_NONE : PAINT_BAD);
}

/* The sum; -1 while one is not known. */
static int64_t lag_of(const json_t *lane)
{
    int64_t sum = 0;
    size_t i;
    json_t *partition;
    json_array_foreach(json_object_get(lane, "partitions"), i, partition)
    {
        int64_t lag = number_in(partition, "lag");
        if (lag < 0)
            return -1;
        sum += lag;
    }
    return sum;
}

static void add_seconds_ago(struct columns *table, const json_t *status, const char *name,
                            const json_t *lane)
{
    char text[32] = "never";
    const json_t *at = json_object_get(lane, name), *now = json_object_get(status, "now");
    if (json_is_real(at) && json_is_real(now))
        snprintf(text, sizeof text, "%.1f s ago", json_real_value(now) - json_real_value(at));
    columns_add(table, text);
}

/* Records that Kafka's retention has taken before they were applied, or takes within a day. */
static void print_retention(const struct terminal *terminal, const json_t *status)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(status, "retention"), i, one)
    {
        int64_t left = number_in(one, "retention_left_seconds"), lost = number_in(one, "lost");
        if (lost > 0)
            terminal_line(terminal->out,
                          "pipeline %s: topic %s partition %lld: Kafka's retention has taken %lld "
                          "offsets from %lld on, which were not applied",
                          text_in(one, "pipeline"), text_in(one, "topic"),
                          (long long) number_in(one, "partition"), (long long) lost,
                          (long long) number_in(one, "applied"));
        else if (left >= 0 && left < 86400)
            terminal_line(terminal->out,
                          "pipeline %s: topic %s partition %lld: Kafka's retention may take "
                          "records that wait in %lld min",
                          text_in(one, "pipeline"), text_in(one, "topic"),
                          (long long) number_in(one, "partition"), (long long) left / 60);
    }
}

static bool print_lanes(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"PIPELINE", "LANE",     "STATE",    "GROUP",
                                        "KAFKA",    "TARGET",   "PARTS",    "LAG",
                                        "RECORDS",  "REJECTED", "COMMITTED"};
    struct columns table;
    size_t i;
    json_t *lane;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
    {
        columns_add(&table, text_in(lane, "pipeline"));
        columns_number(&table, number_in(lane, "lane"));
        columns_add(&table, text_in(lane, "state"));
        enum paint paint = status_paint(text_in(lane, "level"));
        columns_paint(&table, paint == PAINT_GOOD ? PAINT_NONE : paint);
        columns_add(&table, json_is_true(json_object_get(lane, "joined")) ? "joined" : "joining");
        add_reachable(&table, lane, "kafka_reachable");
        add_reachable(&table, lane, "target_reachable");
        columns_number(&table, (int64_t) json_array_size(json_object_get(lane, "partitions")));
        columns_number(&table, lag_of(lane));
        columns_number(&table, number_in(lane, "records"));
        columns_number(&table, number_in(lane, "rejected"));
        add_seconds_ago(&table, status, "last_commit_at", lane);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
    {
        if (*text_in(lane, "last_error"))
            terminal_line(terminal->out, "last error of pipeline %s lane %lld: %s",
                          text_in(lane, "pipeline"), (long long) number_in(lane, "lane"),
                          text_in(lane, "last_error"));
    }
    print_retention(terminal, status);
    return good;
}

static bool print_partitions(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"TOPIC", "PARTITION", "STATE", "APPLIED", "END", "LAG"};
    struct columns table;
    size_t i, j;
    json_t *lane, *partition;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
        json_array_foreach(json_object_get(lane, "partitions"), j, partition)
    {
        columns_add(&table, text_in(partition, "topic"));
        columns_number(&table, number_in(partition, "partition"));
        columns_add(&table, text_in(partition, "state"));
        columns_number(&table, number_in(partition, "applied"));
        columns_number(&table, number_in(partition, "end"));
        columns_number(&table, number_in(partition, "lag"));
    }
    putc('\n', terminal->out);
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static void add_moment(struct columns *table, const json_t *object, const char *name)
{
    struct buffer text;
    double at = json_number_value(json_object_get(object, name));
    buffer_init(&text);
    time_format_timestamp(&text, (int64_t) at * 1000000, false);
    buffer_puts(&text, " UTC");
    columns_add(table, buffer_text(&text));
    buffer_done(&text);
}

/* What operators have paused, of the whole group. */
static bool print_paused(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"PAUSED", "PIPELINE", "TOPIC",   "STATE",
                                        "SINCE",  "BY",       "WAITING", "REASON"};
    const json_t *list = json_object_get(status, "paused");
    struct columns table;
    size_t i;
    json_t *order;
    if (!json_array_size(list))
        return true;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, order)
    {
        columns_add(&table, text_in(order, "table"));
        columns_paint(&table, PAINT_WARN);
        columns_add(&table, text_in(order, "pipeline"));
        columns_add(&table, text_in(order, "topic"));
        columns_add(&table, text_in(order, "state"));
        add_moment(&table, order, "since");
        columns_add(&table, text_in(order, "by"));
        columns_number(&table, number_in(order, "backlog"));
        columns_add(&table, text_in(order, "reason"));
    }
    putc('\n', terminal->out);
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

/* An object's level as a shape. */
static void print_level(const struct terminal *terminal, const json_t *object)
{
    enum paint paint = status_paint(text_in(object, "level"));
    const char *shape = paint == PAINT_GOOD ? "●" : paint == PAINT_WARN ? "▲" : "■";
    fputs(terminal_paint(terminal, paint), terminal->out);
    fprintf(terminal->out, "%s", shape);
    fputs(terminal_plain(terminal, paint), terminal->out);
}

/* A line for each pipeline: its state by a shape and by the daemon's words. */
static void print_pipelines(const struct terminal *terminal, const json_t *status)
{
    size_t i;
    json_t *pipeline;
    json_array_foreach(json_object_get(status, "pipelines"), i, pipeline)
    {
        print_level(terminal, pipeline);
        terminal_line(terminal->out, " %s: %s", text_in(pipeline, "pipeline"),
                      text_in(pipeline, "says"));
    }
}

/* What else asks for attention, the worst first, in the daemon's words. */
static void print_attention(const struct terminal *terminal, const json_t *status)
{
    const json_t *list = json_object_get(status, "attention");
    size_t count = json_array_size(list), shown = count > SHOWN ? SHOWN : count;
    for (size_t i = 0; i < shown; i++) {
        const json_t *one = json_array_get(list, i);
        print_level(terminal, one);
        terminal_line(terminal->out, " %s", text_in(one, "says"));
    }
    if (count > shown)
        terminal_line(terminal->out, "and %zu more: --json has all", count - shown);
}

bool status_show(const struct terminal *terminal, const struct status_view *view)
{
    const json_t *status = view->status;
    enum paint paint = view->ready ? PAINT_GOOD : PAINT_BAD;
    fprintf(terminal->out, "ods-sink %s at %s:%s is %s%s%s\n", text_in(status, "version"),
            view->host, view->port, terminal_paint(terminal, paint),
            view->ready ? "ready" : "not ready:", terminal_plain(terminal, paint));
    fprintf(terminal->out, "%s\n", view->ready ? "" : view->why);
    print_pipelines(terminal, status);
    print_attention(terminal, status);
    if (json_array_size(json_object_get(status, "pipelines")))
        putc('\n', terminal->out);
    return print_lanes(terminal, status) && status_print_fleet(terminal, status) &&
           print_paused(terminal, status) &&
           status_print_sources(terminal, status) && status_print_connectors(terminal, status) &&
           status_print_verify(terminal, status) && status_print_derived(terminal, status) &&
           (!view->tables || status_print_tables(terminal, status)) &&
           (!view->partitions || print_partitions(terminal, status));
}
