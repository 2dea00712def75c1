/* The rows of a range: for each a digest of its key and a digest of the whole row; and their
 * sum. */
#ifndef CHUNK_H
#define CHUNK_H

#include "verify/rows.h"

struct entry {
    struct digest key, row;
    size_t key_end; /* where the key ends in `keys` */
};

struct chunk {
    struct entry *entries;
    size_t count, capacity;
    struct buffer keys; /* elements, as they are sent to the target */
    struct digest sum;
};

void chunk_done(struct chunk *chunk);
void chunk_reset(struct chunk *chunk);
bool chunk_add(struct chunk *chunk, const struct row *row); /* false: out of memory */

static inline const char *chunk_key(const struct chunk *chunk, size_t entry, size_t *length)
{
    size_t start = entry ? chunk->entries[entry - 1].key_end : 0;
    *length = chunk->entries[entry].key_end - start;
    return chunk->keys.bytes + start;
}

/* Called for each key whose row only one side has, or whose rows differ. */
typedef bool chunk_differs(void *context, const struct digest *digest, const char *key,
                           size_t length);

/* Does not call `differs` when the sums are equal. False: out of memory, or `differs` returned
 * false. */
bool chunk_compare(const struct chunk *source, const struct chunk *target, bool extras,
                   chunk_differs *differs, void *context);

#endif
