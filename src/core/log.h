/* The log: one line an event on standard error, as text or JSON. Text goes to systemd's journal
 * with its fields where standard error is that. The only mutable global.
 *
 * Only main.c, cli/ and pipeline/ log above debug. Thread-safe. Never pass secrets.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON, LOG_OTEL };

struct log_settings {
    enum log_level level;
    enum log_format format;
};

void log_configure(const struct log_settings *settings);

#define LOG_JOURNAL "/run/systemd/journal/socket"
/* Where systemd has connected standard error to the journal, text goes there by this socket from
 * now on, each field as one of the journal's. False: it has not, or the journal does not listen.
 * Before there are threads. */
bool log_open_journal(const char *socket);

bool log_enabled(enum log_level level);

/* Fields: NULL-terminated pairs of name and text, then the message is formatted.
 * log_event(LOG_WARN, (const char *[]) {"pipeline", name, "lane", "0", NULL}, "waiting: %s", …) */
void log_event(enum log_level level, const char *const *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next line of this thread ends with how many more there were, where `count` is not 0. For
 * core/rare.c. */
void log_repeats(uint64_t count);

#define log_error(...) log_event(LOG_ERROR, NULL, __VA_ARGS__)
#define log_warn(...)  log_event(LOG_WARN, NULL, __VA_ARGS__)
#define log_info(...)  log_event(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_event(LOG_DEBUG, NULL, __VA_ARGS__)

#endif
