/* Finds items by a hash of their key: open addressing with linear probing, at most half full. It
 * holds pointers; it knows neither the keys nor who frees the items. Single items can't be removed.
 * Zeroed memory is an empty index. Used by one thread, or under its owner's lock.
 *
 *   size_t at = hash_index_start(hash);
 *   while ((item = hash_index_next(&index, hash, &at)))
 *       if (item's key is the one)
 *           return item;
 *   if (!hash_index_reserve(&index)) … make the item … hash_index_add(&index, hash, item);
 *
 * To visit all items, go through the slots from 0 to slot_count and skip those that are NULL. */
#ifndef HASH_INDEX_H
#define HASH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_slot {
    uint64_t hash;
    void *item; /* NULL: nothing is here */
};

struct hash_index {
    struct hash_slot *slots;
    size_t slot_count, count; /* slots: 0 or a power of two */
};

/* Makes room for one more item. False when memory is out; the index is unchanged then. */
bool hash_index_reserve(struct hash_index *index);

/* Makes room for this many items more, so that adding them moves nothing. False as above. */
bool hash_index_reserve_many(struct hash_index *index, size_t more);

/* After hash_index_reserve(). An item of the same key must not be there. */
void hash_index_add(struct hash_index *index, uint64_t hash, void *item);

/* Frees the slots and leaves an empty index. */
void hash_index_done(struct hash_index *index);

static inline size_t hash_index_start(uint64_t hash)
{
    return (size_t) hash;
}

/* The next item with this hash, NULL when there is no other. */
static inline void *hash_index_next(const struct hash_index *index, uint64_t hash, size_t *at)
{
    if (!index->slot_count)
        return NULL;
    for (;;) {
        const struct hash_slot *slot = &index->slots[(*at)++ & (index->slot_count - 1)];
        if (!slot->item || slot->hash == hash)
            return slot->item;
    }
}

#endif
