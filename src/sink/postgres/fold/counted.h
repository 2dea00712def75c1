/* By what a queue's record is kept in ods_sink.delivered.
 *
 * An identity is kept by its digest, a row for each record. Senders that count their messages end
 * their identities in the number ("ID:1f0c:1:1:1-4711"): what stands before it is the stem, and of
 * one stem COUNTED_BITS numbers are bits of one row, a chunk. That is decided by the identity
 * alone, so a record that comes again is looked for where it was kept. Used by the writer thread.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "core/hash_index.h"

#define COUNTED_DIGEST_BYTES 16
#define COUNTED_KEY_BYTES    24 /* the stem's digest and the chunk's number */
#define COUNTED_BITS         512
#define COUNTED_NONE         UINT32_MAX

struct counted_chunk {
    unsigned char key[COUNTED_KEY_BYTES];
    unsigned char bits[COUNTED_BITS / 8]; /* from the highest of each byte on, as PostgreSQL has
                                             them */
};

/* Where a record is kept: a bit of a chunk of the batch. COUNTED_NONE: its identity does not
 * count. */
struct counted_place {
    uint32_t chunk, bit;
};

#define COUNTED_STEMS      16
#define COUNTED_STEM_BYTES 232

/* The digest of a topic and a stem that came lately. */
struct counted_stem {
    unsigned char digest[COUNTED_DIGEST_BYTES];
    uint32_t length; /* 0: none */
    char bytes[COUNTED_STEM_BYTES];
};

/* Of a lane. */
struct counted {
    const char *group; /* consumer group */
    struct counted_stem stems[COUNTED_STEMS];
    size_t next; /* stem that makes room for another one */
    struct buffer text;
    /* Of the batch at hand. */
    struct hash_index index;
    struct counted_chunk **chunks;
    uint32_t count;
};

/* Does the identity end in a number that somebody counts? Its last digits, at most 18, behind
 * something that is neither letter nor digit: digits of a UUID or a digest are none. Zeros before
 * the number are the stem's, so that no two identities have both in common. */
bool counted_split(const char *identity, uint32_t length, uint32_t *stem, uint64_t *number);

void counted_init(struct counted *counted, const char *group);
void counted_done(struct counted *counted);

/* The digest of consumer group, topic, and identity or stem. False: out of memory. */
bool counted_digest(struct counted *counted, const char *topic, const char *bytes, size_t length,
                    unsigned char digest[COUNTED_DIGEST_BYTES]);

/* Forgets the chunks of the last batch; the next one has up to `most` records. They are in the
 * arena. False: out of memory, here and in the next one. */
bool counted_begin(struct counted *counted, struct arena *arena, uint32_t most);
/* Where the record is kept; its chunk is among counted->chunks then. */
bool counted_place(struct counted *counted, struct arena *arena, const struct record *record,
                   struct counted_place *place);
/* Empties the bits of all chunks. */
void counted_clear(struct counted *counted);

static inline bool counted_has(const struct counted *counted, struct counted_place place)
{
    return counted->chunks[place.chunk]->bits[place.bit / 8] & (0x80 >> place.bit % 8);
}

static inline void counted_set(struct counted *counted, struct counted_place place)
{
    counted->chunks[place.chunk]->bits[place.bit / 8] |= (unsigned char) (0x80 >> place.bit % 8);
}

/* Adds bits that the target has, a '0' or '1' each. */
void counted_read_bits(struct counted *counted, uint32_t chunk, const char *bits);
/* The chunks' keys, and their bits, as arrays in binary form. used: those with any bit alone. */
void counted_put_keys(const struct counted *counted, bool used, struct buffer *keys);
void counted_put_bits(const struct counted *counted, struct buffer *bits);

#endif
