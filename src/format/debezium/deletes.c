/* A ring for each partition that has deletes: offsets and hashes of keys. */
#include "format/debezium/deletes.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define NO_KEY UINT64_C(1) /* the hash of a null key: tables without a key have tombstones too */

struct deleted_key {
    int64_t offset; /* -1: this place is empty */
    uint64_t key;   /* its hash */
    uint64_t end;   /* the key's last bytes, which are compared first */
};

struct partition_deletes {
    int32_t partition;
    int64_t seen;   /* the offset of the last record */
    int64_t newest; /* of the deletes' */
    uint32_t next;
    struct deleted_key keys[DELETES_LOOK_BACK];
};

static void clear(struct partition_deletes *partition)
{
    partition->newest = -1;
    partition->next = 0;
    for (uint32_t i = 0; i < DELETES_LOOK_BACK; i++)
        partition->keys[i].offset = -1;
}

/* The partition's place in the sorted list, or where to insert it. */
static uint32_t place_of(const struct deletes *deletes, int32_t partition)
{
    uint32_t low = 0, high = deletes->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (deletes->items[middle]->partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct partition_deletes *find(struct deletes *deletes, int32_t partition)
{
    if (!deletes->count)
        return NULL;
    if (deletes->last && deletes->last->partition == partition)
        return deletes->last;
    uint32_t at = place_of(deletes, partition);
    if (at == deletes->count || deletes->items[at]->partition != partition)
        return NULL;
    return deletes->last = deletes->items[at];
}

static struct partition_deletes *add(struct deletes *deletes, int32_t partition)
{
    if (deletes->count == deletes->capacity) {
        uint32_t larger = deletes->capacity ? deletes->capacity * 2 : 4;
        struct partition_deletes **moved = realloc(deletes->items, larger * sizeof *moved);
        if (!moved)
            return NULL;
        deletes->items = moved;
        deletes->capacity = larger;
    }
    struct partition_deletes *added = calloc(1, sizeof *added);
    if (!added)
        return NULL;
    uint32_t at = place_of(deletes, partition);
    memmove(deletes->items + at + 1, deletes->items + at,
            (deletes->count - at) * sizeof *deletes->items);
    deletes->items[at] = deletes->last = added;
    deletes->count++;
    added->partition = partition;
    clear(added);
    return added;
}

void deletes_done(struct deletes *deletes)
{
    for (uint32_t i = 0; i < deletes->count; i++)
        free(deletes->items[i]);
    free(deletes->items);
    *deletes = (struct deletes){0};
}

static uint64_t key_of(const struct record *record)
{
    return record->key ? hash_bytes(record->key, record->key_length, 0) : NO_KEY;
}

/* The keys of a topic begin with the same bytes, their schema, and differ at the end. */
static uint64_t end_of(const struct record *record)
{
    uint64_t end = 0;
    size_t length = record->key ? record->key_length : 0;
    size_t taken = length < sizeof end ? length : sizeof end;
    if (taken)
        memcpy(&end, record->key + length - taken, taken);
    return end ^ length;
}

static bool is_near(int64_t offset, int64_t of)
{
    return offset >= 0 && offset < of && of - offset <= DELETES_LOOK_BACK;
}

/* The row exists again, or the key never named one: a tombstone after it is not the delete's. */
static void forget_key(struct partition_deletes *partition, const struct record *record)
{
    uint64_t end = end_of(record);
    for (uint32_t i = 0; i < DELETES_LOOK_BACK; i++)
        if (partition->keys[i].end == end && partition->keys[i].key == key_of(record))
            partition->keys[i].offset = -1;
}

bool deletes_note_slow(struct deletes *deletes, const struct record *record, enum tells tells)
{
    struct partition_deletes *partition = find(deletes, record->partition);
    if (!partition && tells != TELLS_DELETE)
        return true;
    if (!partition && !(partition = add(deletes, record->partition)))
        return false;
    if (partition->newest >= 0 && record->offset <= partition->seen)
        clear(partition);
    partition->seen = record->offset;
    if (tells == TELLS_DELETE) {
        partition->keys[partition->next] =
            (struct deleted_key){record->offset, key_of(record), end_of(record)};
        partition->next = (partition->next + 1) % DELETES_LOOK_BACK;
        partition->newest = record->offset;
    } else if (tells == TELLS_ROW && record->key && is_near(partition->newest, record->offset)) {
        forget_key(partition, record);
    }
    return true;
}

bool deletes_has(struct deletes *deletes, const struct record *record)
{
    struct partition_deletes *partition = find(deletes, record->partition);
    if (!partition || !is_near(partition->newest, record->offset))
        return false;
    uint64_t key = key_of(record);
    for (uint32_t i = 0; i < DELETES_LOOK_BACK; i++)
        if (partition->keys[i].key == key && is_near(partition->keys[i].offset, record->offset))
            return true;
    return false;
}
