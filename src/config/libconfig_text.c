/* A libconfig file is rewritten, token by token and line by line, before libconfig reads it:
 *
 *  - quoted names ("security.protocol" = …), which libconfig does not know, become names that it
 *    does: bytes outside its alphabet are written *XX;
 *  - integers get the suffix that makes libconfig keep all their bits: without it, 4294967297 is
 *    quietly read as 1;
 *  - @include is expanded here, relative to the including file, so that the rest holds for it too;
 *  - comments and unterminated strings do not reach libconfig, which leaks the latter.
 *
 * The grammar is left to libconfig.
 */
#include "config/libconfig_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"

#define INCLUDE_DEPTH_MAX 10
#define INCLUDE_MAX_BYTES CONFIG_MAX_BYTES

struct cursor {
    const struct config_source *source;
    const char *at, *end;
    int line;
};

static void fail(struct libconfig_text *text, const struct cursor *cursor, const char *what)
{
    if (!text->failed)
        findings_error(text->load->findings, cursor->source, cursor->line, "%s", what);
    text->failed = true;
}

static void start_line(struct libconfig_text *text, const struct config_source *source, int line)
{
    if (text->line_count == text->line_capacity) {
        size_t capacity = text->line_capacity ? text->line_capacity * 2 : 256;
        struct text_line *lines = realloc(text->lines, capacity * sizeof(*lines));
        if (!lines) {
            text->failed = text->load->scratch.failed = true;
            return;
        }
        text->lines = lines;
        text->line_capacity = capacity;
    }
    text->lines[text->line_count++] = (struct text_line){source, line};
}

static void newline(struct libconfig_text *text, struct cursor *cursor)
{
    buffer_puts(&text->out, "\n");
    cursor->at++;
    cursor->line++;
    start_line(text, cursor->source, cursor->line);
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '*';
}

static bool starts(const struct cursor *cursor, const char *text)
{
    size_t length = strlen(text);
    return (size_t) (cursor->end - cursor->at) >= length &&
           memcmp(cursor->at, text, length) == 0;
}

/* Move past the comment at the cursor; its newlines are kept. */
static void skip_comment(struct libconfig_text *text, struct cursor *cursor)
{
    if (!starts(cursor, "/*")) {
        while (cursor->at < cursor->end && *cursor->at != '\n')
            cursor->at++;
        return;
    }
    struct cursor opening = *cursor;
    cursor->at += 2;
    while (cursor->at < cursor->end && !starts(cursor, "*/")) {
        if (*cursor->at == '\n')
            newline(text, cursor);
        else
            cursor->at++;
    }
    if (cursor->at == cursor->end)
        fail(text, &opening, "a comment begins here and does not end: expected */");
    else
        cursor->at += 2;
    buffer_puts(&text->out, " ");
}

static bool at_comment(const struct cursor *cursor)
{
    return *cursor->at == '#' || starts(cursor, "//") || starts(cursor, "/*");
}

/* Where the string that opens at `at` closes, or NULL. */
static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at < end ? at : NULL;
}

/* Is the next token after `at` an assignment? Then the string before it is a name. */
static bool assigns(const struct cursor *cursor, const char *at)
{
    while (at < cursor->end) {
        const char *newline_at;
        if (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') {
            at++;
        } else if (*at == '#' || (at + 1 < cursor->end && at[0] == '/' && at[1] == '/')) {
            newline_at = memchr(at, '\n', (size_t) (cursor->end - at));
            at = newline_at ? newline_at : cursor->end;
        } else if (at + 1 < cursor->end && at[0] == '/' && at[1] == '*') {
            const char *close = memmem(at + 2, (size_t) (cursor->end - at - 2), "*/", 2);
            at = close ? close + 2 : cursor->end;
        } else {
            return *at == '=' || *at == ':';
        }
    }
    return false;
}

static void put_name(struct libconfig_text *text, const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (is_letter(c) || (i > 0 && (is_digit(c) || c == '_' || c == '-')))
            buffer_add(&text->out, &c, 1);
        else
            buffer_printf(&text->out, "*%02X", (unsigned char) c);
    }
}

static void put_string(struct libconfig_text *text, struct cursor *cursor)
{
    const char *close = string_end(cursor->at, cursor->end);
    if (!close) {
        fail(text, cursor, "a string begins here and does not end: expected \"");
        cursor->at = cursor->end;
        return;
    }
    size_t length = (size_t) (close - cursor->at - 1);
    if (assigns(cursor, close + 1)) {
        if (length == 0 || memchr(cursor->at + 1, '\n', length) ||
            memchr(cursor->at + 1, '\\', length))
            fail(text, cursor, "a quoted name is one line, without backslashes, and not empty");
        put_name(text, cursor->at + 1, length);
        cursor->at = close + 1;
        return;
    }
    while (cursor->at <= close) {
        if (*cursor->at == '\n') {
            newline(text, cursor);
            continue;
        }
        buffer_add(&text->out, cursor->at, 1);
        cursor->at++;
    }
}

