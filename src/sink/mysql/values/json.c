/* Values into json columns. MySQL's own JSON has numbers of 64 bits and doubles, and nests a
 * hundred deep; MariaDB's is a text, which keeps every digit. */
#include <stdlib.h>
#include <string.h>

#include "core/json_scan.h"
#include "core/json_value.h"
#include "sink/mysql/values/encoder.h"

#define MYSQL_DEPTH_MAX 100

static bool is_json(const char *text, size_t length)
{
    struct json_scan scan;
    json_scan_init(&scan, text, length);
    json_space(&scan);
    return json_skip(&scan) && json_end(&scan);
}

/* Does MySQL keep the number? It reads an integer into 64 bits, with or without sign, and all else
 * into a double. */
static bool keeps_number(const char *text, size_t length)
{
    char copy[64], *end;
    size_t digits = 0;
    bool whole = true, scaled = false;
    for (size_t i = 0; i < length; i++) {
        digits += text[i] >= '0' && text[i] <= '9';
        scaled |= (text[i] | 0x20) == 'e';
        whole &= text[i] != '.';
    }
    whole &= !scaled;
    if (digits <= 15 && !scaled)
        return true;
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (whole && digits <= 20) {
        bool negative = *copy == '-';
        unsigned long long magnitude = strtoull(copy + negative, &end, 10);
        bool fits = digits < 20 || strcmp(copy + negative, "18446744073709551615") <= 0;
        return fits && (!negative || magnitude <= UINT64_C(1) << 63);
    }
    return mysql_float_shows(text, length, strtod(copy, &end), 64);
}

/* Looks at the numbers and the depth of what is JSON. */
static enum ods_status check_native(struct mysql_encoder *encoder, const char *text, size_t length)
{
    int depth = 0;
    bool lost = false;
    for (const char *at = text, *end = text + length; at < end; at++) {
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++)
                at += *at == '\\';
        } else if (*at == '[' || *at == '{') {
            if (++depth > MYSQL_DEPTH_MAX)
                return mysql_refuse(encoder, MYSQL_BAD_JSON,
                                    "the JSON is nested deeper than MySQL's, %d levels",
                                    MYSQL_DEPTH_MAX);
        } else if (*at == ']' || *at == '}') {
            depth--;
        } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
            const char *start = at;
            while (at + 1 < end && at[1] && strchr("+-.0123456789eE", at[1]))
                at++;
            lost |= !keeps_number(start, (size_t) (at + 1 - start));
        }
    }
    return lost ? mysql_inexact(encoder, false, "the JSON has a number of more digits than MySQL's "
                                                "JSON keeps")
                : ODS_OK;
}

static enum ods_status put_json(struct mysql_encoder *encoder, const char *text, size_t length,
                                bool checked, bool copy)
{
    bool native = strcmp(encoder->target->column_type, "json") == 0;
    if (!checked && !is_json(text, length))
        return mysql_refuse(encoder, MYSQL_BAD_JSON, "the value is not JSON");
    if (!native && encoder->target->length && length > encoder->target->length)
        return mysql_refuse(encoder, MYSQL_TOO_LONG, "the value has %zu bytes, %s takes %llu",
                            length, encoder->target->column_type,
                            (unsigned long long) encoder->target->length);
    enum ods_status status = native ? check_native(encoder, text, length) : ODS_OK;
    return status == ODS_OK ? mysql_put(encoder, MYSQL_TEXT, text, length, copy) : status;
}

enum ods_status mysql_encode_json(struct mysql_encoder *encoder)
{
    const struct value *value = encoder->value;
    struct buffer room;
    if (json_stays(encoder->source, value, false) && value->kind >= VALUE_NUMBER)
        return put_json(encoder, value->bytes, value->length, value->kind == VALUE_JSON, false);
    buffer_init(&room);
    enum ods_status status =
        json_nested(&room, encoder->source, value, false, encoder->error);
    if (status == ODS_OK && room.failed)
        status = error_out_of_memory(encoder->error);
    if (status == ODS_OK)
        status = put_json(encoder, room.bytes, room.length, false, true);
    buffer_done(&room);
    return status;
}
