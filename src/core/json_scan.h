/* A strict, single-pass JSON scanner for records: no tree, no copy where none is needed.
 *
 * A cursor moves over bytes that the caller owns. Every function starts at a token (white space
 * already skipped), moves the cursor past it, and returns false if the text is not JSON: then
 * `problem` says why and `at` where. Everything that the cursor passes is checked in full:
 * structure, strings (UTF-8, escapes, no control characters), numbers by the grammar of RFC 8259.
 * No state outside the struct; any thread.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/batch.h>
#include <ods/value.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define JSON_DEPTH_MAX 512

struct json_scan {
    const char *start, *at, *end;
    const char *problem; /* static text, NULL while all is well */
    bool out_of_memory;  /* the text may be good: there was no memory to read it */
    bool any_bytes;      /* strings need not be UTF-8 (kcat passes payloads as they are) */
};

/* A piece of text that lies in someone else's memory. */
struct slice {
    const char *bytes; /* NULL: there is none */
    size_t length;
};

/* The JSON of a record's key or value. Serializers for JSON Schema put a zero byte, with which no
 * JSON begins, and four bytes of the schema's id before it. They are passed over where an object or
 * a string follows: a number could be the bytes of an Avro record. */
static inline struct slice json_of_record(const char *bytes, size_t length)
{
    bool framed = length > 5 && !*bytes && (bytes[5] == '{' || bytes[5] == '"');
    return framed ? (struct slice){bytes + 5, length - 5} : (struct slice){bytes, length};
}

static inline void json_scan_init(struct json_scan *scan, const char *bytes, size_t length)
{
    *scan = (struct json_scan){.start = bytes, .at = bytes, .end = bytes + length};
}

/* Note the first problem; always false. */
bool json_fail(struct json_scan *scan, const char *problem);
bool json_no_memory(struct json_scan *scan); /* the same, out of memory */

static inline bool json_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline void json_space(struct json_scan *scan)
{
    while (scan->at < scan->end && json_blank(*scan->at))
        scan->at++;
}

/* The byte at the cursor; 0 at the end, since no token starts with it. */
static inline char json_peek(const struct json_scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

/* Skip white space, then move past this byte if it comes next. */
static inline bool json_take(struct json_scan *scan, char byte)
{
    json_space(scan);
    if (json_peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

/* Moves past any value. */
bool json_skip(struct json_scan *scan);

/* A string's text, unescaped: points into the source where it has no escape, else into the arena.
 */
bool json_string_slow(struct json_scan *scan, struct arena *arena, const char **text,
                      size_t *length);

/* Length of the string after the quote at the cursor, if it is shorter than sixteen bytes, plain
 * ASCII and without escapes, as most are. -1: it is not, and needs a closer look. */
static inline int json_short_string(const struct json_scan *scan)
{
#ifdef __SSE2__
    if (scan->end - scan->at < 17 || *scan->at != '"')
        return -1;
    __m128i chunk = _mm_loadu_si128((const __m128i *) (const void *) (scan->at + 1));
    unsigned quotes = (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(chunk, _mm_set1_epi8('"')));
    /* The comparison is signed: bytes beyond ASCII are negative, so they too are less than a space.
     */
    unsigned others = (unsigned) _mm_movemask_epi8(_mm_or_si128(
        _mm_cmpeq_epi8(chunk, _mm_set1_epi8('\\')), _mm_cmplt_epi8(chunk, _mm_set1_epi8(0x20))));
    if (!quotes || others & (quotes - 1) & ~quotes)
        return -1;
    return __builtin_ctz(quotes);
#else
    return -1;
#endif
}

static inline bool json_string(struct json_scan *scan, struct arena *arena, const char **text,
                               size_t *length)
{
    int quick = json_short_string(scan);
    if (quick < 0)
        return json_string_slow(scan, arena, text, length);
    *text = scan->at + 1;
    *length = (size_t) quick;
    scan->at += quick + 2;
    return true;
}

/* A number: VALUE_INT where int64 holds it exactly ("-0" is not exact), else VALUE_NUMBER. */
bool json_number(struct json_scan *scan, struct value *value);

/* The number that the whole text is; VALUE_NULL if it is anything else or NULL. */
struct value json_number_of(struct slice text);

/* The literal word at the cursor, say "null". */
bool json_word(struct json_scan *scan, const char *word, size_t length);

/* The name of an object's next member and its colon; the cursor then stands at the value. */
bool json_name(struct json_scan *scan, struct arena *arena, const char **name, size_t *length);

bool json_next_member_slow(struct json_scan *scan, bool *first);

/* Step through an object: `first` starts true. True: a member follows, and json_name() takes it.
 * False: the object has ended, or there is a problem. The cursor starts behind the brace. */
static inline bool json_next_member(struct json_scan *scan, bool *first)
{
    if (scan->end - scan->at < 2 || scan->at[0] != ',' || scan->at[1] != '"' || *first)
        return json_next_member_slow(scan, first);
    scan->at++;
    return true;
}

/* Nothing but white space may follow. */
bool json_end(struct json_scan *scan);

/* Whether `length` bytes are the same; for short texts of known length, without a call. */
static inline bool json_same(const char *a, const char *b, size_t length)
{
    uint64_t x, y;
    if (length < 8) {
        for (; length; length--)
            if (*a++ != *b++)
                return false;
        return true;
    }
    for (size_t at = 0; at + 8 < length; at += 8) {
        __builtin_memcpy(&x, a + at, 8);
        __builtin_memcpy(&y, b + at, 8);
        if (x != y)
            return false;
    }
    __builtin_memcpy(&x, a + length - 8, 8);
    __builtin_memcpy(&y, b + length - 8, 8);
    return x == y;
}

/* What is at the cursor instead of an object, for a message. */
const char *json_found(const struct json_scan *scan);

static inline bool slice_is(struct slice slice, const char *text, size_t length)
{
    return slice.length == length && __builtin_memcmp(slice.bytes, text, length) == 0;
}

#define SLICE_IS(slice, literal) slice_is(slice, literal, sizeof literal - 1)

#endif
