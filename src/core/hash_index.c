/* The index of items by hash. See hash_index.h. */
#include "core/hash_index.h"

#include <stdlib.h>

#define SLOTS_LEAST 64

static void put(struct hash_slot *slots, size_t slot_count, struct hash_slot slot)
{
    size_t at = (size_t) slot.hash & (slot_count - 1);
    while (slots[at].item)
        at = (at + 1) & (slot_count - 1);
    slots[at] = slot;
}

bool hash_index_reserve(struct hash_index *index)
{
    return hash_index_reserve_many(index, 1);
}

bool hash_index_reserve_many(struct hash_index *index, size_t more)
{
    size_t wanted = (index->count + more) * 2;
    if (wanted <= index->slot_count)
        return true;
    size_t larger = SLOTS_LEAST;
    while (larger < wanted)
        larger *= 2;
    struct hash_slot *slots = calloc(larger, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < index->slot_count; i++)
        if (index->slots[i].item)
            put(slots, larger, index->slots[i]);
    free(index->slots);
    index->slots = slots;
    index->slot_count = larger;
    return true;
}

void hash_index_add(struct hash_index *index, uint64_t hash, void *item)
{
    put(index->slots, index->slot_count, (struct hash_slot){.hash = hash, .item = item});
    index->count++;
}

void hash_index_done(struct hash_index *index)
{
    free(index->slots);
    *index = (struct hash_index){0};
}
