#include "cli/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

json_t *cli_json(const char *text)
{
    size_t length = strlen(text);
    json_t *string = json_string(text);
    char *copy = string ? NULL : malloc(3 * length + 1);
    if (copy)
        string = json_stringn(copy, utf8_copy(copy, 3 * length + 1, text, length));
    free(copy);
    return string ? string : json_null();
}

static void print(json_t *value, size_t layout)
{
    json_dumpf(value, stdout, layout | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(value);
}

void cli_print_json(json_t *value)
{
    print(value, JSON_INDENT(2));
}

void cli_print_json_line(json_t *value)
{
    print(value, JSON_COMPACT);
}

int64_t number_in(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_integer(number) ? json_integer_value(number) : -1;
}
