/* See names.h. */
#include "xml/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 63, NUMBER_BYTES = 6 };

/* Those of PostgreSQL 15 that are reserved, or may be names of types and functions only. */
static const char reserved[] =
    " all analyse analyze and any array as asc asymmetric authorization binary both case "
    "cast check collate collation column concurrently constraint create cross "
    "current_catalog current_date current_role current_schema current_time "
    "current_timestamp current_user default deferrable desc distinct do else end except "
    "false fetch for foreign freeze from full grant group having ilike in initially inner "
    "intersect into is isnull join lateral leading left like limit localtime "
    "localtimestamp natural not notnull null offset on only or order outer overlaps "
    "placing primary references returning right select session_user similar some "
    "symmetric system_user table tablesample then to trailing true union unique user "
    "using variadic verbose when where window with ";

bool name_is_reserved(const char *name)
{
    char word[40];
    int length = snprintf(word, sizeof word, " %s ", name);
    return length > 0 && (size_t) length < sizeof word && strstr(reserved, word);
}

void name_set_done(struct name_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->items[i]);
    free(set->items);
    *set = (struct name_set){0};
}

static bool has(const struct name_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i], name) == 0)
            return true;
    return false;
}

const char *name_set_put(struct name_set *set, const char *name)
{
    if (set->count == set->room) {
        size_t room = set->room ? set->room * 2 : 16;
        char **items = realloc(set->items, room * sizeof *items);
        if (!items)
            return NULL;
        set->items = items;
        set->room = room;
    }
    char *copy = strdup(name);
    if (copy)
        set->items[set->count++] = copy;
    return copy;
}

static bool is_upper(char byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool is_lower(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

/* Append the name in lower case, words apart by _. */
static size_t put_snake(char *out, size_t at, size_t room, const char *name)
{
    for (size_t i = 0; name[i] && at + 1 < room; i++) {
        char byte = name[i];
        if (is_upper(byte)) {
            bool next_lower = name[i + 1] >= 'a' && name[i + 1] <= 'z';
            bool begins =
                i && (is_lower(name[i - 1]) || (is_upper(name[i - 1]) && next_lower));
            if (begins && at + 2 < room)
                out[at++] = '_';
            byte = (char) (byte + 'a' - 'A');
        } else if (!is_lower(byte) && (unsigned char) byte < 0x80) {
            byte = '_';
        }
        out[at++] = byte;
    }
    out[at] = '\0';
    return at;
}

/* Not beyond so many bytes, and no character is split. */
static void cut(char *name, size_t most)
{
    size_t length = strlen(name);
    if (length <= most)
        return;
    while (most && ((unsigned char) name[most] & 0xC0) == 0x80)
        most--;
    name[most] = '\0';
}

const char *name_set_add(struct name_set *set, const char *parent, const char *name)
{
    char plain[600], longer[1200], numbered[80];
    put_snake(plain, 0, sizeof plain, name);
    cut(plain, NAME_BYTES);
    if (!has(set, plain))
        return name_set_put(set, plain);
    size_t at = put_snake(longer, 0, sizeof longer, parent);
    if (at) {
        longer[at++] = '_';
        put_snake(longer, at, sizeof longer, name);
        cut(longer, NAME_BYTES);
        if (!has(set, longer))
            return name_set_put(set, longer);
    }
    cut(plain, NAME_BYTES - NUMBER_BYTES);
    for (unsigned number = 2;; number++) {
        snprintf(numbered, sizeof numbered, "%.57s_%u", plain, number);
        if (!has(set, numbered))
            return name_set_put(set, numbered);
    }
}
