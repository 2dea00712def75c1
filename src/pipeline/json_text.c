/* See json_text.h. */
#include "pipeline/json_text.h"

#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include <ods/json.h>
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

void json_put_text(struct buffer *out, const char *text)
{
    if (!text) {
        buffer_puts(out, "null");
        return;
    }
    size_t length = strlen(text);
    if (utf8_valid(text, length)) {
        json_quote(out, text, length);
        return;
    }
    char *copy = malloc(3 * length + 1);
    if (copy)
        json_quote(out, copy, utf8_copy(copy, 3 * length + 1, text, length));
    out->failed |= !copy;
    free(copy);
}

void json_put_number(struct buffer *out, int64_t number, unsigned digits)
{
    char text[48], *end = text + sizeof text, *at = end;
    uint64_t rest = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;
    for (unsigned i = 0; i <= digits || rest; i++, rest /= 10) {
        if (i == digits && digits)
            *--at = '.';
        *--at = (char) ('0' + rest % 10);
    }
    if (number < 0)
        *--at = '-';
    buffer_add(out, at, (size_t) (end - at));
}

bool json_put_open(struct buffer *out, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text)
        return false;
    size_t length = strlen(text) - 1;
    while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
        length--;
    buffer_add(out, text, length);
    free(text);
    return true;
}

const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}
