/* The JSON scanner: strings sixteen bytes at a time where the machine can, everything checked. */
#include "core/json_scan.h"
#include "core/utf8.h"

#include <string.h>

bool json_fail(struct json_scan *scan, const char *problem)
{
    if (!scan->problem)
        scan->problem = problem;
    return false;
}

bool json_no_memory(struct json_scan *scan)
{
    scan->out_of_memory = true;
    return json_fail(scan, "out of memory");
}

/* Length of the UTF-8 sequence at `at`, 0 if it is not valid. Overlong forms and surrogates are
 * not. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < length)
        return 0;
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool utf8_valid(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *) text, *end = at + length;
    while (at < end) {
        size_t step = utf8_sequence(at, (size_t) (end - at));
        if (!step)
            return false;
        at += step;
    }
    return true;
}

/* The first quote, backslash or control character from `at` on, or end. Sets *high if a byte beyond
 * ASCII comes before it. */
static inline const char *find_special(const char *at, const char *end, bool *high)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1f);
    unsigned beyond = 0;
    while (end - at >= 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *) (const void *) at);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(chunk, last_control), chunk);
        __m128i found = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash)), control);
        unsigned special = (unsigned) _mm_movemask_epi8(found);
        unsigned top = (unsigned) _mm_movemask_epi8(chunk);
        if (special) {
            unsigned index = (unsigned) __builtin_ctz(special);
            *high |= (beyond | (top & ((1U << index) - 1))) != 0;
            return at + index;
        }
        beyond |= top;
        at += 16;
    }
    *high |= beyond != 0;
#endif
    for (; at < end; at++) {
        unsigned char byte = (unsigned char) *at;
        if (byte == '"' || byte == '\\' || byte < 0x20)
            break;
        *high |= byte >= 0x80;
    }
    return at;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    char lower = (char) (byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The value of the four hex digits after "\u"; -1 if they are not hex digits. */
static int32_t read_unit(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t utf8_encode(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char) code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char) (0xc0 | code >> 6);
        out[1] = (char) (0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char) (0xe0 | code >> 12);
        out[1] = (char) (0x80 | (code >> 6 & 0x3f));
        out[2] = (char) (0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char) (0xf0 | code >> 18);
    out[1] = (char) (0x80 | (code >> 12 & 0x3f));
    out[2] = (char) (0x80 | (code >> 6 & 0x3f));
    out[3] = (char) (0x80 | (code & 0x3f));
    return 4;
}

/* Reads "\uXXXX", or a surrogate pair of them; the cursor is after the first "u". */
static bool unicode_escape(struct json_scan *scan, uint32_t *code)
{
    int32_t unit = read_unit(scan->at, scan->end);
    if (unit < 0)
        return json_fail(scan, "\\u without four hex digits");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return json_fail(scan, "a low surrogate without its high one");
    *code = (uint32_t) unit;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        const char *pair = scan->at + 4;
        int32_t low = scan->end - pair >= 6 && pair[0] == '\\' && pair[1] == 'u'
                          ? read_unit(pair + 2, scan->end)
                          : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return json_fail(scan, "a high surrogate without its low one");
        *code = 0x10000 + (((uint32_t) unit - 0xd800) << 10) + ((uint32_t) low - 0xdc00);
        scan->at += 6;
    }
    scan->at += 4;
    return true;
}

