/* libFuzzer: the conversions of src/core. The first byte chooses one, the rest is its input.
 *
 * Each is held against another way to the same answer: its inverse, itself a second time, another
 * parser, or the number modulo a prime. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/base64.h"
#include "core/decimal.h"
#include "core/json_scan.h"
#include "core/utf8.h"
#include "core/source_type.h"
#include "core/text_nested.h"
#include "core/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t take_integer(const char **text, size_t *size)
{
    int64_t integer = 0;
    size_t count = *size < sizeof integer ? *size : sizeof integer;
    memcpy(&integer, *text, count);
    *text += count;
    *size -= count;
    return integer;
}

static bool same(const struct buffer *a, const struct buffer *b)
{
    return a->length == b->length && (!a->length || memcmp(a->bytes, b->bytes, a->length) == 0);
}

static void try_base64(const char *text, size_t size, struct buffer *out, struct buffer *again)
{
    size_t length;
    char *bytes = buffer_take(out, BASE64_DECODED_MAX(size) + 1);
    if (base64_decode(text, size, (unsigned char *) bytes, &length)) {
        /* One text for each value: nothing else decodes to these bytes. */
        base64_encode(bytes, length, buffer_take(again, BASE64_ENCODED(length)));
        assert(again->length == size && (!size || memcmp(again->bytes, text, size) == 0));
    }
    buffer_reset(again);
    base64_encode(text, size, buffer_take(again, BASE64_ENCODED(size)));
    buffer_reset(out);
    bytes = buffer_take(out, BASE64_DECODED_MAX(again->length) + 1);
    assert(base64_decode(again->bytes, again->length, (unsigned char *) bytes, &length));
    assert(length == size && (!size || memcmp(bytes, text, size) == 0));
}

/* Digits with at most one point, and a sign before them. */
static void check_plain(const struct buffer *decimal)
{
    size_t digits = 0, points = 0;
    for (size_t i = 0; i < decimal->length; i++) {
        char at = decimal->bytes[i];
        assert((at >= '0' && at <= '9') || at == '.' || (at == '-' && i == 0));
        digits += at >= '0' && at <= '9';
        points += at == '.';
    }
    assert(digits && points <= 1);
}

static void try_decimal_text(const char *text, size_t size, struct buffer *out,
                             struct buffer *again)
{
    if (!decimal_from_text(out, text, size))
        return;
    check_plain(out);
    assert(decimal_from_text(again, out->bytes, out->length) && same(out, again));
}

#define PRIME 1000003

static void try_decimal_bytes(const char *text, size_t size, struct buffer *out,
                              struct buffer *again)
{
    int32_t scale = (int32_t) take_integer(&text, &size) % 20000;
    if (decimal_from_bytes(out, text, size, scale))
        check_plain(out);
    buffer_reset(out);
    if (!decimal_from_bytes(out, text, size, 0))
        return;
    int64_t bytes_rest = size && text[0] & 0x80 ? PRIME - 1 : 0, digits_rest = 0;
    for (size_t i = 0; i < size; i++)
        bytes_rest = (bytes_rest * 256 + (unsigned char) text[i]) % PRIME;
    bool negative = out->bytes[0] == '-';
    for (size_t i = negative; i < out->length; i++)
        digits_rest = (digits_rest * 10 + (out->bytes[i] - '0')) % PRIME;
    assert((negative ? (PRIME - digits_rest) % PRIME : digits_rest) == bytes_rest);
    assert(decimal_from_text(again, out->bytes, out->length) && same(out, again));
}

/* What was read is written so that it reads back the same; years before Christ have no ISO form in
 * PostgreSQL's writing. */
static void try_timestamp(const char *text, size_t size, struct buffer *out, struct buffer *again)
{
    int64_t us, back;
    int32_t ps;
    bool zoned;
    if (!time_parse_timestamp(text, size, &us, &ps, &zoned))
        return;
    assert(ps >= 0 && ps < 1000000);
    time_format_timestamp(out, us, false);
    if (memmem(out->bytes, out->length, " BC", 3))
        return;
    assert(time_parse_timestamp(out->bytes, out->length, &back, &ps, &zoned));
    assert(back == us && !ps && !zoned);
    time_format_timestamp(again, us, true);
    assert(time_parse_timestamp(again->bytes, again->length, &back, &ps, &zoned));
    assert(back == us && !ps && zoned);
}

