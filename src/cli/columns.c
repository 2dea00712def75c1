/* Tables for people. One thread. */
#include "cli/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void columns_init(struct columns *columns, size_t width)
{
    *columns = (struct columns){.width = width};
}

void columns_done(struct columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        free(columns->cells[i]);
    free(columns->cells);
    *columns = (struct columns){0};
}

void columns_add(struct columns *columns, const char *text)
{
    if (columns->count == columns->capacity) {
        size_t larger = columns->capacity ? columns->capacity * 2 : 64;
        char **moved = realloc(columns->cells, larger * sizeof *moved);
        if (!moved) {
            columns->failed = true;
            return;
        }
        columns->cells = moved;
        columns->capacity = larger;
    }
    char *copy = strdup(text);
    if (!copy) {
        columns->failed = true;
        return;
    }
    for (char *at = copy; *at; at++)
        if ((unsigned char) *at < 0x20 || *at == 0x7f)
            *at = ' ';
    columns->cells[columns->count++] = copy;
}

void columns_number(struct columns *columns, int64_t number)
{
    char text[24] = "?";
    if (number >= 0)
        snprintf(text, sizeof text, "%lld", (long long) number);
    columns_add(columns, text);
}

void columns_head(struct columns *columns, const char *const *names)
{
    for (size_t i = 0; i < columns->width; i++)
        columns_add(columns, names[i]);
}

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char) *text & 0xc0) != 0x80;
    return count;
}

bool columns_print(const struct columns *columns)
{
    if (columns->failed)
        return false;
    for (size_t i = 0; i < columns->count; i++) {
        const char *cell = columns->cells[i];
        size_t column = i % columns->width, widest = 0;
        if (column + 1 == columns->width) {
            printf("%s\n", cell);
            continue;
        }
        for (size_t j = column; j < columns->count; j += columns->width) {
            size_t length = characters(columns->cells[j]);
            widest = length > widest ? length : widest;
        }
        printf("%s%*s", cell, (int) (widest - characters(cell) + 2), "");
    }
    return true;
}
