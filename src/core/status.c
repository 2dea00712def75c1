/* Statuses and errors, which a step returns to its caller. Thread-safe, no state. */
#include <ods/status.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

void error_init(struct error *error)
{
    if (!error)
        return;
    memset(error, 0, offsetof(struct error, text));
    error->index = ERROR_NO_INDEX;
    error->text[0] = '\0';
}

/* Makes one line of a text of several lines, so that it stays readable in a log and in a header. */
static void flatten(char *text)
{
    for (char *at = text; *at; at++)
        if (*at == '\n' || *at == '\r' || *at == '\t')
            *at = ' ';
    size_t length = strlen(text);
    while (length && text[length - 1] == ' ')
        text[--length] = '\0';
}

/* Cleans formatted text that may have been cut, or quotes bytes that are not UTF-8. */
static void format_text(char *text, size_t size, const char *format, va_list arguments)
{
    int written = vsnprintf(text, size, format, arguments);
    if (written < 0)
        *text = '\0';
    else if ((size_t) written >= size)
        text[utf8_cut(text, size - 1)] = '\0';
    utf8_mend(text, size);
}

enum ods_status error_set(struct error *error, enum ods_status status, const char *format, ...)
{
    if (!error)
        return status;
    va_list arguments;
    va_start(arguments, format);
    format_text(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    flatten(error->text);
    return status;
}

enum ods_status error_out_of_memory(struct error *error)
{
    return error_set(error, ODS_RETRY, "out of memory");
}

void error_prefix(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    char prefix[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    format_text(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    size_t length = strlen(prefix), room = sizeof error->text - 1;
    size_t kept = strlen(error->text);
    if (kept > room - length)
        kept = utf8_cut(error->text, room - length);
    memmove(error->text + length, error->text, kept);
    memcpy(error->text, prefix, length);
    error->text[length + kept] = '\0';
}

const char *ods_status_name(enum ods_status status)
{
    static const char *const names[] = {"ok", "retry", "reject", "fenced", "fatal"};
    return (size_t) status < sizeof names / sizeof *names ? names[status] : "unknown";
}
