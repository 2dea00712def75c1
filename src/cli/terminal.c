/* Widths are by a short table of what is wide or combines: good enough for columns, and independent
 * of the locale, which a program in a container seldom has. */
#include "cli/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <ods/buffer.h>
#include "core/time.h"
#include "core/utf8.h"

#define PROGRESS_US     200000
#define USUAL_WIDTH     80
#define USUAL_HEIGHT    24
#define NARROWEST_WIDTH 20

static size_t width_of(int fd)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width <= 0)
        return USUAL_WIDTH;
    return width < NARROWEST_WIDTH ? NARROWEST_WIDTH : (size_t) width;
}

bool terminal_size(size_t *width, size_t *height)
{
    struct winsize size;
    *width = width_of(STDOUT_FILENO);
    *height = USUAL_HEIGHT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        *height = size.ws_row;
    return isatty(STDOUT_FILENO);
}

static bool takes_color(void)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(none && *none) && term && *term && strcmp(term, "dumb") != 0;
}

void terminal_init(struct terminal *terminal, const char *color)
{
    bool is_terminal = isatty(STDOUT_FILENO);
    *terminal = (struct terminal){
        .out = stdout,
        .width = is_terminal ? width_of(STDOUT_FILENO) : 0,
        .progress = isatty(STDERR_FILENO),
        .color = strcmp(color, "always") == 0 ||
                 (strcmp(color, "auto") == 0 && is_terminal && takes_color()),
    };
}

const char *terminal_paint(const struct terminal *terminal, enum paint paint)
{
    static const char *const codes[] = {[PAINT_NONE] = "",          [PAINT_HEAD] = "\033[1m",
                                        [PAINT_GOOD] = "\033[32m",  [PAINT_WARN] = "\033[33m",
                                        [PAINT_BAD] = "\033[1;31m", [PAINT_DIM] = "\033[2m"};
    return terminal->color ? codes[paint] : "";
}

const char *terminal_plain(const struct terminal *terminal, enum paint paint)
{
    return terminal->color && paint != PAINT_NONE ? "\033[0m" : "";
}

/* --- characters ----------------------------------------------------------------------------- */

struct range {
    uint32_t first, last;
};

/* Unicode 15: East Asian Wide and Fullwidth, and emoji that are drawn wide. */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26aa, 0x26ab},   {0x26bd, 0x26be},
    {0x2705, 0x2705},   {0x270a, 0x270b},   {0x274c, 0x274c},   {0x2753, 0x2755},
    {0x2795, 0x2797},   {0x2b1b, 0x2b1c},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
    {0x3400, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
    {0xffe0, 0xffe6},   {0x17000, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f18e, 0x1f18e},
    {0x1f191, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c},
    {0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3e0, 0x1f3f0}, {0x1f3f8, 0x1f43e},
    {0x1f440, 0x1f440}, {0x1f442, 0x1f4fc}, {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f567},
    {0x1f595, 0x1f596}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5}, {0x1f6d0, 0x1f6df},
    {0x1f7e0, 0x1f7eb}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

/* What takes no column: marks that combine, joiners, selectors of a variant. */
static const struct range combining[] = {
    {0x0300, 0x036f},   {0x0483, 0x0489},   {0x0591, 0x05bd},  {0x0610, 0x061a},
    {0x064b, 0x065f},   {0x0670, 0x0670},   {0x06d6, 0x06dc},  {0x06df, 0x06e4},
    {0x0900, 0x0902},   {0x093c, 0x093c},   {0x0941, 0x0948},  {0x094d, 0x094d},
    {0x0e31, 0x0e31},   {0x0e34, 0x0e3a},   {0x0e47, 0x0e4e},  {0x1160, 0x11ff},
    {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff},   {0x200b, 0x200d},  {0x20d0, 0x20ff},
    {0x302a, 0x302d},   {0x3099, 0x309a},   {0xfe00, 0xfe0f},  {0xfe20, 0xfe2f},
    {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef},
};

/* What turns or hides writing, or ends a line for some terminals. */
static const struct range unsafe[] = {
    {0x80, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},   {0x200e, 0x200f}, {0x2028, 0x202e},
    {0x2060, 0x2069}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};

