/* UTF-8 as RFC 3629 has it: nothing overlong, no surrogates, nothing above U+10FFFF. See utf8.h. */
#include "core/utf8.h"

#include <string.h>

/* The length of a character by its first byte, 0 if no character begins with it. *low and *high:
 * the bounds of the second byte. */
static size_t size_of(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* How many bytes of a character are present; *whole: how many there should be. */
static size_t bytes_there(const unsigned char *at, size_t length, size_t *whole)
{
    unsigned char low, high;
    size_t count = 1;
    *whole = size_of(*at, &low, &high);
    for (; count < *whole && count < length; count++) {
        if (at[count] < low || at[count] > high)
            break;
        low = 0x80;
        high = 0xbf;
    }
    return count;
}

size_t utf8_next(const char *at, size_t length, bool *good)
{
    size_t whole, count = bytes_there((const unsigned char *) at, length, &whole);
    *good = count == whole;
    return count;
}

size_t utf8_cut(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *) text;
    for (size_t back = 1; back < 4 && back <= length; back++) {
        const unsigned char *at = bytes + length - back;
        if ((*at & 0xc0) == 0x80)
            continue;
        size_t whole, count = bytes_there(at, back, &whole);
        return count == back && count < whole ? length - back : length;
    }
    return length;
}

size_t utf8_copy(char *out, size_t size, const char *text, size_t length)
{
    static const char replacement[] = UTF8_REPLACEMENT;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        bool good;
        size_t count = utf8_next(text + at, length - at, &good);
        size_t bytes = good ? count : sizeof replacement - 1;
        if (used + bytes >= size)
            break;
        memcpy(out + used, good ? text + at : replacement, bytes);
        used += bytes;
        at += count;
    }
    out[used] = '\0';
    return used;
}

void utf8_mend(char *text, size_t size)
{
    size_t length = strlen(text);
    if (utf8_valid(text, length))
        return;
    char copy[length + 1];
    memcpy(copy, text, length + 1);
    utf8_copy(text, size, copy, length);
}
