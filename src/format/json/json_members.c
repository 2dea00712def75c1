/* Objects of a record, member by member. See json.h. */
#include "format/json/json.h"

#include <string.h>

bool json_members_add(struct json_members *members, struct arena *arena, struct slice name,
                      struct value value)
{
    if (members->count == members->capacity) {
        uint32_t capacity = members->capacity ? members->capacity * 2 : 16;
        struct slice *names = arena_alloc(arena, capacity * sizeof *names);
        struct value *values = arena_alloc(arena, capacity * sizeof *values);
        if (!names || !values)
            return false;
        if (members->count) {
            memcpy(names, members->names, members->count * sizeof *names);
            memcpy(values, members->values, members->count * sizeof *values);
        }
        members->names = names;
        members->values = values;
        members->capacity = capacity;
    }
    members->names[members->count] = name;
    members->values[members->count++] = value;
    return true;
}

int json_members_find(const struct json_members *members, const char *name, size_t length)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (slice_is(members->names[i], name, length))
            return (int) i;
    return -1;
}

bool json_value_read(struct json_scan *scan, struct arena *arena, struct value *value)
{
    const char *start = scan->at;
    size_t length;
    *value = (struct value){.kind = VALUE_NULL};
    switch (json_peek(scan)) {
    case '"':
        if (!json_string(scan, arena, &value->bytes, &length) || length > UINT32_MAX)
            return false;
        value->kind = VALUE_TEXT;
        value->length = (uint32_t) length;
        return true;
    case '{':
    case '[':
        if (!json_skip(scan))
            return false;
        *value = (struct value){.kind = VALUE_JSON,
                                .length = (uint32_t) (scan->at - start),
                                .bytes = start};
        return true;
    case 't':
        *value = (struct value){.kind = VALUE_BOOL, .integer = 1};
        return json_word(scan, "true", 4);
    case 'f':
        *value = (struct value){.kind = VALUE_BOOL};
        return json_word(scan, "false", 5);
    case 'n':
        return json_word(scan, "null", 4);
    default:
        return json_number(scan, value);
    }
}

bool json_members_read(struct json_scan *scan, struct arena *arena, struct json_members *members)
{
    bool first = true;
    *members = (struct json_members){0};
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        struct value value;
        if (!json_name(scan, arena, &name.bytes, &name.length) ||
            !json_value_read(scan, arena, &value))
            return false;
        if (!name.length || memchr(name.bytes, 0, name.length))
            return json_fail(scan, "a member's name is empty or has a zero byte");
        if (!json_members_add(members, arena, name, value))
            return json_no_memory(scan);
    }
    return !scan->problem;
}
