/* Values into PostgreSQL's binary form: what must be refused, and what the integration tests can't
 * send, because no record carries it so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/settings.h"
#include "sink/postgres/values/encode.h"

#define COUNT(array) (sizeof array / sizeof *array)
#define OK           NULL

struct encode_case {
    enum encoding target;
    enum semantic type;
    struct value value;
    const char *sqlstate; /* of the refusal; OK: it is taken */
};

#define INTEGER(number)                                                                            \
    {                                                                                              \
        .kind = VALUE_INT, .integer = (number)                                                     \
    }
#define BYTES(kind_, literal)                                                                      \
    {                                                                                              \
        .kind = (kind_), .length = sizeof literal - 1, .bytes = (literal)                          \
    }
#define TEXT(literal)   BYTES(VALUE_TEXT, literal)
#define NUMBER(literal) BYTES(VALUE_NUMBER, literal)

static const struct encode_case cases[] = {
    /* What stands behind a zero byte belongs to the value. */
    {ENCODE_FLOAT8, SEM_STRING, TEXT("1.5"), OK},
    {ENCODE_FLOAT8, SEM_STRING, TEXT("1\0garbage"), "22P02"},
    {ENCODE_TIME, SEM_STRING, TEXT("10:20:30\0garbage"), "22007"},
    {ENCODE_TIMESTAMP, SEM_STRING, TEXT("2025-01-01T00:00:00\0"), "22007"},
    /* Blanks are passed over, as PostgreSQL does it; what else strtod() takes is refused. */
    {ENCODE_FLOAT8, SEM_STRING, TEXT("\v1"), OK},
    {ENCODE_FLOAT8, SEM_STRING, TEXT("0x10"), "22P02"},
    {ENCODE_FLOAT8, SEM_STRING, TEXT("nan(1)"), "22P02"},
    {ENCODE_FLOAT8, SEM_STRING, TEXT("-Infinity"), OK},
    {ENCODE_TIME, SEM_STRING, TEXT("+1: 2"), "22007"},
    {ENCODE_TIME, SEM_STRING, TEXT("10:20Z"), OK},
    /* A number that would become zero is as wrong as one that would become infinite. */
    {ENCODE_FLOAT8, SEM_FLOAT64, NUMBER("1e-400"), "22003"},
    {ENCODE_FLOAT8, SEM_FLOAT64, NUMBER("4.9e-324"), OK},
    {ENCODE_FLOAT8, SEM_FLOAT64, NUMBER("0e-400"), OK},
    {ENCODE_FLOAT4, SEM_FLOAT64, NUMBER("1e-50"), "22003"},
    {ENCODE_FLOAT4, SEM_FLOAT64, NUMBER("1e39"), "22003"},
    /* With inexact: reject nothing is rounded to microseconds; text has all digits. */
    {ENCODE_TIMESTAMPTZ, SEM_ZONED_TIMESTAMP, TEXT("2025-01-01T00:00:00.1234567Z"), "22008"},
    {ENCODE_TIMESTAMPTZ, SEM_ZONED_TIMESTAMP, TEXT("2025-01-01T00:00:00.123456000Z"), OK},
    {ENCODE_TIMESTAMP, SEM_STRING, TEXT("2025-01-01 00:00:00,123456789"), "22008"},
    {ENCODE_TIME, SEM_ISO_TIME, TEXT("13:37:03.0000001"), "22008"},
    {ENCODE_TEXT, SEM_ZONED_TIME, TEXT("13:37:03.0000001Z"), OK},
    {ENCODE_TEXT, SEM_STRING, TEXT("13:37:03.0000001Z"), OK},
    {ENCODE_TIMESTAMP, SEM_TIMESTAMP_NS, INTEGER(-1), "22008"},
    {ENCODE_TIMESTAMP, SEM_TIMESTAMP_NS, INTEGER(-1000), OK},
    {ENCODE_TIME, SEM_TIME_NS, INTEGER(1001), "22008"},
    {ENCODE_TEXT, SEM_DURATION_NS, INTEGER(-1500), OK},
    {ENCODE_TEXT, SEM_INTERVAL, TEXT("PT1.0000005S"), OK},
    /* This moment's number is PostgreSQL's word for -infinity. */
    {ENCODE_TIMESTAMP, SEM_STRING, TEXT("-290278-12-22T19:59:05.224192"), "22007"},
    {ENCODE_TIMESTAMP, SEM_STRING, TEXT("-4713-11-24T00:00:00"), OK},
    {ENCODE_TIMESTAMP, SEM_STRING, TEXT("-4713-11-23T23:59:59.999999"), "22008"},
};

static void what_a_column_cannot_hold_is_refused(void **state)
{
    static const struct source_settings settings = {.connector = ""};
    struct encoder encoder;
    struct buffer out;
    encoder_init(&encoder, &settings);
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct encode_case *one = &cases[i];
        struct pg_column target = {
            .name = "c", .cast = "t", .modifier = -1, .encoding = one->target};
        struct source_column source = {.column = {.name = "c", .type = one->type, .length = -1}};
        struct error error;
        error_init(&error);
        buffer_reset(&out);
        enum ods_status status =
            encode_value(&encoder, &out, &target, &source, &one->value, &error);
        if (status != (one->sqlstate ? ODS_REJECT : ODS_OK) ||
            strcmp(error.code, one->sqlstate ? one->sqlstate : "") != 0)
            fail_msg("case %zu: %s %s %s instead of %s", i, ods_status_name(status),
                     error.code, error.text, one->sqlstate ? one->sqlstate : "ok");
        if (status == ODS_REJECT)
            assert_string_equal(error.column, "c");
    }
    buffer_done(&out);
    encoder_done(&encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_column_cannot_hold_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