/* Decodes the escape at the cursor. `out` has room for as many bytes as the escape has. */
static bool unescape(struct json_scan *scan, char *out, size_t *written)
{
    static const char codes[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (scan->end - scan->at < 2)
        return json_fail(scan, "the text ends inside a string");
    char code = scan->at[1];
    if (code == 'u') {
        scan->at += 2;
        uint32_t point = 0;
        if (!unicode_escape(scan, &point))
            return false;
        *written = utf8_encode(out, point);
        return true;
    }
    const char *known = code ? strchr(codes, code) : NULL;
    if (!known)
        return json_fail(scan, "unknown escape in a string");
    scan->at += 2;
    *out = bytes[known - codes];
    *written = 1;
    return true;
}

/* Find the end of a string whose text starts at `text`, checking all of it; the cursor is left at
 * the closing quote. */
static bool string_extent(struct json_scan *scan, const char *text, bool *escaped)
{
    bool high = false;
    scan->at = text;
    for (;;) {
        scan->at = find_special(scan->at, scan->end, &high);
        if (scan->at == scan->end)
            return json_fail(scan, "the text ends inside a string");
        if (*scan->at == '"')
            break;
        if (*scan->at != '\\')
            return json_fail(scan, "a control character in a string");
        *escaped = true;
        char ignored[4];
        size_t written;
        if (!unescape(scan, ignored, &written))
            return false;
    }
    if (__builtin_expect(high, 0) && !scan->any_bytes &&
        !utf8_valid(text, (size_t) (scan->at - text))) {
        scan->at = text;
        return json_fail(scan, "a string that is not UTF-8");
    }
    return true;
}

/* Copy a checked string's text, escapes undone, into the arena. */
static bool unescape_all(struct json_scan *scan, struct arena *arena, const char **text,
                         size_t *length)
{
    const char *raw = *text, *end = scan->at;
    char *out = arena_alloc(arena, (size_t) (end - raw) + 1);
    if (!out)
        return json_no_memory(scan);
    *text = out;
    struct json_scan inner = {.start = raw, .at = raw, .end = end};
    while (inner.at < end) {
        const char *escape = memchr(inner.at, '\\', (size_t) (end - inner.at));
        size_t run = (size_t) ((escape ? escape : end) - inner.at);
        memcpy(out, inner.at, run);
        out += run;
        inner.at += run;
        size_t written = 0;
        if (escape && !unescape(&inner, out, &written))
            return json_fail(scan, inner.problem);
        out += written;
    }
    *length = (size_t) (out - *text);
    return true;
}

bool json_string_slow(struct json_scan *scan, struct arena *arena, const char **text,
                      size_t *length)
{
    if (json_peek(scan) != '"')
        return json_fail(scan, "expected a string");
    bool escaped = false;
    *text = scan->at + 1;
    if (!string_extent(scan, *text, &escaped))
        return false;
    *length = (size_t) (scan->at - *text);
    if (__builtin_expect(escaped, 0) && !unescape_all(scan, arena, text, length))
        return false;
    scan->at++;
    return true;
}

static inline bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* One or more digits. */
static inline bool digits(struct json_scan *scan)
{
    if (!is_digit(json_peek(scan)))
        return json_fail(scan, "a number without digits");
    do
        scan->at++;
    while (is_digit(json_peek(scan)));
    return true;
}

/* Fraction and exponent, which follow the integer part. */
static bool number_rest(struct json_scan *scan)
{
    if (json_peek(scan) == '.') {
        scan->at++;
        if (!digits(scan))
            return false;
    }
    if ((json_peek(scan) | 0x20) == 'e') {
        scan->at++;
        if (json_peek(scan) == '+' || json_peek(scan) == '-')
            scan->at++;
        if (!digits(scan))
            return false;
    }
    return true;
}

/* Reads eight digits at once; false if one of them is not a digit. Pairs, then fours, then all
 * eight are summed in parallel in one register. */
static inline bool eight_digits(const char *at, uint64_t *number)
{
    uint64_t bytes;
    memcpy(&bytes, at, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    uint64_t high = bytes & UINT64_C(0xf0f0f0f0f0f0f0f0);
    uint64_t above_nine = (bytes + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0);
    if (high != UINT64_C(0x3030303030303030) || above_nine != high)
        return false;
    bytes = (bytes & UINT64_C(0x0f0f0f0f0f0f0f0f)) * 2561 >> 8;
    bytes = (bytes & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    *number = (bytes & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
    return true;
}

bool json_number(struct json_scan *scan, struct value *value)
{
    const char *start = scan->at;
    bool negative = json_peek(scan) == '-';
    scan->at += negative;
    const char *first = scan->at;
    uint64_t magnitude = 0, eight;
    while (scan->end - scan->at >= 8 && eight_digits(scan->at, &eight)) {
        magnitude = magnitude * 100000000 + eight;
        scan->at += 8;
    }
    for (; scan->at < scan->end && is_digit(*scan->at); scan->at++)
        magnitude = magnitude * 10 + (uint64_t) (*scan->at - '0'); /* wraps only beyond 19 digits */
    size_t count = (size_t) (scan->at - first);
    if (!count)
        return json_fail(scan, "a number without digits");
    if (*first == '0' && count > 1)
        return json_fail(scan, "a number with a leading zero");
    char next = json_peek(scan);
    bool whole = next != '.' && (next | 0x20) != 'e';
    if (!whole && !number_rest(scan))
        return false;
    uint64_t limit = (uint64_t) INT64_MAX + negative;
    if (whole && count <= 19 && magnitude <= limit && !(negative && !magnitude)) {
        value->kind = VALUE_INT;
        value->length = 0;
        value->integer = (int64_t) (negative ? 0 - magnitude : magnitude);
        return true;
    }
    size_t length = (size_t) (scan->at - start);
    if (length > UINT32_MAX)
        return json_fail(scan, "a number of more than 4 GB");
    value->kind = VALUE_NUMBER;
    value->length = (uint32_t) length;
    value->bytes = start;
    return true;
}

struct value json_number_of(struct slice text)
{
    struct value value = {.kind = VALUE_NULL};
    struct json_scan scan;
    if (!text.bytes)
        return value;
    json_scan_init(&scan, text.bytes, text.length);
    char first = json_peek(&scan);
    if ((first != '-' && !is_digit(first)) || !json_number(&scan, &value) || scan.at != scan.end)
        value.kind = VALUE_NULL;
    return value;
}

bool json_word(struct json_scan *scan, const char *word, size_t length)
{
    if ((size_t) (scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
        return json_fail(scan, "expected a value");
    scan->at += length;
    return true;
}

bool json_next_member_slow(struct json_scan *scan, bool *first)
{
    bool started = !*first;
    *first = false;
    json_space(scan);
    if (json_peek(scan) == '}') {
        scan->at++;
        return false;
    }
    if (started) {
        if (json_peek(scan) != ',')
            return json_fail(scan, "expected ',' or '}'");
        scan->at++;
        json_space(scan);
    }
    if (json_peek(scan) != '"')
        return json_fail(scan, "expected a member's name");
    return true;
}

static inline bool colon(struct json_scan *scan)
{
    if (!json_take(scan, ':'))
        return json_fail(scan, "expected ':'");
    json_space(scan);
    return true;
}

bool json_name(struct json_scan *scan, struct arena *arena, const char **name, size_t *length)
{
    return json_string(scan, arena, name, length) && colon(scan);
}

static bool skip_string(struct json_scan *scan)
{
    bool escaped;
    int quick = json_short_string(scan);
    if (quick >= 0) {
        scan->at += quick + 2;
        return true;
    }
    if (!string_extent(scan, scan->at + 1, &escaped))
        return false;
    scan->at++;
    return true;
}

static bool skip_value(struct json_scan *scan, int depth);

static bool skip_object(struct json_scan *scan, int depth)
{
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first))
        if (!skip_string(scan) || !colon(scan) || !skip_value(scan, depth))
            return false;
    return !scan->problem;
}

static bool skip_array(struct json_scan *scan, int depth)
{
    scan->at++;
    if (json_take(scan, ']'))
        return true;
    do {
        json_space(scan);
        if (!skip_value(scan, depth))
            return false;
    } while (json_take(scan, ','));
    if (json_take(scan, ']'))
        return true;
    return json_fail(scan, "expected ',' or ']'");
}

static bool skip_value(struct json_scan *scan, int depth)
{
    struct value ignored;
    switch (json_peek(scan)) {
    case '"':
        return skip_string(scan);
    case '{':
    case '[':
        if (depth == JSON_DEPTH_MAX)
            return json_fail(scan, "nested more than 512 levels deep");
        return *scan->at == '{' ? skip_object(scan, depth + 1) : skip_array(scan, depth + 1);
    case 't':
        return json_word(scan, "true", 4);
    case 'f':
        return json_word(scan, "false", 5);
    case 'n':
        return json_word(scan, "null", 4);
    case '-':
        if (scan->end - scan->at > 1 && scan->at[1] == 'I')
            return json_word(scan, "-Infinity", 9);
        return json_number(scan, &ignored);
    /* NaN and Infinity, which JSON does not have and JsonConverter may write for floats */
    case 'N':
        return json_word(scan, "NaN", 3);
    case 'I':
        return json_word(scan, "Infinity", 8);
    default:
        if (is_digit(json_peek(scan)))
            return json_number(scan, &ignored);
        return json_fail(scan,
                         scan->at == scan->end ? "the text ends too early" : "expected a value");
    }
}

bool json_skip(struct json_scan *scan)
{
    return skip_value(scan, 0);
}

bool json_end(struct json_scan *scan)
{
    json_space(scan);
    return scan->at == scan->end || json_fail(scan, "more text behind the value");
}

const char *json_found(const struct json_scan *scan)
{
    char first = json_peek(scan);
    if (scan->at == scan->end)
        return "nothing";
    switch (first) {
    case '\0':
        return "something that is not JSON (it begins with a zero byte: is it Avro?)";
    case '"':
        return "a JSON string";
    case '[':
        return "a JSON array";
    default:
        return (first >= '0' && first <= '9') || first == '-' ? "a JSON number"
               : first == 't' || first == 'f'                 ? "a JSON boolean"
                                                              : "something that is not JSON";
    }
}
