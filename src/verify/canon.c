/* Canonical elements. See canon.h. */
#include "verify/canon.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/time.h"

#define NUMERIC_HEADER 8 /* digits, weight, sign, scale */
#define DAY_US         INT64_C(86400000000)
#define MONTH_US       INT64_C(2629800000000) /* 30.4375 days */

void element_put_length(struct buffer *out, int32_t length)
{
    uint32_t value = __builtin_bswap32((uint32_t) length);
    buffer_add(out, &value, sizeof value);
}

enum canon canon_of(const struct pg_column *column, bool short_floats)
{
    switch (column->encoding) {
    case ENCODE_NUMERIC:
        return CANON_NUMERIC;
    case ENCODE_FLOAT4:
    case ENCODE_FLOAT8:
        return short_floats ? CANON_SHORT_FLOAT : CANON_FLOAT;
    case ENCODE_TEXT:
        return column->type == OID_BPCHAR ? CANON_BLANKS : CANON_BYTES;
    case ENCODE_JSON:
        return CANON_JSON;
    case ENCODE_JSONB:
        return CANON_JSONB;
    case ENCODE_CAST:
        return column->type == OID_INTERVAL ? CANON_INTERVAL : CANON_BYTES;
    default:
        return CANON_BYTES;
    }
}

static uint16_t get16(const char *at)
{
    return (uint16_t) ((uint8_t) at[0] << 8 | (uint8_t) at[1]);
}

static void put16(char *at, uint16_t value)
{
    at[0] = (char) (value >> 8);
    at[1] = (char) value;
}

static void set_length(struct buffer *out, size_t start, size_t length)
{
    uint32_t value = __builtin_bswap32((uint32_t) length);
    memcpy(out->bytes + start, &value, sizeof value);
    out->length = start + 4 + length;
}

/* Removes zero digits at the beginning and the end, and the scale. */
static void canon_numeric(struct buffer *out, size_t start)
{
    char *number = out->bytes + start + 4, *digits = number + NUMERIC_HEADER;
    uint16_t count = get16(number), weight = get16(number + 2), lead = 0;
    while (count && get16(digits + 2 * (count - 1)) == 0)
        count--;
    while (lead < count && get16(digits + 2 * lead) == 0)
        lead++;
    memmove(digits, digits + 2 * lead, 2 * (size_t) (count - lead));
    count -= lead;
    put16(number, count);
    put16(number + 2, count ? (uint16_t) (weight - lead) : 0);
    if (!count && get16(number + 4) == 0x4000)
        put16(number + 4, 0);
    put16(number + 6, 0);
    set_length(out, start, NUMERIC_HEADER + 2 * (size_t) count);
}

static double get_float(const char *at, int32_t length)
{
    uint64_t bits = 0;
    for (int32_t i = 0; i < length; i++)
        bits = bits << 8 | (uint8_t) at[i];
    double real;
    float single;
    uint32_t half = (uint32_t) bits;
    memcpy(&single, &half, sizeof single);
    memcpy(&real, &bits, sizeof real);
    return length == 4 ? (double) single : real;
}

static void canon_float(struct buffer *out, size_t start, bool brief)
{
    char *at = out->bytes + start + 4;
    int32_t length = element_length(out->bytes + start);
    double real = get_float(at, length);
    if (brief && isfinite(real)) {
        char text[32];
        int written = snprintf(text, sizeof text, "%.6g", real == 0 ? 0.0 : real);
        out->length = start + 4;
        buffer_add(out, text, (size_t) written);
        if (!out->failed)
            set_length(out, start, (size_t) written);
    } else if (real == 0 || isnan(real)) {
        memset(at, real == 0 ? 0 : 0x7f, (size_t) length);
    }
}

static void canon_blanks(struct buffer *out, size_t start)
{
    size_t length = (size_t) element_length(out->bytes + start);
    while (length && out->bytes[start + 4 + length - 1] == ' ')
        length--;
    set_length(out, start, length);
}

static void canon_document(struct buffer *out, size_t start, size_t skip)
{
    struct buffer room;
    size_t length = (size_t) element_length(out->bytes + start);
    buffer_init(&room);
    if (length > skip && canon_json(&room, out->bytes + start + 4 + skip, length - skip) &&
        !room.failed) {
        out->length = start + 4;
        buffer_add(out, room.bytes, room.length);
        if (!out->failed)
            set_length(out, start, room.length);
    }
    out->failed |= room.failed;
    buffer_done(&room);
}

/* Replaces an interval's iso_8601 text by its length in microseconds. */
static void canon_interval(struct buffer *out, size_t start)
{
    int64_t months, days, us;
    int32_t ps;
    char text[64];
    size_t length = (size_t) element_length(out->bytes + start);
    if (!time_parse_interval(out->bytes + start + 4, length, &months, &days, &us, &ps))
        return;
    __int128 total = (__int128) months * MONTH_US + (__int128) days * DAY_US + us;
    int written = snprintf(text, sizeof text, "%lld.%lld", (long long) (total / DAY_US),
                           (long long) (total % DAY_US));
    out->length = start + 4;
    buffer_add(out, text, (size_t) written);
    if (!out->failed)
        set_length(out, start, (size_t) written);
}

bool canon_element(enum canon canon, struct buffer *out, size_t start)
{
    if (out->failed || element_length(out->bytes + start) < 0)
        return !out->failed;
    switch (canon) {
    case CANON_BYTES:
        break;
    case CANON_NUMERIC:
        canon_numeric(out, start);
        break;
    case CANON_FLOAT:
    case CANON_SHORT_FLOAT:
        canon_float(out, start, canon == CANON_SHORT_FLOAT);
        break;
    case CANON_BLANKS:
        canon_blanks(out, start);
        break;
    case CANON_JSON:
    case CANON_JSONB:
        canon_document(out, start, canon == CANON_JSONB);
        break;
    case CANON_INTERVAL:
        canon_interval(out, start);
        break;
    }
    return !out->failed;
}
