/* Tables for people. One thread. */
#include "cli/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_GAP 2
#define SMALL_GAP 1
#define SHORTEST  8 /* no text is cut to less than that */

void columns_init(struct columns *columns, const struct terminal *terminal,
                  const char *const *names, size_t width)
{
    *columns = (struct columns){.terminal = terminal, .width = width};
    for (size_t i = 0; i < width; i++) {
        columns_add(columns, names[i]);
        columns_paint(columns, PAINT_HEAD);
    }
}

void columns_done(struct columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        free(columns->cells[i].text);
    free(columns->cells);
    *columns = (struct columns){0};
}

void columns_add(struct columns *columns, const char *text)
{
    if (columns->count == columns->capacity) {
        size_t larger = columns->capacity ? columns->capacity * 2 : 64;
        struct cell *moved = realloc(columns->cells, larger * sizeof *moved);
        if (!moved) {
            columns->failed = true;
            return;
        }
        columns->cells = moved;
        columns->capacity = larger;
    }
    char *visible = terminal_visible(text, strlen(text));
    if (!visible) {
        columns->failed = true;
        return;
    }
    columns->cells[columns->count++] =
        (struct cell){.text = visible, .columns = terminal_columns(visible)};
}

void columns_number(struct columns *columns, int64_t number)
{
    char text[24] = "?";
    size_t count = columns->count;
    if (number >= 0)
        snprintf(text, sizeof text, "%lld", (long long) number);
    columns_add(columns, text);
    if (columns->count > count)
        columns->cells[count].number = true;
}

void columns_paint(struct columns *columns, enum paint paint)
{
    if (columns->count)
        columns->cells[columns->count - 1].paint = paint;
}

/* --- fitting -------------------------------------------------------------------------------- */

struct fitted {
    size_t width;
    bool number; /* right-aligned, as is its head */
};

static struct fitted measure(const struct columns *columns, size_t column)
{
    struct fitted fitted = {0};
    for (size_t i = column; i < columns->count; i += columns->width) {
        const struct cell *cell = &columns->cells[i];
        fitted.width = cell->columns > fitted.width ? cell->columns : fitted.width;
        fitted.number |= cell->number;
    }
    return fitted;
}

static size_t sum_of(const struct fitted *fitted, size_t count, size_t gap)
{
    size_t sum = (count - 1) * gap;
    for (size_t i = 0; i < count; i++)
        sum += fitted[i].width;
    return sum;
}

/* Whether a column of texts may be cut further. */
static bool is_wide(const struct columns *columns, const struct fitted *fitted, size_t column)
{
    size_t head = columns->cells[column].columns;
    return !fitted[column].number && fitted[column].width > (head > SHORTEST ? head : SHORTEST);
}

/* Take from the widest text, column by column; false when the rest can't be cut. */
static bool shrink(const struct columns *columns, struct fitted *fitted, size_t too_many)
{
    for (; too_many; too_many--) {
        size_t widest = columns->width;
        for (size_t i = 0; i < columns->width; i++)
            if (is_wide(columns, fitted, i) &&
                (widest == columns->width || fitted[i].width > fitted[widest].width))
                widest = i;
        if (widest == columns->width)
            return false;
        fitted[widest].width--;
    }
    return true;
}

/* The columns and the gap between them; false: it is to be blocks. */
static bool fit(const struct columns *columns, struct fitted *fitted, size_t *gap)
{
    size_t most = columns->terminal->width;
    *gap = USUAL_GAP;
    for (size_t i = 0; i < columns->width; i++)
        fitted[i] = measure(columns, i);
    if (!most || sum_of(fitted, columns->width, *gap) <= most)
        return true;
    *gap = SMALL_GAP;
    size_t sum = sum_of(fitted, columns->width, *gap);
    return sum <= most || shrink(columns, fitted, sum - most);
}

/* --- printing ------------------------------------------------------------------------------- */

static void put_spaces(const struct columns *columns, size_t count)
{
    fprintf(columns->terminal->out, "%*s", (int) count, "");
}

static void print_cell(const struct columns *columns, const struct cell *cell, size_t width,
                       bool right, bool last)
{
    bool cut = cell->columns > width;
    size_t bytes = cut ? terminal_cut(cell->text, width - 1) : strlen(cell->text);
    size_t taken = cell->columns;
    if (cut) {
        char kept[bytes + 1];
        memcpy(kept, cell->text, bytes);
        kept[bytes] = '\0';
        taken = terminal_columns(kept) + 1;
    }
    if (right)
        put_spaces(columns, width - taken);
    fprintf(columns->terminal->out, "%s%.*s%s%s", terminal_paint(columns->terminal, cell->paint),
            (int) bytes, cell->text, cut ? "…" : "",
            terminal_plain(columns->terminal, cell->paint));
    if (!right && !last)
        put_spaces(columns, width - taken);
}

static void print_table(const struct columns *columns, const struct fitted *fitted, size_t gap)
{
    for (size_t i = 0; i < columns->count; i++) {
        size_t column = i % columns->width;
        bool last = column + 1 == columns->width;
        print_cell(columns, &columns->cells[i], fitted[column].width, fitted[column].number, last);
        if (last)
            putc('\n', columns->terminal->out);
        else
            put_spaces(columns, gap);
    }
}

static void print_blocks(const struct columns *columns)
{
    size_t widest = 0;
    for (size_t i = 0; i < columns->width; i++)
        if (columns->cells[i].columns > widest)
            widest = columns->cells[i].columns;
    for (size_t i = columns->width; i < columns->count; i++) {
        size_t column = i % columns->width;
        if (column == 0 && i > columns->width)
            putc('\n', columns->terminal->out);
        print_cell(columns, &columns->cells[column], widest, false, false);
        put_spaces(columns, USUAL_GAP);
        print_cell(columns, &columns->cells[i], columns->cells[i].columns, false, true);
        putc('\n', columns->terminal->out);
    }
}

bool columns_print(const struct columns *columns)
{
    if (columns->failed)
        return false;
    struct fitted fitted[columns->width];
    size_t gap;
    if (fit(columns, fitted, &gap) || columns->count == columns->width)
        print_table(columns, fitted, gap);
    else
        print_blocks(columns);
    return true;
}
