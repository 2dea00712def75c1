/* See candidates.h. */
#include "verify/candidates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct candidate *candidates_add(struct candidates *candidates, const char *schema,
                                 const char *name)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (strcmp(candidates->items[i].schema, schema) == 0 &&
            strcmp(candidates->items[i].name, name) == 0)
            return &candidates->items[i];
    struct candidate *larger =
        realloc(candidates->items, (candidates->count + 1) * sizeof *larger);
    if (!larger)
        return NULL;
    candidates->items = larger;
    struct candidate *added = &larger[candidates->count];
    *added = (struct candidate){.schema = strdup(schema), .name = strdup(name)};
    if (added->schema && added->name) {
        candidates->count++;
        return added;
    }
    free(added->schema);
    free(added->name);
    return NULL;
}

bool candidates_add_topic(struct candidates *candidates, const char *topic)
{
    char schema[256];
    const char *table = strrchr(topic, '.'), *from = table;
    while (from && from > topic && from[-1] != '.')
        from--;
    if (!table || from == topic || (size_t) (table - from) >= sizeof schema)
        return true;
    snprintf(schema, sizeof schema, "%.*s", (int) (table - from), from);
    return candidates_add(candidates, schema, table + 1);
}

void candidates_done(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++) {
        free(candidates->items[i].schema);
        free(candidates->items[i].name);
    }
    free(candidates->items);
    *candidates = (struct candidates){0};
}
