/* One line an event on standard error, as text or JSON. A line is written by one write(2), so lines
 * of several threads never mix. Levels and format may change while running (reload). */
#include "core/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <ods/buffer.h>
#include "core/utf8.h"

static atomic_int current_level = LOG_INFO;
static atomic_int current_format = LOG_TEXT;
static _Thread_local uint64_t repeats; /* that the thread's next line has to tell of */
static int journal = -1; /* a socket; -1: standard error is a stream of lines */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* What others call the levels. */
static const struct {
    const char *otel;
    int otel_number, syslog;
} levels[] = {{"ERROR", 17, 3}, {"WARN", 13, 4}, {"INFO", 9, 6}, {"DEBUG", 5, 7}};

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

/* By the names of OpenTelemetry's data model for logs. */
static void format_otel(struct buffer *line, enum log_level level, const char *const *fields,
                        const char *message)
{
    buffer_puts(line, "{\"Timestamp\":\"");
    put_time(line);
    buffer_printf(line,
                  "\",\"SeverityText\":\"%s\",\"SeverityNumber\":%d,\"Body\":", levels[level].otel,
                  levels[level].otel_number);
    put_json(line, message);
    const char *trace = NULL, *comma = "";
    buffer_puts(line, ",\"Attributes\":{");
    for (size_t i = 0; fields && fields[i] && fields[i + 1]; i += 2) {
        if (strcmp(fields[i], "trace_id") == 0) {
            trace = fields[i + 1];
            continue;
        }
        buffer_printf(line, "%s\"ods_sink.%s\":", comma, fields[i]);
        put_json(line, fields[i + 1]);
        comma = ",";
    }
    buffer_puts(line, "}");
    if (trace) {
        buffer_puts(line, ",\"TraceId\":");
        put_json(line, trace);
    }
    buffer_printf(line,
                  ",\"Resource\":{\"service.name\":\"ods-sink\",\"service.version\":\"%s\"}}",
                  ODS_VERSION);
}

/* --- the journal ---------------------------------------------------------------------------- */

/* systemd.exec(5): the device and inode of the stream that it has made standard error. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

bool log_open_journal(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (journal >= 0 || !stderr_is_journal() || strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *) &address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    journal = fd;
    return journal >= 0;
}

/* False: it has to be a line. */
static bool send_to_journal(enum log_level level, const char *const *fields, const char *message)
{
    struct buffer entry;
    buffer_init(&entry);
    buffer_printf(&entry,
                  "PRIORITY=%d\nSYSLOG_IDENTIFIER=ods-sink\nMESSAGE=", levels[level].syslog);
    put_text(&entry, message);
    buffer_puts(&entry, "\n");
    for (; fields && fields[0] && fields[1]; fields += 2) {
        buffer_puts(&entry, "ODS_");
        for (const char *letter = fields[0]; *letter; letter++)
            buffer_printf(&entry, "%c", toupper((unsigned char) *letter));
        buffer_puts(&entry, "=");
        put_text(&entry, fields[1]);
        buffer_puts(&entry, "\n");
    }
    bool sent = !entry.failed &&
                send(journal, entry.bytes, entry.length, MSG_NOSIGNAL) == (ssize_t) entry.length;
    buffer_done(&entry);
    return sent;
}

static void write_line(enum log_level level, const char *const *fields, const char *message)
{
    struct buffer line;
    int format = current_format;
    buffer_init(&line);
    (format == LOG_JSON   ? format_json
     : format == LOG_OTEL ? format_otel
                          : format_text)(&line, level, fields, message);
    buffer_puts(&line, "\n");
    /* A failed write to standard error can't be reported anywhere. */
    ssize_t written = write(STDERR_FILENO, line.bytes, line.length);
    (void) written;
    buffer_done(&line);
}

void log_repeats(uint64_t count)
{
    repeats = count;
}

/* What stands at the end of the thread's next line. */
static uint64_t take_repeats(void)
{
    uint64_t count = repeats;
    repeats = 0;
    return count;
}

void log_event(enum log_level level, const char *const *fields, const char *format, ...)
{
    uint64_t more = take_repeats();
    if (!log_enabled(level))
        return;
    struct buffer message;
    buffer_init(&message);
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
    if (more)
        buffer_printf(&message, " (%llu more like it since the last line)",
                      (unsigned long long) more);
    if (journal < 0 || current_format != LOG_TEXT ||
        !send_to_journal(level, fields, buffer_text(&message)))
        write_line(level, fields, buffer_text(&message));
    buffer_done(&message);
}
