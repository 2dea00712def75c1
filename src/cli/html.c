#include "cli/html.h"

#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"

static void put_character(FILE *page, char one)
{
    switch (one) {
    case '&':
        fputs("&amp;", page);
        break;
    case '<':
        fputs("&lt;", page);
        break;
    case '>':
        fputs("&gt;", page);
        break;
    case '"':
        fputs("&quot;", page);
        break;
    default:
        fputc(one, page);
    }
}

void html_put(FILE *page, const char *words)
{
    char *visible = words ? terminal_visible(words, strlen(words)) : NULL;
    for (const char *at = visible; at && *at; at++)
        put_character(page, *at);
    free(visible);
}