static void try_time(const char *text, size_t size, struct buffer *out, struct buffer *again)
{
    int64_t us, back;
    int32_t ps;
    if (time_parse_time(text, size, &us, &ps)) {
        assert(ps >= 0 && ps < 1000000);
        time_format_time(out, us);
        assert(time_parse_time(out->bytes, out->length, &back, &ps) == out->length);
        assert(back == us && !ps);
    }
    int64_t any = take_integer(&text, &size), year;
    int month, day;
    buffer_reset(out);
    time_format_time(out, any);
    time_format_timestamp(again, any, true);
    time_civil(any / 1024, &year, &month, &day);
    assert(month >= 1 && month <= 12 && day >= 1 && day <= 31);
    assert(time_days(year, month, day) == any / 1024);
}

static void try_interval(const char *text, size_t size, struct buffer *out, struct buffer *again)
{
    int64_t months, days, us;
    int32_t ps;
    if (!time_parse_interval(text, size, &months, &days, &us, &ps))
        return;
    assert(ps > -1000000 && ps < 1000000);
    time_format_interval(out, months, days, us, ps);
    assert(out->length);
}

/* What the scanner takes a strict parser takes too, and the other way round, but for depth. */
static void try_json(const char *text, size_t size, struct buffer *out, struct buffer *again)
{
    struct json_scan scan;
    json_scan_init(&scan, text, size);
    json_space(&scan);
    bool good = json_skip(&scan) && json_end(&scan);
    assert(good == !scan.problem);
    yyjson_doc *loose = yyjson_read(text, size, YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_doc *strict = yyjson_read(text, size, YYJSON_READ_NUMBER_AS_RAW);
    assert(!good || loose || memmem(text, size, "e", 1) || memmem(text, size, "E", 1) ||
           size > 300);
    assert(good || !strict || strstr(scan.problem, "deep"));
    yyjson_doc_free(loose);
    yyjson_doc_free(strict);
    json_scan_init(&scan, text, size);
    struct arena arena;
    const char *string;
    size_t length;
    arena_init(&arena);
    if (json_peek(&scan) == '"' && json_string(&scan, &arena, &string, &length)) {
        assert(length <= size && utf8_valid(string, length));
    }
    struct value number;
    json_scan_init(&scan, text, size);
    if (json_number(&scan, &number)) {
        assert(decimal_from_text(out, text, (size_t) (scan.at - text)) || size > 6);
        if (number.kind == VALUE_INT) {
            buffer_printf(again, "%lld", (long long) number.integer);
            assert(same(out, again));
        }
    }
    arena_done(&arena);
}

static void try_source_type(const char *text, size_t size, struct buffer *out,
                            struct buffer *again)
{
    struct source_type type;
    buffer_add(out, text, size);
    const char *problem = source_type_parse(buffer_text(out), &type);
    assert(problem ? *problem != '\0' : (unsigned) type.column.type < SEM_COUNT);
    assert(problem || !type.column.element || type.column.element == &type.element);
}

static void try_float(const char *text, size_t size, struct buffer *out, struct buffer *again)
{
    for (int bits = 32; bits <= 64; bits += 32) {
        buffer_reset(out);
        buffer_reset(again);
        if (!text_float(out, text, size, bits))
            continue;
        buffer_add(again, text, size);
        const char *a = buffer_text(again), *b = buffer_text(out);
        if (bits == 32)
            assert(strtof(a, NULL) == strtof(b, NULL) || isnan(strtof(a, NULL)));
        else
            assert(strtod(a, NULL) == strtod(b, NULL) || isnan(strtod(a, NULL)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const conversions[])(const char *, size_t, struct buffer *, struct buffer *) = {
        try_base64, try_decimal_text, try_decimal_bytes, try_timestamp,   try_time,
        try_json,   try_interval,     try_source_type,   try_float,
    };
    struct buffer out, again;
    if (!size)
        return 0;
    /* Exactly as long as it is: what reads behind the end is found. */
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    buffer_init(&out);
    buffer_init(&again);
    char *exact = realloc(text, size > 1 ? size - 1 : 1);
    conversions[data[0] % (sizeof conversions / sizeof *conversions)](exact, size - 1, &out,
                                                                      &again);
    buffer_done(&out);
    buffer_done(&again);
    free(exact);
    return 0;
}
