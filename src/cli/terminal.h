/* What standard output and standard error are written for: width, colours, progress. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct terminal {
    FILE *out;     /* where tables go: standard output, or what is to come there */
    size_t width;  /* of standard output in characters; 0: it is not a terminal, nothing is cut */
    bool color;    /* on standard output */
    bool progress; /* standard error is a terminal */
};

/* `color`: always, never, or auto: on a terminal, unless NO_COLOR is set or TERM is dumb. */
void terminal_init(struct terminal *terminal, const char *color);

/* Standard output's size as it is now; false: it is no terminal. */
bool terminal_size(size_t *width, size_t *height);

enum paint { PAINT_NONE, PAINT_HEAD, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_DIM };

/* What begins and ends a paint on standard output; "" where there is no colour. */
const char *terminal_paint(const struct terminal *terminal, enum paint paint);
const char *terminal_plain(const struct terminal *terminal, enum paint paint);

/* Text for a terminal: characters that would move the cursor, change colours or turn the direction
 * of writing become visible (\n, \t, \x1b, \u202e), and so do bytes that are no UTF-8 (\xff). On
 * the heap; NULL: out of memory. */
char *terminal_visible(const char *text, size_t length);

/* A line of it, with what records, servers and files say. */
void terminal_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 2026-01-31T12:00:00Z of milliseconds since 1970; "-" below 0. */
const char *terminal_moment(int64_t ms, char *text, size_t size);

/* 512 bytes, 7.5 MB, 12 GB. */
const char *terminal_bytes(int64_t bytes, char *text, size_t size);

/* How many columns visible text takes: 2 for a wide character, 0 for one that combines. */
size_t terminal_columns(const char *text);

/* How many bytes of the text take no more columns than that. */
size_t terminal_cut(const char *text, size_t columns);

/* A line on standard error that is written over, five times a second at most; only on a
 * terminal. */
struct progress {
    const struct terminal *terminal;
    int64_t shown_us; /* monotonic, 0: never */
};

void progress_init(struct progress *progress, const struct terminal *terminal);
void progress_show(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void progress_done(struct progress *progress); /* takes the line away */

#endif
