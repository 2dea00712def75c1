/* Names in the text of statements. See quote.h. */
#include "sink/postgres/wire/quote.h"

#include <stdlib.h>
#include <string.h>

char *quote_name(const char *name)
{
    size_t length = strlen(name), quotes = 0;
    for (const char *at = name; *at; at++)
        quotes += *at == '"';
    char *quoted = malloc(length + quotes + 3), *to = quoted;
    if (!quoted)
        return NULL;
    *to++ = '"';
    for (const char *at = name; *at; at++) {
        if (*at == '"')
            *to++ = '"';
        *to++ = *at;
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}
