/* Changes of a table of a lake as tables for people. See changes.h. */
#include <stdlib.h>
#include <string.h>

#include "cli/changes.h"
#include "cli/columns.h"

#define ROWS 500 /* a table has at most so many, since its widths are those of its rows */

static void head_of(struct changes_printer *printer, const json_t *row)
{
    struct buffer text, offsets;
    const char *time = json_string_value(json_object_get(row, "_commit_timestamp"));
    buffer_init(&text);
    buffer_init(&offsets);
    if (printer->last >= 0)
        buffer_puts(&text, "\n");
    buffer_printf(&text, "%sversion %lld%s", terminal_paint(printer->terminal, PAINT_HEAD),
                  (long long) printer->version, terminal_plain(printer->terminal, PAINT_HEAD));
    if (json_object_get(row, "_commit_snapshot"))
        buffer_printf(&text, "  snapshot %lld",
                      (long long) json_integer_value(json_object_get(row, "_commit_snapshot")));
    buffer_printf(&text, "  %s  ", time ? time : "-");
    fputs(buffer_text(&text), stdout);
    terminal_line(stdout, "%s", lake_offsets(json_object_get(row, "_commit_offsets"), &offsets));
    printer->failed |= text.failed || offsets.failed;
    buffer_done(&text);
    buffer_done(&offsets);
}

/* What the head says, and the first column. */
static bool is_shown(const char *name)
{
    static const char *const others[] = {"_change_type", "_commit_version", "_commit_timestamp",
                                         "_commit_offsets", "_commit_snapshot"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return true;
}

static void add(struct columns *table, const json_t *value)
{
    if (json_is_string(value)) {
        columns_add(table, json_string_value(value));
    } else if (json_is_null(value)) {
        columns_add(table, "∅");
        columns_paint(table, PAINT_DIM);
    } else if (json_is_integer(value) && json_integer_value(value) >= 0) {
        columns_number(table, json_integer_value(value));
    } else {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        columns_add(table, text ? text : "?");
        free(text);
    }
}

static void add_kind(struct columns *table, const char *kind)
{
    columns_add(table, kind);
    columns_paint(table, strcmp(kind, "insert") == 0             ? PAINT_GOOD
                         : strcmp(kind, "update_postimage") == 0 ? PAINT_WARN
                         : strcmp(kind, "delete") == 0           ? PAINT_BAD
                                                                 : PAINT_DIM);
}

/* Rows of one version: all have the same columns. */
static void print_table(struct changes_printer *printer, const char *const *names, size_t width)
{
    struct columns table;
    json_t *row;
    size_t i;
    columns_init(&table, printer->terminal, names, width);
    json_array_foreach(printer->rows, i, row) {
        const char *kind = json_string_value(json_object_get(row, "_change_type"));
        add_kind(&table, kind ? kind : "?");
        for (size_t column = 1; column < width; column++)
            add(&table, json_object_get(row, names[column]));
    }
    printer->failed |= !columns_print(&table);
    columns_done(&table);
}

static void print_rows(struct changes_printer *printer)
{
    const json_t *first = json_array_get(printer->rows, 0), *value;
    const char **names, *name;
    size_t width = 1;
    if (!first)
        return;
    names = calloc(json_object_size(first) + 1, sizeof *names);
    if (names) {
        names[0] = "change";
        json_object_foreach((json_t *) (uintptr_t) first, name, value)
            if (is_shown(name))
                names[width++] = name;
        if (printer->last != printer->version)
            head_of(printer, first);
        printer->last = printer->version;
        print_table(printer, names, width);
    }
    printer->failed |= !names;
    free(names);
    json_array_clear(printer->rows);
}

void changes_print(struct changes_printer *printer, const char *lines)
{
    for (const char *end; *lines && (end = strchr(lines, '\n')); lines = end + 1) {
        json_t *row = json_loadb(lines, (size_t) (end - lines), JSON_ALLOW_NUL, NULL);
        int64_t version = json_integer_value(json_object_get(row, "_commit_version"));
        if (version != printer->version || json_array_size(printer->rows) == ROWS)
            print_rows(printer);
        printer->version = version;
        if (!printer->rows)
            printer->rows = json_array();
        printer->failed |= json_array_append_new(printer->rows, row) != 0;
    }
}

bool changes_print_rest(struct changes_printer *printer)
{
    print_rows(printer);
    json_decref(printer->rows);
    printer->rows = NULL;
    return !printer->failed;
}
