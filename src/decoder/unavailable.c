/* The placeholder's forms, made once when a decoder opens. */
#include "decoder/unavailable.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base64.h"

/* --- MD5 (RFC 1321), for name-based UUIDs --- */

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static void md5_block(uint32_t state[4], const unsigned char *block)
{
    static const uint32_t sines[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
        0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
        0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
        0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
        0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
        0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
        0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
        0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
        0xeb86d391};
    static const unsigned char shifts[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    static const unsigned char factors[4] = {1, 5, 3, 7}, offsets[4] = {0, 1, 5, 0};
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (unsigned i = 0; i < 64; i++) {
        unsigned round = i / 16, word = (i * factors[round] + offsets[round]) % 16 * 4;
        uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                         : round == 1 ? (b & d) | (c & ~d)
                         : round == 2 ? b ^ c ^ d
                                      : c ^ (b | ~d);
        uint32_t input = (uint32_t) block[word] | (uint32_t) block[word + 1] << 8 |
                         (uint32_t) block[word + 2] << 16 | (uint32_t) block[word + 3] << 24;
        uint32_t next = b + rotate(a + mixed + sines[i] + input, shifts[round][i % 4]);
        a = d;
        d = c;
        c = b;
        b = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void md5(const unsigned char *bytes, size_t length, unsigned char digest[16])
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    unsigned char last[128] = {0};
    size_t whole = length / 64 * 64, rest = length - whole, tail = rest < 56 ? 64 : 128;
    for (size_t at = 0; at < whole; at += 64)
        md5_block(state, bytes + at);
    memcpy(last, bytes + whole, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        last[tail - 8 + (size_t) i] = (unsigned char) ((uint64_t) length * 8 >> (8 * i));
    for (size_t at = 0; at < tail; at += 64)
        md5_block(state, last + at);
    for (int i = 0; i < 16; i++)
        digest[i] = (unsigned char) (state[i / 4] >> (8 * (i % 4)));
}

/* --- forms --- */

static bool add(struct unavailable *unavailable, char *bytes, size_t length, unsigned places)
{
    if (!bytes)
        return false;
    unavailable->forms[unavailable->count++] =
        (struct unavailable_form){.bytes = bytes, .length = length, .places = places};
    unavailable->lengths |= UINT64_C(1) << (length & 63);
    return true;
}

/* `prefix`, the text between quotes (escaped), `suffix`. */
static bool add_quoted(struct unavailable *unavailable, const char *text, size_t length, bool map,
                       unsigned places)
{
    char *out = blocks_alloc(&unavailable->blocks, 4 * length + 16), *at = out;
    if (!out)
        return false;
    *at++ = map ? '{' : '[';
    for (int times = map ? 2 : 1; times > 0; times--) {
        *at++ = '"';
        for (size_t i = 0; i < length; i++) {
            if (text[i] == '"' || text[i] == '\\')
                *at++ = '\\';
            *at++ = text[i];
        }
        *at++ = '"';
        if (times == 2)
            *at++ = ':';
    }
    *at++ = map ? '}' : ']';
    return add(unavailable, out, (size_t) (at - out), places);
}

static bool add_numbers(struct unavailable *unavailable, const unsigned char *bytes, size_t length)
{
    char *out = blocks_alloc(&unavailable->blocks, 5 * length + 3);
    if (!out)
        return false;
    size_t used = 0;
    out[used++] = '[';
    for (size_t i = 0; i < length; i++) /* Java's bytes are signed */
        used += (size_t) sprintf(out + used, i ? ",%d" : "%d", (int) (signed char) bytes[i]);
    out[used++] = ']';
    return add(unavailable, out, used, UNAVAILABLE_JSON);
}

static bool add_uuid(struct unavailable *unavailable, const unsigned char *bytes, size_t length)
{
    unsigned char digest[16];
    md5(bytes, length, digest);
    digest[6] = (unsigned char) ((digest[6] & 0x0f) | 0x30); /* version 3 */
    digest[8] = (unsigned char) ((digest[8] & 0x3f) | 0x80);
    char text[40], *at = text;
    for (int i = 0; i < 16; i++)
        at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", digest[i]);
    return add_quoted(unavailable, text, (size_t) (at - text), false, UNAVAILABLE_JSON);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char) (digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* "hex:00ff" to its bytes; anything else is itself. */
static char *placeholder_bytes(struct blocks *blocks, const char *placeholder, size_t *length)
{
    char *bytes = blocks_strndup(blocks, placeholder, strlen(placeholder));
    *length = strlen(placeholder);
    if (!bytes || strncmp(placeholder, "hex:", 4) != 0 || *length % 2)
        return bytes;
    for (const char *at = placeholder + 4; *at; at++)
        if (hex_value(*at) < 0)
            return bytes;
    *length = (*length - 4) / 2;
    for (size_t i = 0; i < *length; i++)
        bytes[i] =
            (char) (hex_value(placeholder[4 + 2 * i]) * 16 + hex_value(placeholder[5 + 2 * i]));
    return bytes;
}

static bool add_encodings(struct unavailable *unavailable, const unsigned char *bytes,
                          size_t length)
{
    size_t encoded = BASE64_ENCODED(length);
    char *base64 = blocks_alloc(&unavailable->blocks, encoded + 1);
    char *hex = blocks_alloc(&unavailable->blocks, 2 * length + 1);
    if (!base64 || !hex)
        return false;
    base64_encode(bytes, length, base64);
    for (size_t i = 0; i < length; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    return add(unavailable, base64, encoded, UNAVAILABLE_BASE64 | UNAVAILABLE_TEXT) &&
           add(unavailable, hex, 2 * length, UNAVAILABLE_TEXT) &&
           add_quoted(unavailable, base64, encoded, false, UNAVAILABLE_JSON) &&
           add_quoted(unavailable, hex, 2 * length, false, UNAVAILABLE_JSON);
}

bool unavailable_init(struct unavailable *unavailable, const char *placeholder)
{
    memset(unavailable, 0, sizeof *unavailable);
    if (!*placeholder)
        return true;
    size_t length;
    char *text = placeholder_bytes(&unavailable->blocks, placeholder, &length);
    const unsigned char *bytes = (const unsigned char *) text;
    return text && add(unavailable, text, length, UNAVAILABLE_TEXT) &&
           add_encodings(unavailable, bytes, length) &&
           add_quoted(unavailable, text, length, false, UNAVAILABLE_JSON) &&
           add_quoted(unavailable, text, length, true, UNAVAILABLE_JSON | UNAVAILABLE_TEXT) &&
           add_numbers(unavailable, bytes, length) && add_uuid(unavailable, bytes, length);
}

void unavailable_done(struct unavailable *unavailable)
{
    blocks_done(&unavailable->blocks);
    memset(unavailable, 0, sizeof *unavailable);
}
