/* The time in a heartbeat of Debezium's: {"ts_ms": …} in JSON, with a schema or without, or the
 * same struct in Avro or Protobuf behind a schema's id. */
#include <string.h>

#include "core/json_scan.h"
#include "format/debezium/debezium.h"

#define MEMBER      "\"ts_ms\""
#define FRAME_BYTES 5
#define MOST_MS     INT64_C(9000000000000) /* the year 2255 */

static int64_t of_ms(int64_t ms)
{
    return ms > 0 && ms < MOST_MS ? ms * 1000 : 0;
}

/* In a schema the name is a value, with no colon behind it. */
static int64_t in_json(struct slice json)
{
    const char *at = json.bytes, *end = json.bytes + json.length;
    while ((at = memmem(at, (size_t) (end - at), MEMBER, sizeof MEMBER - 1))) {
        struct json_scan scan;
        struct value value;
        at += sizeof MEMBER - 1;
        json_scan_init(&scan, at, (size_t) (end - at));
        if (!json_take(&scan, ':'))
            continue;
        json_space(&scan);
        if (json_number(&scan, &value) && value.kind == VALUE_INT)
            return of_ms(value.integer);
    }
    return 0;
}

/* A number of seven bits a byte that fills the bytes exactly. */
static bool take_number(const char *bytes, size_t length, uint64_t *number)
{
    size_t i = 0;
    *number = 0;
    while (i < length && i < 9) {
        uint64_t byte = (unsigned char) bytes[i];
        *number |= (byte & 0x7f) << (7 * i++);
        if (!(byte & 0x80))
            return i == length;
    }
    return false;
}

int64_t heartbeat_us(const struct record *record)
{
    uint64_t number;
    if (!record->value)
        return 0;
    struct slice json = json_of_record(record->value, record->value_length);
    if (json.length && *json.bytes == '{')
        return in_json(json);
    if (record->value_length <= FRAME_BYTES + 2 || *record->value)
        return 0;
    const char *body = record->value + FRAME_BYTES;
    size_t length = record->value_length - FRAME_BYTES;
    if (take_number(body, length, &number)) /* Avro's numbers have their sign in the last bit */
        return number & 1 ? 0 : of_ms((int64_t) (number >> 1));
    if (!body[0] && body[1] == 0x08 && take_number(body + 2, length - 2, &number))
        return of_ms((int64_t) number);
    return 0;
}
