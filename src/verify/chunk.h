/* The rows of a range, each as a digest of its key and one of the whole, and their sum. */
#ifndef CHUNK_H
#define CHUNK_H

#include "verify/rows.h"

struct entry {
    struct digest key, row;
    size_t key_end; /* in `keys`, where the next one's begins */
};

struct chunk {
    struct entry *entries;
    size_t count, capacity;
    struct buffer keys; /* elements, as they are sent to the target */
    struct digest sum;
};

void chunk_done(struct chunk *chunk);
void chunk_reset(struct chunk *chunk);
bool chunk_add(struct chunk *chunk, const struct row *row); /* false: memory is out */

static inline const char *chunk_key(const struct chunk *chunk, size_t entry, size_t *length)
{
    size_t start = entry ? chunk->entries[entry - 1].key_end : 0;
    *length = chunk->entries[entry].key_end - start;
    return chunk->keys.bytes + start;
}

/* Called for each key of which one side has a row that the other has not, or another one. */
typedef bool chunk_differs(void *context, const struct digest *digest, const char *key,
                           size_t length);

/* Hands out nothing where the sums are the same. False: memory is out, or `differs` said so. */
bool chunk_compare(const struct chunk *source, const struct chunk *target, bool extras,
                   chunk_differs *differs, void *context);

#endif
