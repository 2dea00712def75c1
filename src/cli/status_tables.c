/* See status_tables.h. */
#include "cli/status_tables.h"

#include <stdio.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/json.h"
#include "cli/status_sources.h"

/* The order that holds its topic; NULL: none does. */
static const json_t *order_of(const json_t *status, const json_t *table)
{
    size_t i;
    json_t *order;
    json_array_foreach(json_object_get(status, "paused"), i, order)
        if (strcmp(text_in(order, "pipeline"), text_in(table, "pipeline")) == 0 &&
            strcmp(text_in(order, "topic"), text_in(table, "topic")) == 0)
            return order;
    return NULL;
}

static void add_state(struct columns *columns, const json_t *status, const json_t *table)
{
    char text[320];
    const json_t *order = order_of(status, table);
    const char *state = text_in(table, "state");
    int64_t rows = number_in(table, "snapshot_rows");
    bool well = strcmp(state, "caught up") == 0 || strcmp(state, "keeps up") == 0 ||
                strcmp(state, "elsewhere") == 0;
    if (order)
        snprintf(text, sizeof text, "%s by %s", text_in(order, "state"), text_in(order, "by"));
    else if (rows > 0)
        snprintf(text, sizeof text, "snapshot: %lld rows", (long long) rows);
    else
        snprintf(text, sizeof text, "%s", state);
    columns_add(columns, text);
    columns_paint(columns, order || rows > 0 || !well ? PAINT_WARN : PAINT_NONE);
}

static void add_rate(struct columns *columns, const json_t *table)
{
    char text[32] = "?";
    const json_t *rate = json_object_get(table, "changes_per_second");
    if (json_is_number(rate))
        snprintf(text, sizeof text, "%.1f", json_number_value(rate));
    columns_add(columns, text);
}

bool status_print_tables(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"TABLE",     "PIPELINE", "STATE", "LAG",
                                        "CHANGES/S", "LEFT",     "COMPLETE TO"};
    const json_t *list = json_object_get(status, "tables");
    struct columns columns;
    size_t i;
    json_t *table;
    columns_init(&columns, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, table)
    {
        const json_t *left = json_object_get(table, "seconds_left");
        const char *name = text_in(table, *text_in(table, "table") ? "table" : "topic");
        columns_add(&columns, name);
        columns_add(&columns, text_in(table, "pipeline"));
        add_state(&columns, status, table);
        columns_number(&columns, number_in(table, "lag_records"));
        add_rate(&columns, table);
        status_add_duration(&columns, json_is_number(left) ? json_number_value(left) : -1);
        status_add_ago(&columns, status, json_object_get(table, "complete_to"));
    }
    putc('\n', terminal->out);
    bool good = columns_print(&columns);
    columns_done(&columns);
    int64_t more = number_in(status, "tables_total") - (int64_t) json_array_size(list);
    if (more > 0)
        terminal_line(terminal->out, "%lld more: ods-sink topics", (long long) more);
    return good;
}
