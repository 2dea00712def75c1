/* Base64, four characters a step by one table. No state; any thread. */
#include "core/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A character's six bits plus one, so that characters which are not listed are 0, and invalid. */
#define ROW4(c, v) [c] = (v) + 1, [(c) + 1] = (v) + 2, [(c) + 2] = (v) + 3, [(c) + 3] = (v) + 4
#define ROW26(c, v)                                                                                \
    ROW4(c, v), ROW4((c) + 4, (v) + 4), ROW4((c) + 8, (v) + 8), ROW4((c) + 12, (v) + 12),          \
        ROW4((c) + 16, (v) + 16), ROW4((c) + 20, (v) + 20), [(c) + 24] = (v) + 25,                 \
                                                                   [(c) + 25] = (v) + 26
static const uint8_t bits_of[256] = {
    ROW26('A', 0), ROW26('a', 26), ROW4('0', 52), ROW4('4', 56),
    ['8'] = 61,    ['9'] = 62,     ['+'] = 63,    ['/'] = 64,
};

/* One group of four; false when a character is none of the alphabet's. */
static inline bool group(const unsigned char *at, uint32_t *bits)
{
    uint32_t a = bits_of[at[0]], b = bits_of[at[1]], c = bits_of[at[2]], d = bits_of[at[3]];
    *bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
    return a && b && c && d;
}

bool base64_decode(const char *text, size_t length, unsigned char *out, size_t *out_length)
{
    const unsigned char *at = (const unsigned char *) text;
    unsigned char *start = out;
    *out_length = 0;
    if (length % 4)
        return false;
    if (!length)
        return true;
    size_t padding = (size_t) (text[length - 1] == '=') + (text[length - 2] == '=');
    if (padding == 1 && text[length - 1] != '=')
        return false;
    const unsigned char *end = at + length - (padding ? 4 : 0);
    uint32_t bits;
    for (; at < end; at += 4, out += 3) {
        if (!group(at, &bits))
            return false;
        out[0] = (unsigned char) (bits >> 16);
        out[1] = (unsigned char) (bits >> 8);
        out[2] = (unsigned char) bits;
    }
    if (padding) {
        unsigned char last[4] = {at[0], at[1], padding == 2 ? 'A' : at[2], 'A'};
        if (!group(last, &bits) || bits & (padding == 2 ? 0xffff : 0xff))
            return false; /* bits that belong to no byte must be zero */
        *out++ = (unsigned char) (bits >> 16);
        if (padding == 1)
            *out++ = (unsigned char) (bits >> 8);
    }
    *out_length = (size_t) (out - start);
    return true;
}

void base64_encode(const void *bytes, size_t length, char *out)
{
    const unsigned char *at = bytes;
    for (; length >= 3; length -= 3, at += 3) {
        *out++ = alphabet[at[0] >> 2];
        *out++ = alphabet[(at[0] & 3) << 4 | at[1] >> 4];
        *out++ = alphabet[(at[1] & 15) << 2 | at[2] >> 6];
        *out++ = alphabet[at[2] & 63];
    }
    if (!length)
        return;
    unsigned second = length == 2 ? at[1] : 0;
    *out++ = alphabet[at[0] >> 2];
    *out++ = alphabet[(at[0] & 3) << 4 | second >> 4];
    *out++ = length == 2 ? alphabet[(second & 15) << 2] : '=';
    *out = '=';
}
