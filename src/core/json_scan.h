/* A strict, single-pass JSON scanner for records: no tree, no copy where none is needed.
 *
 * A cursor walks over bytes that the caller owns. Every function starts at a token (white space
 * already skipped), leaves the cursor behind it, and answers false when the text is not JSON: then
 * `problem` says why and `at` where. Whatever is walked over is checked in full: structure,
 * strings (UTF-8, escapes, no control characters), numbers by the grammar of RFC 8259.
 * No state outside the struct; any thread.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/batch.h>
#include <ods/value.h>

#define JSON_DEPTH_MAX 512

struct json_scan {
    const char *start, *at, *end;
    const char *problem; /* static text, NULL while all is well */
    bool out_of_memory;  /* the problem is the machine's, not the text's */
    bool any_bytes;      /* strings need not be UTF-8 (kcat passes payloads as they are) */
};

/* A piece of text that lies in someone else's memory. */
struct slice {
    const char *bytes; /* NULL: there is none */
    size_t length;
};

static inline void json_scan_init(struct json_scan *scan, const char *bytes, size_t length)
{
    *scan = (struct json_scan) {.start = bytes, .at = bytes, .end = bytes + length};
}

/* Note the first problem; always false. */
bool json_fail(struct json_scan *scan, const char *problem);

static inline bool json_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline void json_space(struct json_scan *scan)
{
    while (scan->at < scan->end && json_blank(*scan->at))
        scan->at++;
}

/* The byte at the cursor, 0 at the end (which no token starts with). */
static inline char json_peek(const struct json_scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

/* Skip white space, then take this byte if it is there. */
static inline bool json_take(struct json_scan *scan, char byte)
{
    json_space(scan);
    if (json_peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

/* Walk over any value. */
bool json_skip(struct json_scan *scan);

/* A string's text, unescaped: points into the source where it has no escape, else into the arena. */
bool json_string(struct json_scan *scan, struct arena *arena, const char **text, size_t *length);

/* A number: VALUE_INT where int64 holds it exactly ("-0" is not exact), else VALUE_NUMBER. */
bool json_number(struct json_scan *scan, struct value *value);

/* The literal word at the cursor, say "null". */
bool json_word(struct json_scan *scan, const char *word, size_t length);

/* The name of an object's next member and its colon; the cursor then stands at the value. */
bool json_name(struct json_scan *scan, struct arena *arena, const char **name, size_t *length);

/* Step through an object: `first` starts true. True: a member follows, and json_name() takes it.
 * False: the object has ended, or there is a problem. The cursor starts behind the brace. */
bool json_next_member(struct json_scan *scan, bool *first);

/* Nothing but white space may follow. */
bool json_end(struct json_scan *scan);

bool utf8_valid(const char *text, size_t length);

static inline bool slice_is(struct slice slice, const char *text, size_t length)
{
    return slice.length == length && __builtin_memcmp(slice.bytes, text, length) == 0;
}

#define SLICE_IS(slice, literal) slice_is(slice, literal, sizeof literal - 1)

#endif
