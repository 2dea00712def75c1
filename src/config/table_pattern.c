/* Patterns over source tables. See table_pattern.h. */
#include "config/table_pattern.h"

#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>

#define PATTERN_MAX_BYTES   1000
#define PATTERN_DEPTH_MAX   50
#define PATTERN_REPEATS_MAX 1000

const char *pattern_excess(const char *pattern)
{
    unsigned depth = 0;
    unsigned long repeats = 1;
    if (strlen(pattern) > PATTERN_MAX_BYTES)
        return "it is longer than 1000 bytes";
    for (const char *at = pattern; *at; at++) {
        if (*at == '\\' && at[1]) {
            at++;
        } else if (*at == '(' && ++depth > PATTERN_DEPTH_MAX) {
            return "it has more than 50 groups";
        } else if (*at == '{') {
            unsigned long most = 1;
            for (const char *digit = at + 1; *digit && *digit != '}'; digit++) {
                unsigned long count = strtoul(digit, NULL, 10);
                most = count > most ? count : most;
            }
            if (most > PATTERN_REPEATS_MAX || (repeats *= most) > PATTERN_REPEATS_MAX)
                return "its {counts} repeat more than 1000 times";
        }
    }
    return NULL;
}

/* What to write between the brackets for a class such as \d. */
static const char *class_of(char letter)
{
    switch (letter) {
    case 'd':
    case 'D':
        return "0-9";
    case 'w':
    case 'W':
        return "A-Za-z0-9_";
    case 's':
    case 'S':
        return "[:space:]";
    default:
        return NULL;
    }
}

static bool is_word(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
}

/* What follows a backslash, outside of brackets. */
static const char *put_escaped(struct buffer *out, char letter)
{
    const char *class = class_of(letter);
    if (class)
        buffer_printf(out, letter >= 'a' ? "[%s]" : "[^%s]", class);
    else if (!letter)
        return "it ends in a backslash";
    else if (is_word(letter))
        return "only the letters d, w, s, D, W and S may follow a backslash, and no digit";
    else
        buffer_printf(out, "\\%c", letter);
    return NULL;
}

/* Converts a bracket expression, from its "["; *at is moved past its "]". To POSIX a backslash in
 * brackets is a plain character. */
static const char *put_bracket(struct buffer *out, const char **at)
{
    const char *start = *at, *byte = start + 1 + (start[1] == '^');
    buffer_add(out, start, (size_t) (byte - start));
    for (bool first = true; *byte && (*byte != ']' || first); first = false) {
        if (byte[0] == '[' && byte[1] && strchr(".:=", byte[1])) {
            const char end[] = {byte[1], ']', '\0'}, *close = strstr(byte + 2, end);
            if (!close)
                break;
            buffer_add(out, byte, (size_t) (close + 2 - byte));
            byte = close + 2;
        } else if (byte[0] != '\\') {
            buffer_add(out, byte++, 1);
        } else {
            const char *class = class_of(byte[1]);
            if (class && byte[1] >= 'a')
                buffer_puts(out, class);
            else if (byte[1] == '.' || byte[1] == '\\' || byte[1] == '$' || byte[1] == '_')
                buffer_add(out, byte + 1, 1);
            else
                return "in [brackets] only \\d, \\w, \\s, \\., \\$, \\_ and \\\\ have a meaning; "
                       "write ] first, and - last";
            byte += 2;
        }
    }
    buffer_puts(out, *byte ? "]" : "");
    *at = *byte ? byte + 1 : byte;
    return NULL;
}

static const char *translate(struct buffer *out, const char *pattern)
{
    const char *why = NULL;
    for (const char *at = pattern; !why && *at;) {
        if (*at == '[') {
            why = put_bracket(out, &at);
        } else if (*at == '\\') {
            why = put_escaped(out, at[1]);
            at += 2;
        } else {
            buffer_add(out, at++, 1);
        }
    }
    return why ? why : out->failed ? "out of memory" : NULL;
}

const char *table_pattern_compile(regex_t *regex, const char *pattern, char *room,
                                  size_t room_bytes)
{
    struct buffer posix;
    buffer_init(&posix);
    const char *why = pattern_excess(pattern);
    if (!why)
        why = translate(&posix, pattern);
    if (!why) {
        int code = regcomp(regex, buffer_text(&posix), REG_EXTENDED | REG_NOSUB);
        if (code)
            regerror(code, regex, room, room_bytes);
        why = code ? room : NULL;
    }
    buffer_done(&posix);
    return why;
}

void table_patterns_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->pipeline_count; i++)
        for (size_t k = 0; k < settings->pipelines[i].table_count; k++) {
            struct table_settings *table = &settings->pipelines[i].tables[k];
            if (table->pattern)
                regfree(table->pattern);
            table->pattern = NULL;
        }
}
