/* What a table's versions come to: the report of its changes. See changes.h. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/changes.h"
#include "cli/columns.h"
#include "cli/json.h"

static int64_t figure(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void add_up(json_t *sums, const char *name, int64_t more)
{
    json_object_set_new(sums, name, json_integer(figure(sums, name) + more));
}

static json_t *summed(const char *path, const json_t *versions)
{
    static const char *const kinds[] = {"inserted", "updated", "deleted"};
    static const char *const files[] = {"files_added", "bytes_added", "files_removed",
                                        "bytes_removed"};
    json_t *sum = json_object(), *commits = json_object(), *rows = json_object();
    json_t *offsets = json_object(), *version;
    const json_t *first = json_array_get(versions, 0);
    const json_t *last = json_array_get(versions, json_array_size(versions) - 1);
    int64_t unknown = 0;
    size_t i;
    json_object_set_new(sum, "table", cli_json(path));
    json_object_set(sum, "from_version", json_object_get(first, "version"));
    json_object_set(sum, "to_version", json_object_get(last, "version"));
    json_object_set(sum, "from_ms", json_object_get(first, "time_ms"));
    json_object_set(sum, "to_ms", json_object_get(last, "time_ms"));
    for (size_t kind = 0; kind < 3; kind++)
        json_object_set_new(rows, kinds[kind], json_integer(0));
    json_array_foreach((json_t *) (uintptr_t) versions, i, version) {
        const char *operation = json_string_value(json_object_get(version, "operation"));
        const json_t *changed = json_object_get(version, "rows");
        add_up(commits, operation ? operation : "?", 1);
        unknown += json_is_null(changed);
        for (size_t kind = 0; kind < 3; kind++)
            add_up(rows, kinds[kind], figure(changed, kinds[kind]));
        for (size_t kind = 0; kind < 4; kind++)
            add_up(sum, files[kind], figure(version, files[kind]));
        json_object_update(offsets, json_object_get(version, "offsets"));
    }
    json_object_set_new(sum, "commits", commits);
    json_object_set_new(sum, "rows", rows);
    json_object_set_new(sum, "versions_without_figures", json_integer(unknown));
    json_object_set_new(sum, "offsets", offsets);
    return sum;
}

static void add_line(struct columns *table, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_line(struct columns *table, const char *name, const char *format, ...)
{
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    columns_add(table, name);
    columns_add(table, line);
}

static void add_commits(struct columns *table, const json_t *commits)
{
    struct buffer text;
    const char *operation;
    const json_t *count;
    buffer_init(&text);
    json_object_foreach((json_t *) (uintptr_t) commits, operation, count)
        buffer_printf(&text, "%s%lld %s", text.length ? ", " : "",
                      (long long) json_integer_value(count), operation);
    columns_add(table, "commits");
    columns_add(table, buffer_text(&text));
    buffer_done(&text);
}

static bool print_summary(const struct call *call, const json_t *sum)
{
    static const char *const names[] = {"of", "is"};
    const json_t *rows = json_object_get(sum, "rows"), *offset;
    int64_t more = figure(rows, "inserted"), less = figure(rows, "deleted");
    char first[64], last[64], plus[32], minus[32];
    const char *place;
    struct columns table;
    columns_init(&table, call->terminal, names, 2);
    add_line(&table, "table", "%s", json_string_value(json_object_get(sum, "table")));
    add_line(&table, "versions", "%lld to %lld", (long long) figure(sum, "from_version"),
             (long long) figure(sum, "to_version"));
    add_line(&table, "committed", "%s to %s",
             lake_moment(figure(sum, "from_ms"), first, sizeof first),
             lake_moment(figure(sum, "to_ms"), last, sizeof last));
    add_commits(&table, json_object_get(sum, "commits"));
    add_line(&table, "rows inserted", "%lld", (long long) more);
    add_line(&table, "rows updated", "%lld", (long long) figure(rows, "updated"));
    add_line(&table, "rows deleted", "%lld", (long long) less);
    add_line(&table, "rows in all", "%+lld", (long long) (more - less));
    if (figure(sum, "versions_without_figures"))
        add_line(&table, "not counted", "%lld versions, whose files are gone",
                 (long long) figure(sum, "versions_without_figures"));
    add_line(&table, "files", "+%lld −%lld", (long long) figure(sum, "files_added"),
             (long long) figure(sum, "files_removed"));
    add_line(&table, "size", "+%s −%s",
             terminal_bytes(figure(sum, "bytes_added"), plus, sizeof plus),
             terminal_bytes(figure(sum, "bytes_removed"), minus, sizeof minus));
    json_object_foreach(json_object_get(sum, "offsets"), place, offset)
        add_line(&table, "offset", "%s → %lld", place, (long long) json_integer_value(offset));
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

bool changes_summary(const struct call *call, const char *path, const json_t *versions,
                     bool as_json)
{
    if (!json_array_size(versions) && !as_json) {
        puts("no version since then");
        return true;
    }
    json_t *sum = summed(path, versions);
    bool good = sum && (as_json || print_summary(call, sum));
    if (as_json)
        cli_print_json(sum);
    else
        json_decref(sum);
    return good;
}
