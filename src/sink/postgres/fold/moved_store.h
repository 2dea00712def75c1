/* What moved_keys.c asks the target and stores in it for one batch: the lock, the newest change of
 * each key in ods_sink.moved_keys, and whether a row is newer than a change. */
#ifndef MOVED_STORE_H
#define MOVED_STORE_H

#include "core/hash_index.h"
#include "sink/postgres/fold/moved_keys.h"

#define NO_KEY UINT32_MAX

/* When a change was, as far as changes of different partitions can be compared. */
struct moment {
    const char *topic;
    int32_t partition;
    int64_t record_ms;
    int64_t sequence; /* 0: unknown */
};

/* A key that the batch has changes of. */
struct moving {
    const struct plan *plan;
    const char *bytes; /* of the table's name and the key */
    size_t name_length, length;
    bool tracked; /* it took part in a change of keys */
    bool known;   /* `newest` is set */
    bool noted;   /* `newest` is to be stored */
    struct moment newest;
    /* A question to the target: does it have a row of this key that is newer than change `end`,
     * with which the key ended? */
    bool asks, answered, newer;
    uint32_t end;
};

struct sorting {
    struct moved_keys *moved;
    struct batch *batch;
    const struct plan *const *plans; /* by change */
    struct error *error;
    struct arena *arena;
    struct moving *keys;
    uint32_t count;
    uint32_t *of_change; /* NO_KEY: a change that nothing is asked about */
    struct hash_index index; /* of keys */
    struct buffer key, sql;
};

/* NULL: nothing is asked about the change. */
static inline struct moving *moving_of(const struct sorting *sorting, uint32_t change)
{
    uint32_t key = sorting->of_change[change];
    return key == NO_KEY ? NULL : &sorting->keys[key];
}

static inline bool ends_old_key(const struct change *change)
{
    return change->moved && change->op == OP_DELETE;
}

/* Takes the advisory lock: alone, or shared with lanes whose batches have no changed key. */
enum ods_status moved_store_lock(struct sorting *sorting, bool alone);
/* *kept: does the target keep any moved key of this consumer group? */
enum ods_status moved_store_has_any(struct sorting *sorting, bool *kept);
/* The newest change that the target keeps of each key of the batch. */
enum ods_status moved_store_read(struct sorting *sorting);
/* For each old key of which the target keeps nothing: does its table have a row of this key already
 * that is newer than the change? Only the row's timestamp column can tell. */
enum ods_status moved_store_find_newer(struct sorting *sorting);
/* Encodes the keys to be kept as the parameters of moved_keys_send(). */
enum ods_status moved_store_note(struct sorting *sorting);
/* Deletes some of the old entries, at most every ten minutes. A failure is ignored, since it is no
 * reason to hold rows up. */
void moved_store_prune(struct moved_keys *moved);

#endif
