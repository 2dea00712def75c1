/* The records of queues that a folder of the file target has. By them the sink recognizes records
 * that are delivered again.
 *
 * delivered-000000000001.keys and so on have the first 16 bytes of the sha256 of each record's
 * topic and identity. state.json says which file is written, how many bytes of it and of the one
 * before are valid, and when it was begun; so keys and lines become valid together or not at all.
 * When the file is old enough, or has half of the keys that are to be kept, the next one begins,
 * and the one before this is removed. Entered with the folder's lock held.
 */
#ifndef IDENTITIES_H
#define IDENTITIES_H

#include <jansson.h>

#include <ods/batch.h>
#include <ods/buffer.h>

#define IDENTITY_KEY_BYTES 16

struct identities {
    int64_t keep_ms, most;
    /* The keys of both files: those that were valid by the state when it was last read. */
    unsigned char (*slots)[IDENTITY_KEY_BYTES]; /* all zeroes: free */
    size_t slot_count, key_count;               /* slots: 0 or a power of two */
    /* As in "delivered" of state.json. */
    json_int_t file, length, before, begun_us;
    /* Of the current batch: */
    struct buffer news;   /* keys to be stored */
    struct buffer there;  /* a bool for each record: it is in the files, or comes twice */
    uint32_t fresh;       /* how many are not there, or have no identity */
    json_int_t removable; /* the file that is not needed once this is committed; 0: none */
};

void identities_init(struct identities *identities, int64_t keep_ms, int64_t most);
void identities_done(struct identities *identities);

/* Reads the keys that the state has, and drops from the batch the records that are there. Returns
 * an errno; ENODATA: a file is shorter than the state says. */
int identities_look(struct identities *identities, int folder, json_t *state, struct batch *batch);
/* Writes the new keys after the valid bytes, and makes the state count them. Returns an errno. */
int identities_put(struct identities *identities, int folder, json_t *state, int64_t now_us);
/* Called when the state is written. */
void identities_committed(struct identities *identities, int folder);
/* How many changes were dropped. */
uint64_t identities_count(const struct identities *identities, const struct batch *batch);

#endif
