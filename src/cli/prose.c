#include "cli/prose.h"

#include <string.h>

#include "cli/terminal.h"

bool prose_next(const char **text, struct paragraph *paragraph)
{
    const char *at = *text;
    while (at && *at == '\n')
        at++;
    if (!at || !*at)
        return false;
    const char *end = strstr(at, "\n\n");
    if (!end)
        end = at + strlen(at);
    *text = end;
    while (end > at && end[-1] == '\n')
        end--;
    *paragraph = (struct paragraph){.text = at, .length = (size_t) (end - at)};
    const char *line = memchr(at, '\n', paragraph->length);
    if (strncmp(at, "    ", 4) == 0) {
        paragraph->kind = PARAGRAPH_LITERAL;
    } else if (line && strncmp(line, "\n  ", 3) == 0) {
        paragraph->kind = PARAGRAPH_TERM;
        paragraph->length = (size_t) (line - at);
        paragraph->body = line + 3;
        paragraph->body_length = (size_t) (end - paragraph->body);
    }
    return true;
}

bool prose_span(const char **text, const char *end, struct span *span)
{
    const char *at = *text;
    if (at == end)
        return false;
    const char *close = *at == '`' ? memchr(at + 1, '`', (size_t) (end - at - 1)) : NULL;
    if (close) {
        *span = (struct span){at + 1, (size_t) (close - at - 1), true};
        *text = close + 1;
        return true;
    }
    const char *open = memchr(at + 1, '`', (size_t) (end - at - 1));
    *span = (struct span){at, (size_t) ((open ? open : end) - at), false};
    *text = open ? open : end;
    return true;
}

/* The columns of a word whose backquotes are not printed. */
static size_t columns_of(const char *word, size_t length)
{
    size_t columns = 0;
    for (size_t i = 0; i < length; i++)
        columns += ((unsigned char) word[i] & 0xc0) != 0x80 && word[i] != '`';
    return columns;
}

static void put_word(struct filler *filler, const char *word, size_t length, bool *code)
{
    for (size_t i = 0; i < length; i++) {
        if (word[i] != '`') {
            putc(word[i], filler->out);
            continue;
        }
        *code = !*code;
        fputs(*code ? filler->code : filler->plain, filler->out);
    }
}

/* A word ends at a space; code with spaces is several words. */
void prose_fill(struct filler *filler, const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    bool code = false, first = true;
    while (at < end) {
        at += strspn(at, " \n");
        if (at >= end)
            break;
        size_t bytes = strcspn(at, " \n");
        bytes = bytes < (size_t) (end - at) ? bytes : (size_t) (end - at);
        size_t columns = columns_of(at, bytes);
        if (!first && filler->width && filler->column + 1 + columns > filler->width) {
            fprintf(filler->out, "\n%*s", (int) filler->indent, "");
            filler->column = filler->indent;
        } else if (!first) {
            putc(' ', filler->out);
            filler->column++;
        }
        put_word(filler, at, bytes, &code);
        filler->column += columns;
        at += bytes;
        first = false;
    }
}
