/* See status_fleet.h. */
#include "cli/status_fleet.h"

#include <stdio.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/json.h"

static void add_member(struct columns *table, const json_t *status, const json_t *fleet,
                       const json_t *member)
{
    char text[160];
    const char *level = text_in(member, "level");
    double now = json_number_value(json_object_get(status, "now"));
    double beat = json_number_value(json_object_get(member, "beat_at"));
    snprintf(text, sizeof text, "%.64s, process %lld%s", text_in(member, "host"),
             (long long) number_in(member, "process"),
             json_is_true(json_object_get(member, "self")) ? " (asked)" : "");
    columns_add(table, text);
    columns_add(table, text_in(fleet, "pipeline"));
    columns_add(table, text_in(member, "state"));
    columns_paint(table, strcmp(level, "bad") == 0    ? PAINT_BAD
                         : strcmp(level, "warn") == 0 ? PAINT_WARN
                                                      : PAINT_NONE);
    columns_number(table, number_in(member, "lanes"));
    columns_number(table, number_in(member, "partitions"));
    columns_number(table, number_in(member, "lag"));
    snprintf(text, sizeof text, "%.1f",
             json_number_value(json_object_get(member, "changes_per_second")));
    columns_add(table, text);
    columns_add(table, text_in(member, "version"));
    snprintf(text, sizeof text, "%.0f s ago", now > beat ? now - beat : 0);
    columns_add(table, text);
}

bool status_print_fleet(const struct terminal *terminal, const json_t *status)
{
    static const char *const names[] = {"PROCESS", "PIPELINE",  "STATE",   "LANES", "PARTS",
                                        "LAG",     "CHANGES/S", "VERSION", "SAID SO"};
    const json_t *list = json_object_get(status, "fleet"), *fleet, *member;
    struct columns table;
    bool others = false;
    size_t i, k;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, fleet)
        json_array_foreach(json_object_get(fleet, "members"), k, member)
    {
        add_member(&table, status, fleet, member);
        others |= !json_is_true(json_object_get(member, "self"));
    }
    if (others) /* of itself the lanes say more */
        putc('\n', terminal->out);
    bool good = !others || columns_print(&table);
    columns_done(&table);
    json_array_foreach(list, i, fleet) if (*text_in(fleet, "problem"))
        terminal_line(terminal->out, "processes of group %s are not known: %s",
                      text_in(fleet, "group"), text_in(fleet, "problem"));
    return good;
}