#define IN(ranges, point) in_ranges((ranges), sizeof(ranges) / sizeof *(ranges), (point))

static bool in_ranges(const struct range *ranges, size_t count, uint32_t point)
{
    for (size_t i = 0; i < count && point >= ranges[i].first; i++)
        if (point <= ranges[i].last)
            return true;
    return false;
}

/* The code point of a whole character of `bytes` bytes. */
static uint32_t point_of(const char *at, size_t bytes)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = (unsigned char) at[0] & masks[bytes];
    for (size_t i = 1; i < bytes; i++)
        point = point << 6 | ((unsigned char) at[i] & 0x3f);
    return point;
}

/* The visible form, shorter than 16 bytes. */
static size_t escape(char *out, uint32_t point)
{
    if (point == '\n' || point == '\t' || point == '\r')
        return (size_t) sprintf(out, "\\%c", point == '\n' ? 'n' : point == '\t' ? 't' : 'r');
    return (size_t) sprintf(out, point < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned) point);
}

char *terminal_visible(const char *text, size_t length)
{
    /* An escape is at most six bytes for one: \u202e has three of its own. */
    char *out = calloc(length + 3, 6), *at = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < length;) {
        bool good;
        size_t bytes = utf8_next(text + i, length - i, &good);
        uint32_t point = good ? point_of(text + i, bytes) : 0;
        if (good && point >= 0x20 && point != 0x7f && !IN(unsafe, point)) {
            memcpy(at, text + i, bytes);
            at += bytes;
        } else if (good) {
            at += escape(at, point);
        } else {
            for (size_t k = 0; k < bytes; k++)
                at += escape(at, (unsigned char) text[i + k]);
        }
        i += bytes;
    }
    *at = '\0';
    return out;
}

void terminal_line(FILE *out, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    char *visible = length < 0 ? NULL : terminal_visible(text, (size_t) length);
    fprintf(out, "%s\n", visible ? visible : "out of memory");
    free(visible);
    if (length >= 0)
        free(text);
}

static size_t columns_of(uint32_t point)
{
    return point < 0x300 ? 1 : IN(combining, point) ? 0 : IN(wide, point) ? 2 : 1;
}

size_t terminal_columns(const char *text)
{
    size_t length = strlen(text), columns = 0;
    for (size_t i = 0; i < length;) {
        bool good;
        size_t bytes = utf8_next(text + i, length - i, &good);
        columns += good ? columns_of(point_of(text + i, bytes)) : bytes;
        i += bytes;
    }
    return columns;
}

size_t terminal_cut(const char *text, size_t columns)
{
    size_t length = strlen(text), taken = 0, i = 0;
    while (i < length) {
        bool good;
        size_t bytes = utf8_next(text + i, length - i, &good);
        taken += good ? columns_of(point_of(text + i, bytes)) : bytes;
        if (taken > columns)
            break;
        i += bytes;
    }
    return i;
}

/* --- progress ------------------------------------------------------------------------------- */

void progress_init(struct progress *progress, const struct terminal *terminal)
{
    *progress = (struct progress){.terminal = terminal};
}

void progress_show(struct progress *progress, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int64_t now_us = time_monotonic_us();
    if (!progress->terminal->progress ||
        (progress->shown_us && now_us - progress->shown_us < PROGRESS_US))
        return;
    progress->shown_us = now_us;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    char *shown = terminal_visible(line, strlen(line));
    if (shown)
        fprintf(stderr, "\r\033[K%.*s", (int) terminal_cut(shown, width_of(STDERR_FILENO) - 1),
                shown);
    free(shown);
}

void progress_done(struct progress *progress)
{
    if (progress->shown_us)
        fputs("\r\033[K", stderr);
    progress->shown_us = 0;
}

const char *terminal_moment(int64_t ms, char *text, size_t size)
{
    struct buffer out;
    if (ms < 0)
        return "-";
    buffer_init(&out);
    time_format_timestamp(&out, ms / 1000 * 1000000, false);
    snprintf(text, size, "%sZ", buffer_text(&out));
    buffer_done(&out);
    char *blank = strchr(text, ' ');
    if (blank)
        *blank = 'T';
    return text;
}

const char *terminal_bytes(int64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double) bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    snprintf(text, size, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}
