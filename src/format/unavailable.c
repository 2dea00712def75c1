/* The placeholder's forms, made once when a decoder opens. */
/* MD5() as OpenSSL 1.1 declares it: EVP_Digest() loads the providers, for which an idle daemon
 * takes 2.1 MB more. */
#define OPENSSL_API_COMPAT 10100
#include "format/unavailable.h"

#include <openssl/md5.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base64.h"

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

/* As Java's UUID.nameUUIDFromBytes(): RFC 4122, version 3, of the bytes alone. */
static bool add_uuid(struct unavailable *unavailable, const unsigned char *bytes, size_t length)
{
    unsigned char digest[16];
    MD5(bytes, length, digest);
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

/* Decodes "hex:00ff" to its bytes; any other text is returned as it is. */
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
