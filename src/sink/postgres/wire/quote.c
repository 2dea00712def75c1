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

/* --- a list of texts as an array's text ------------------------------------------------------ */

void quote_array_put(struct buffer *array, const char *text)
{
    buffer_puts(array, array->length ? ",\"" : "{\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_puts(array, "\\");
        buffer_add(array, text, 1);
    }
    buffer_puts(array, "\"");
}

void quote_array_end(struct buffer *array)
{
    buffer_puts(array, array->length ? "}" : "{}");
}

void quote_array(struct buffer *array, const struct strings *texts)
{
    buffer_init(array);
    for (size_t i = 0; i < texts->count; i++)
        quote_array_put(array, texts->items[i]);
    quote_array_end(array);
}
