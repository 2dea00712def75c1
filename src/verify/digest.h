/* A digest of a row, of 128 bits. The digest of a range is the sum of its rows' digests, which does
 * not depend on their order: two ranges with the same rows, each the same number of times, have the
 * same sum. Digests are neither stored nor sent: another version may compute others. */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdbool.h>

#include "core/hash.h"

struct digest {
    uint64_t a, b;
};

static inline struct digest digest_of(const void *bytes, size_t length)
{
    const char *at = bytes;
    struct digest digest = {UINT64_C(0x9ae16a3b2f90404f) ^ length,
                            UINT64_C(0xc949c7defebe6f10) + length};
    uint64_t word;
    for (; length; at += 8, length -= length < 8 ? length : 8) {
        word = 0;
        memcpy(&word, at, length < 8 ? length : 8);
        digest.a = hash_mix(digest.a, word);
        digest.b = hash_mix(digest.b + (word << 32 | word >> 32), digest.a);
    }
    return (struct digest){hash_mix(digest.a, digest.b), hash_mix(digest.b, ~digest.a)};
}

static inline bool digest_same(const struct digest *one, const struct digest *other)
{
    return one->a == other->a && one->b == other->b;
}

static inline void digest_add(struct digest *sum, const struct digest *more)
{
    sum->b += more->b;
    sum->a += more->a;
}

#endif
