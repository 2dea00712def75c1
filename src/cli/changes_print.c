/* Changes of a table of a lake as tables for people. See changes.h. */
#include <string.h>

#include "cli/changes.h"
#include "cli/columns.h"

#define ROWS 500 /* a table has at most so many, since its widths are those of its rows */
#define WIDTH 1024

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
    buffer_printf(&text, "  %s  ", time ? time : "-");
    fputs(buffer_text(&text), stdout);
    terminal_line(stdout, "%s", lake_offsets(json_object_get(row, "_commit_offsets"), &offsets));
    printer->failed |= text.failed || offsets.failed;
    buffer_done(&text);
    buffer_done(&offsets);
}

static bool is_shown(const char *name)
{
    return strncmp(name, "_commit_", 8) != 0;
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

static void print_rows(struct changes_printer *printer)
{
    const char *names[WIDTH] = {"change"}, *name;
    const json_t *first = json_array_get(printer->rows, 0), *value;
    size_t width = 1, i;
    struct columns table;
    json_t *row;
    if (!first)
        return;
    json_object_foreach((json_t *) (uintptr_t) first, name, value)
        if (is_shown(name) && strcmp(name, "_change_type") != 0 && width < WIDTH)
            names[width++] = name;
    if (printer->last != printer->version)
        head_of(printer, first);
    printer->last = printer->version;
    columns_init(&table, printer->terminal, names, width);
    json_array_foreach(printer->rows, i, row) {
        const char *kind = json_string_value(json_object_get(row, "_change_type"));
        add_kind(&table, kind ? kind : "?");
        for (size_t column = 1; column < width; column++)
            add(&table, json_object_get(row, names[column]));
    }
    printer->failed |= !columns_print(&table);
    columns_done(&table);
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
