/* The short way of encoding gives the bytes of the long one, whatever the value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/settings.h"
#include "sink/postgres/values/encode_plain.h"

#define COUNT(array) (sizeof array / sizeof *array)
#define ROUNDS       400000
#define NUMERIC(precision, scale) (((precision) << 16 | (scale)) + 4)

static const struct {
    enum encoding encoding;
    Oid type;
    int32_t modifiers[5];
} targets[] = {
    {ENCODE_INT2, 21, {-1, -1, -1, -1, -1}},
    {ENCODE_INT4, 23, {-1, -1, -1, -1, -1}},
    {ENCODE_INT8, 20, {-1, -1, -1, -1, -1}},
    {ENCODE_TEXT, 25, {-1, -1, -1, -1, -1}},
    {ENCODE_TEXT, 1043, {-1, 4 + 1, 4 + 6, 4 + 20, 4 + 30}},
    {ENCODE_TEXT, 1042, {-1, 4 + 1, 4 + 6, 4 + 20, 4 + 30}},
    {ENCODE_DATE, 1082, {-1, -1, -1, -1, -1}},
    {ENCODE_TIMESTAMP, 1114, {-1, 0, 3, 5, 6}},
    {ENCODE_TIMESTAMPTZ, 1184, {-1, 0, 3, 5, 6}},
    {ENCODE_NUMERIC, 1700, {-1, NUMERIC(10, 2), NUMERIC(15, 0), NUMERIC(4, 4), NUMERIC(38, 10)}},
};

static const enum semantic types[] = {
    SEM_UNKNOWN, SEM_INT8,         SEM_INT32,        SEM_INT64,           SEM_STRING, SEM_DECIMAL,
    SEM_DATE,    SEM_TIMESTAMP_MS, SEM_TIMESTAMP_US, SEM_ZONED_TIMESTAMP, SEM_YEAR,   SEM_ENUM};

static const char *const texts[] = {
    "",         "plain",     "seven77",   "Ünïcode",   "ends in blanks   ",
    "infinity", "-infinity", "x\0y",      "12.50",     "2025-12-19",
    "2025-12-19T13:51:30Z",  "2025-12-19T13:51:30.123Z", "2025-12-19 13:51:30.123456+02:00",
    "2025-12-19T13:51:30.1234567Z", "2025-02-29T00:00:00Z", "1969-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",  "9999-12-31T23:59:60Z", "0000-00-00T00:00:00Z",
    "-0.00", "007.50", ".5", "5.", "1e3", "-12345678901.23", "999999999999999",
    "1234567890123456", "1.2.3", "-", "0.000012", "47419271.10",
    "294276-12-31T23:59:59.999999Z", "-4713-11-24T00:00:00Z", "0044-03-15 BC",
};

static uint64_t random_word(void)
{
    static uint64_t state = 20261127;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int64_t random_integer(void)
{
    static const int64_t special[] = {0,          -1,         INT16_MAX,  INT16_MIN,
                                      INT32_MAX,  INT32_MIN,  INT64_MAX,  INT64_MIN,
                                      INT64_C(-185543533774800000), 2440000, -2440588};
    if (random_word() % 4 == 0)
        return special[random_word() % COUNT(special)] ^ (int64_t) (random_word() % 2);
    int64_t number = (int64_t) (random_word() >> random_word() % 64);
    return random_word() % 2 ? number : -number;
}

static struct value random_value(unsigned char bytes[9])
{
    static const enum value_kind kinds[] = {VALUE_INT, VALUE_TEXT, VALUE_BYTES, VALUE_BOOL};
    struct value value = {.kind = (uint8_t) kinds[random_word() % COUNT(kinds)]};
    if (value.kind == VALUE_BYTES) {
        uint64_t word = (uint64_t) random_integer();
        for (int i = 0; i < 9; i++, word >>= 8)
            bytes[8 - i] = (unsigned char) word;
        value.length = (uint32_t) (random_word() % 10);
        value.bytes = (const char *) bytes + 9 - value.length;
    } else if (value.kind == VALUE_TEXT) {
        size_t at = random_word() % COUNT(texts);
        value.bytes = texts[at];
        value.length = strcmp(texts[at], "x") == 0 ? 3 : (uint32_t) strlen(texts[at]);
    } else {
        value.integer = value.kind == VALUE_BOOL ? (int64_t) (random_word() % 2) : random_integer();
    }
    return value;
}

/* As encode_value() goes on where the short way is not taken. */
static enum ods_status the_long_way(struct encoder *encoder, struct buffer *out,
                                    const struct pg_column *target, const struct column *column,
                                    const struct value *value, struct error *error)
{
    struct inferred inferred;
    enum ods_status status = ODS_OK;
    if (column->type == SEM_UNKNOWN)
        status = infer_value(encoder, target, &column, &value, &inferred, error);
    return status == ODS_OK ? encode_as(encoder, out, target, column, value, error) : status;
}

static void both_ways_give_the_same_bytes(void **state)
{
    static const struct source_settings settings = {.connector = ""};
    struct encoder encoder;
    struct buffer plain, whole;
    unsigned taken[COUNT(targets)] = {0};
    encoder_init(&encoder, &settings);
    encoder.inexact = INEXACT_REJECT;
    buffer_init(&plain);
    buffer_init(&whole);
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t at = random_word() % COUNT(targets);
        unsigned char bytes[9];
        struct pg_column target = {.name = "c",
                                   .cast = "t",
                                   .type = targets[at].type,
                                   .encoding = targets[at].encoding,
                                   .modifier = targets[at].modifiers[random_word() % 5]};
        struct column column = {.name = "c",
                                .type = types[random_word() % COUNT(types)],
                                .length = -1,
                                .scale = (int32_t) (random_word() % 8)};
        struct value value = random_value(bytes);
        struct error error;
        error_init(&error);
        buffer_reset(&plain);
        buffer_reset(&whole);
        if (!encode_plain(&plain, &target, &column, &value)) {
            assert_int_equal(plain.length, 0);
            continue;
        }
        taken[at]++;
        enum ods_status status =
            the_long_way(&encoder, &whole, &target, &column, &value, &error);
        if (status != ODS_OK || plain.length != whole.length ||
            memcmp(plain.bytes, whole.bytes, plain.length) != 0)
            fail_msg("type %u modifier %d from %s, kind %u, %lld '%.*s' scale %d: %s",
                     target.type, target.modifier, semantic_name(column.type), value.kind,
                     (long long) value.integer,
                     value.kind == VALUE_TEXT ? (int) value.length : 0, value.bytes, column.scale,
                     status == ODS_OK ? "other bytes" : error.text);
    }
    for (size_t i = 0; i < COUNT(targets); i++)
        assert_true(taken[i] > 100);
    buffer_done(&plain);
    buffer_done(&whole);
    encoder_done(&encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_give_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
