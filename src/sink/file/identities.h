/* Records of queues that a folder of the file target has: what is delivered again is known by it.
 *
 * delivered-000000000001.keys and so on hold the first 16 bytes of the sha256 of each record's
 * topic and identity. state.json says which file is written, how many bytes count of it and of the
 * one before, and when it was begun; so keys and lines count together or not at all. When the file
 * is old enough, or has half of what is to be kept, the next one begins, and the one before this is
 * removed. Entered with the folder's lock held.
 */
#ifndef IDENTITIES_H
#define IDENTITIES_H

#include <jansson.h>

#include <ods/batch.h>
#include <ods/buffer.h>

#define IDENTITY_KEY_BYTES 16

struct identities {
    int64_t keep_ms, most;
    /* The keys of both files, in memory as far as the state counted when it was last looked at. */
    unsigned char (*slots)[IDENTITY_KEY_BYTES]; /* all zeroes: free */
    size_t slot_count, key_count;                /* slots: 0 or a power of two */
    /* As "delivered" in state.json has it. */
    json_int_t file, length, before, begun_us;
    /* Of the batch at hand: */
    struct buffer news;  /* keys that are to be kept */
    struct buffer there; /* a bool for each record: it is in the files, or comes twice */
    uint32_t fresh;      /* records that are not there, or that have no identity */
    json_int_t removable; /* the file that counts no more once this is committed; 0: none */
};

void identities_init(struct identities *identities, int64_t keep_ms, int64_t most);
void identities_done(struct identities *identities);

/* Bring the keys in line with the state, and drop what is there from the batch. An errno; ENODATA:
 * a file has less than the state counts. */
int identities_look(struct identities *identities, int folder, json_t *state,
                   struct batch *batch);
/* Write the new keys behind what counts, and count them in the state. An errno. */
int identities_put(struct identities *identities, int folder, json_t *state, int64_t now_us);
/* The state is written. */
void identities_committed(struct identities *identities, int folder);
/* Changes that were dropped. */
uint64_t identities_count(const struct identities *identities, const struct batch *batch);

#endif
