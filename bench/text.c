#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static char *reserve(struct text *text, size_t more)
{
    if (text->room - text->length < more) {
        size_t room = text->room ? text->room : 1024;
        while (room - text->length < more)
            room *= 2;
        char *data = realloc(text->data, room);
        if (!data)
            die("out of memory for %zu bytes", room);
        text->data = data;
        text->room = room;
    }
    return text->data + text->length;
}

void text_bytes(struct text *text, const void *bytes, size_t length)
{
    memcpy(reserve(text, length + 1), bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_string(struct text *text, const char *string)
{
    text_bytes(text, string, strlen(string));
}

void text_integer(struct text *text, int64_t number)
{
    char digits[24], *at = digits + sizeof(digits);
    uint64_t rest = number < 0 ? -(uint64_t) number : (uint64_t) number;
    do {
        *--at = (char) ('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--at = '-';
    text_bytes(text, at, (size_t) (digits + sizeof(digits) - at));
}

void text_format(struct text *text, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length < 0 || (size_t) length >= sizeof(line))
        die("text_format: more than %zu bytes from '%s'", sizeof(line), format);
    text_bytes(text, line, (size_t) length);
}

/* A four-byte UTF-8 sequence as \uXXXX\uXXXX. */
static void surrogates(struct text *text, const unsigned char *at)
{
    uint32_t code = (uint32_t) (at[0] & 7) << 18 | (uint32_t) (at[1] & 63) << 12 |
                    (uint32_t) (at[2] & 63) << 6 | (uint32_t) (at[3] & 63);
    code -= 0x10000;
    text_format(text, "\\u%04X\\u%04X", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
}

void text_json(struct text *text, const char *string, size_t length)
{
    const char *end = string + length, *plain = string;
    text_bytes(text, "\"", 1);
    for (const char *at = string; at < end;) {
        unsigned char c = (unsigned char) *at;
        if (c >= 0x20 && c != '"' && c != '\\' && c < 0xF0) {
            at++;
            continue;
        }
        text_bytes(text, plain, (size_t) (at - plain));
        if (c >= 0xF0) {
            surrogates(text, (const unsigned char *) at);
            at += 4;
        } else {
            switch (c) {
            case '\n':
                text_string(text, "\\n");
                break;
            case '\t':
                text_string(text, "\\t");
                break;
            case '"':
            case '\\':
                text_bytes(text, (char[]){'\\', (char) c}, 2);
                break;
            default:
                text_format(text, "\\u%04X", c);
            }
            at++;
        }
        plain = at;
    }
    text_bytes(text, plain, (size_t) (end - plain));
    text_bytes(text, "\"", 1);
}

void text_copy(struct text *text, const char *string, size_t length)
{
    const char *end = string + length, *plain = string;
    for (const char *at = string; at < end; at++) {
        const char *escape = *at == '\n'   ? "\\n"
                             : *at == '\t' ? "\\t"
                             : *at == '\r' ? "\\r"
                             : *at == '\\' ? "\\\\"
                                           : NULL;
        if (!escape)
            continue;
        text_bytes(text, plain, (size_t) (at - plain));
        text_string(text, escape);
        plain = at + 1;
    }
    text_bytes(text, plain, (size_t) (end - plain));
}

/* How many bytes of `bytes` it takes. */
static size_t big_endian(unsigned char bytes[8], int64_t unscaled)
{
    size_t count = 1;
    while (count < 8 && unscaled >> (8 * count - 1) != unscaled >> 63)
        count++;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char) (unscaled >> (8 * (count - 1 - i)));
    return count;
}

void text_base64(struct text *text, const void *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i += 3) {
        bool second = i + 1 < length, third = i + 2 < length;
        uint32_t three = (uint32_t) at[i] << 16 | (second ? (uint32_t) at[i + 1] << 8 : 0) |
                         (third ? at[i + 2] : 0);
        char four[] = {digits[three >> 18], digits[three >> 12 & 63],
                       second ? digits[three >> 6 & 63] : '=', third ? digits[three & 63] : '='};
        text_bytes(text, four, sizeof(four));
    }
}

void text_unscaled(struct text *text, int64_t unscaled)
{
    unsigned char bytes[8];
    text_base64(text, bytes, big_endian(bytes, unscaled));
}

void text_avro_long(struct text *text, int64_t number)
{
    uint64_t rest = (uint64_t) number << 1 ^ (uint64_t) (number >> 63);
    unsigned char bytes[10];
    size_t count = 0;
    for (; rest > 0x7F; rest >>= 7)
        bytes[count++] = (unsigned char) (rest | 0x80);
    bytes[count++] = (unsigned char) rest;
    text_bytes(text, bytes, count);
}

void text_avro_bytes(struct text *text, const void *bytes, size_t length)
{
    text_avro_long(text, (int64_t) length);
    text_bytes(text, bytes, length);
}

void text_avro_string(struct text *text, const char *string)
{
    text_avro_bytes(text, string, strlen(string));
}

void text_avro_unscaled(struct text *text, int64_t unscaled)
{
    unsigned char bytes[8];
    text_avro_bytes(text, bytes, big_endian(bytes, unscaled));
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}
