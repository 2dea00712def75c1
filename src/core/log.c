/* One line an event on standard error, as text or JSON. A line is written by one write(2), so lines
 * of several threads never mix. Levels and format may change while running (reload). */
#include "core/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ods/buffer.h>
#include "core/utf8.h"

static atomic_int current_level = LOG_INFO;
static atomic_int current_format = LOG_TEXT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_configure(const struct log_settings *settings)
{
    current_level = settings->level;
    current_format = settings->format;
}

bool log_enabled(enum log_level level)
{
    return (int) level <= current_level;
}

static void put_json(struct buffer *line, const char *text)
{
    size_t length = strlen(text), count;
    buffer_puts(line, "\"");
    for (; length; text += count, length -= count) {
        const unsigned char first = (unsigned char) *text;
        bool good;
        count = utf8_next(text, length, &good);
        if (first == '"' || first == '\\')
            buffer_printf(line, "\\%c", first);
        else if (first < 0x20)
            buffer_printf(line, "\\u%04x", first);
        else
            buffer_add(line, good ? text : UTF8_REPLACEMENT, good ? count : 3);
    }
    buffer_puts(line, "\"");
}

/* A control character in quoted data must not break the line or the terminal. */
static void put_text(struct buffer *line, const char *text)
{
    size_t length = strlen(text), count;
    for (; length; text += count, length -= count) {
        const unsigned char first = (unsigned char) *text;
        bool good;
        count = utf8_next(text, length, &good);
        if (first < 0x20 || first == 0x7f)
            buffer_puts(line, " ");
        else
            buffer_add(line, good ? text : UTF8_REPLACEMENT, good ? count : 3);
    }
}

static void put_time(struct buffer *line)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    buffer_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

static void format_text(struct buffer *line, enum log_level level, const char *const *fields,
                        const char *message)
{
    put_time(line);
    buffer_printf(line, " %-5s ", level_names[level]);
    put_text(line, message);
    for (; fields && fields[0] && fields[1]; fields += 2) {
        buffer_printf(line, " %s=", fields[0]);
        put_text(line, fields[1]);
    }
}

static void format_json(struct buffer *line, enum log_level level, const char *const *fields,
                        const char *message)
{
    buffer_puts(line, "{\"time\":\"");
    put_time(line);
    buffer_printf(line, "\",\"level\":\"%s\",\"message\":", level_names[level]);
    put_json(line, message);
    for (; fields && fields[0] && fields[1]; fields += 2) {
        buffer_printf(line, ",\"%s\":", fields[0]);
        put_json(line, fields[1]);
    }
    buffer_puts(line, "}");
}

void log_event(enum log_level level, const char *const *fields, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    struct buffer message, line;
    buffer_init(&message);
    buffer_init(&line);
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && buffer_grow(&message, (size_t) length + 1)) {
        vsnprintf(message.bytes, (size_t) length + 1, format, again);
        message.length = (size_t) length;
    }
    va_end(again);
    (current_format == LOG_JSON ? format_json : format_text)(&line, level, fields,
                                                             buffer_text(&message));
    buffer_puts(&line, "\n");
    /* A failed write to standard error can't be reported anywhere. */
    ssize_t written = write(STDERR_FILENO, line.bytes, line.length);
    (void) written;
    buffer_done(&line);
    buffer_done(&message);
}
