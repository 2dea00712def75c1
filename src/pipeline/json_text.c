/* See json_text.h. */
#include "pipeline/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

/* jansson takes nothing but UTF-8. */
json_t *text_of(const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(3 * length + 1);
    json_t *string =
        copy ? json_stringn(copy, utf8_copy(copy, 3 * length + 1, text, length)) : NULL;
    free(copy);
    return string ? string : json_null();
}
