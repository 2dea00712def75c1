/* A fast hash of bytes for tables in memory. Never store it or send it to another process. */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    __uint128_t product =
        (__uint128_t) (a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b ^ UINT64_C(0xd1b54a32d192ed03));
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static inline uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    const char *at = bytes;
    uint64_t hash = seed ^ length, word;
    for (; length >= 8; at += 8, length -= 8) {
        memcpy(&word, at, 8);
        hash = hash_mix(hash, word);
    }
    if (length) {
        word = 0;
        memcpy(&word, at, length);
        hash = hash_mix(hash, word ^ length);
    }
    return hash_mix(hash, UINT64_C(0x2545f4914f6cdd1d));
}

#endif