/* An integer keeps all its bits, or becomes a finding; other numbers are copied unchanged. */
static void put_number(struct libconfig_text *text, struct cursor *cursor)
{
    char digits[64], *end = NULL;
    const char *from = cursor->at;
    cursor->at++;
    while (cursor->at < cursor->end && (is_word(*cursor->at) || *cursor->at == '.' ||
                                        (*cursor->at == '+' && (cursor->at[-1] | 32) == 'e')))
        cursor->at++;
    size_t length = (size_t) (cursor->at - from);
    if (length >= sizeof(digits)) {
        fail(text, cursor, "this number is too long");
        return;
    }
    memcpy(digits, from, length);
    digits[length] = 0;
    const char *bare = digits + strspn(digits, "+-");
    bool hex = bare[0] == '0' && (bare[1] | 32) == 'x';
    errno = 0;
    long long value = strtoll(digits, &end, hex ? 16 : 10);
    if (end == digits || end[strspn(end, "L")]) {
        buffer_add(&text->out, digits, length); /* a float or no number at all: libconfig decides */
        return;
    }
    if (errno == ERANGE)
        fail(text, cursor, "this number does not fit into 64 bits");
    buffer_printf(&text->out, "%lldL", value);
}

/* @include "path": the cursor stands on the string. */
static void put_include(struct libconfig_text *text, struct cursor *cursor)
{
    struct load *load = text->load;
    struct config_file file = {0};
    const char *close = string_end(cursor->at, cursor->end);
    if (!close || close == cursor->at + 1 ||
        memchr(cursor->at, '\n', (size_t) (close - cursor->at))) {
        fail(text, cursor, "@include is followed by a path in quotes");
        return;
    }
    char *path =
        pool_strndup(&load->scratch, cursor->at + 1, (size_t) (close - cursor->at - 1));
    struct config_source *source = pool_alloc(load->keep, 1, sizeof(*source));
    const char *resolved = NULL;
    if (path && source)
        resolved = config_file_resolve(load->keep, cursor->source->folder, path);
    cursor->at = close + 1;
    if (!resolved || !(source->folder = config_file_folder(load->keep, resolved))) {
        text->failed = true;
        return;
    }
    const char *why = text->depth == INCLUDE_DEPTH_MAX ? "includes go deeper than ten files"
                      : text->out.length > INCLUDE_MAX_BYTES
                          ? "all included files together are too large"
                          : config_file_read(&file, resolved, INCLUDE_MAX_BYTES);
    if (why) {
        if (!text->failed)
            findings_error(load->findings, cursor->source, cursor->line,
                           "cannot include \"%s\": %s", path, why);
        text->failed = true;
        return;
    }
    source->name = resolved;
    source->order = load->sources++;
    source->readable_by_others = file.readable_by_others;
    buffer_puts(&text->out, "\n");
    text->depth++;
    libconfig_text_add(text, source, file.bytes, file.length);
    text->depth--;
    buffer_puts(&text->out, "\n");
    start_line(text, cursor->source, cursor->line);
    config_file_done(&file);
}

static void put_word(struct libconfig_text *text, struct cursor *cursor)
{
    const char *from = cursor->at;
    while (cursor->at < cursor->end && is_word(*cursor->at))
        cursor->at++;
    put_name(text, from, (size_t) (cursor->at - from));
}

void libconfig_text_add(struct libconfig_text *text, const struct config_source *source,
                        const char *bytes, size_t length)
{
    struct cursor cursor = {source, bytes, bytes + length, 1};
    if (memchr(bytes, 0, length))
        fail(text, &cursor, "the file holds a zero byte");
    start_line(text, source, 1);
    while (cursor.at < cursor.end && !text->failed) {
        char c = *cursor.at;
        if (c == '\n') {
            newline(text, &cursor);
        } else if (at_comment(&cursor)) {
            skip_comment(text, &cursor);
        } else if (c == '"') {
            put_string(text, &cursor);
        } else if (is_letter(c) || c == '*') {
            put_word(text, &cursor);
        } else if (is_digit(c) || c == '+' || c == '-' || c == '.') {
            put_number(text, &cursor);
        } else if (starts(&cursor, "@include")) {
            cursor.at += strlen("@include");
            while (cursor.at < cursor.end && (*cursor.at == ' ' || *cursor.at == '\t'))
                cursor.at++;
            put_include(text, &cursor);
        } else if (strchr("={}[]();:, \t\r\f", c)) {
            buffer_add(&text->out, &c, 1);
            cursor.at++;
        } else {
            fail(text, &cursor, "a character that has no meaning here; strings go in quotes");
        }
    }
    if (text->out.failed)
        text->failed = text->load->scratch.failed = true;
}

void libconfig_text_done(struct libconfig_text *text)
{
    if (text->out.bytes)
        explicit_bzero(text->out.bytes, text->out.length);
    buffer_done(&text->out);
    free(text->lines);
}

const char *libconfig_text_name(struct load *load, const char *name)
{
    char *decoded = pool_strdup(&load->scratch, name), *to = decoded;
    if (!decoded)
        return NULL;
    for (const char *from = name; *from; from++) {
        if (*from == '*' && from[1] && from[2]) {
            char hex[3] = {from[1], from[2], 0};
            *to++ = (char) strtol(hex, NULL, 16);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
    return decoded;
}
