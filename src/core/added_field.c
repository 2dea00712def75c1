/* Lists of add.fields and add.headers, entry by entry. */
#include "core/added_field.h"

#include <string.h>

static struct slice trimmed(const char *text, size_t length)
{
    while (length && json_blank(*text)) {
        text++;
        length--;
    }
    while (length && json_blank(text[length - 1]))
        length--;
    return (struct slice){text, length};
}

/* Cuts the slice at the first `mark` and returns what follows it; empty if there is no mark. */
static struct slice cut_at(struct slice *text, char mark)
{
    const char *at = text->length ? memchr(text->bytes, mark, text->length) : NULL;
    if (!at)
        return (struct slice){text->bytes + text->length, 0};
    struct slice rest = {at + 1, text->length - (size_t) (at + 1 - text->bytes)};
    text->length = (size_t) (at - text->bytes);
    return rest;
}

static bool has(struct slice text, char mark)
{
    return text.length && memchr(text.bytes, mark, text.length);
}

bool added_field_next(const char **list, struct added_field *entry, const char **problem)
{
    *problem = NULL;
    if (!**list)
        return false;
    size_t length = strcspn(*list, ",");
    struct slice field = trimmed(*list, length);
    bool renamed = has(field, ':'), nested;
    *list += length;
    if (**list == ',' && !*++*list)
        *problem = "it ends in a comma";
    entry->name = cut_at(&field, ':');
    nested = has(field, '.');
    entry->parent = field;
    entry->field = nested ? cut_at(&entry->parent, '.') : field;
    if (!nested)
        entry->parent.length = 0;
    if (!field.length && !renamed)
        *problem = "it has an empty entry";
    else if (!entry->field.length || (nested && !entry->parent.length) || has(entry->field, '.'))
        *problem = "expected a field as op, or as source.ts_ms";
    else if (renamed && (!entry->name.length || has(entry->name, ':')))
        *problem = "expected one new name after the colon, as in op:kind";
    return !*problem;
}

size_t added_field_name(const struct added_field *entry, char *name)
{
    size_t length = 0;
    struct slice last = entry->name.length ? entry->name : entry->field;
    if (!entry->name.length && entry->parent.length) {
        memcpy(name, entry->parent.bytes, entry->parent.length);
        length = entry->parent.length;
        name[length++] = '_';
    }
    memcpy(name + length, last.bytes, last.length);
    return length + last.length;
}

/* Do two entries result in the same name? */
static bool same_name(const struct added_field *a, const struct added_field *b)
{
    char names[2][ADDED_FIELDS_MAX];
    size_t lengths[2] = {added_field_name(a, names[0]), added_field_name(b, names[1])};
    return lengths[0] == lengths[1] && memcmp(names[0], names[1], lengths[0]) == 0;
}

const char *added_fields_problem(const char *list)
{
    struct added_field entry, other;
    const char *problem;
    if (strlen(list) >= ADDED_FIELDS_MAX)
        return "it is too long";
    while (added_field_next(&list, &entry, &problem)) {
        const char *rest = list, *ignored;
        while (added_field_next(&rest, &other, &ignored))
            if (same_name(&entry, &other))
                return "two of its entries have the same name";
    }
    return problem;
}
