/* Ranges of rows. See chunk.h. */
#include "verify/chunk.h"

#include <stdlib.h>

#include "core/hash_index.h"

void chunk_done(struct chunk *chunk)
{
    free(chunk->entries);
    buffer_done(&chunk->keys);
    *chunk = (struct chunk){0};
}

void chunk_reset(struct chunk *chunk)
{
    chunk->count = 0;
    chunk->sum = (struct digest){0};
    buffer_reset(&chunk->keys);
}

bool chunk_add(struct chunk *chunk, const struct row *row)
{
    if (chunk->count == chunk->capacity) {
        size_t larger = chunk->capacity ? 2 * chunk->capacity : 1024;
        struct entry *entries = realloc(chunk->entries, larger * sizeof *entries);
        if (!entries)
            return false;
        chunk->entries = entries;
        chunk->capacity = larger;
    }
    struct entry *entry = &chunk->entries[chunk->count++];
    buffer_add(&chunk->keys, row->key, row->key_length);
    *entry = (struct entry){.key = digest_of(row->elements, row->prefix),
                            .row = digest_of(row->elements, row->length),
                            .key_end = chunk->keys.length};
    digest_add(&chunk->sum, &entry->row);
    return !chunk->keys.failed;
}

static const struct entry *find(const struct hash_index *index, const struct digest *key)
{
    struct entry *entry;
    size_t at = hash_index_start(key->a);
    while ((entry = hash_index_next(index, key->a, &at)))
        if (digest_same(&entry->key, key))
            return entry;
    return NULL;
}

static bool fill(struct hash_index *index, const struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        if (!hash_index_reserve(index))
            return false;
        hash_index_add(index, chunk->entries[i].key.a, &chunk->entries[i]);
    }
    return true;
}

/* Hands out the keys of `one` that `other` has not; with `rows`, also those whose rows differ. */
static bool pick(const struct chunk *one, const struct chunk *other, bool rows,
                 chunk_differs *differs, void *context)
{
    struct hash_index index = {0};
    bool good = fill(&index, other);
    for (size_t i = 0; good && i < one->count; i++) {
        const struct entry *entry = &one->entries[i], *twin = find(&index, &entry->key);
        size_t length;
        const char *key = chunk_key(one, i, &length);
        if (!twin || (rows && !digest_same(&twin->row, &entry->row)))
            good = differs(context, &entry->key, key, length);
    }
    hash_index_done(&index);
    return good;
}

bool chunk_compare(const struct chunk *source, const struct chunk *target, bool extras,
                   chunk_differs *differs, void *context)
{
    if (source->count == target->count && digest_same(&source->sum, &target->sum))
        return true;
    return pick(source, target, true, differs, context) &&
           (!extras || pick(target, source, false, differs, context));
}
