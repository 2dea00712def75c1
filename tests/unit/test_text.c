/* Values as text: what the golden cases do not reach, because no JSON record carries it so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "core/text.h"

#define COUNT(array) (sizeof array / sizeof *array)

struct text_case {
    enum semantic type;
    int32_t length, scale;
    struct value value;
    const char *text; /* NULL: rejected */
};

#define INTEGER(number)                                                                            \
    {                                                                                              \
        .kind = VALUE_INT, .integer = (number)                                                     \
    }
#define REAL(number)                                                                               \
    {                                                                                              \
        .kind = VALUE_DOUBLE, .real = (number)                                                     \
    }
#define BYTES(kind_, literal)                                                                      \
    {                                                                                              \
        .kind = (kind_), .length = sizeof literal - 1, .bytes = (literal)                          \
    }

static const struct text_case cases[] = {
    /* binary floats, as formats other than JSON have them */
    {SEM_FLOAT64, -1, 0, REAL(22.2222), "22.2222"},
    {SEM_FLOAT64, -1, 0, REAL(0.1 + 0.2), "0.30000000000000004"},
    {SEM_FLOAT64, -1, 0, REAL(1e15), "1e+15"},
    {SEM_FLOAT64, -1, 0, REAL(1e14), "100000000000000"},
    {SEM_FLOAT64, -1, 0, REAL(0.0001), "0.0001"},
    {SEM_FLOAT64, -1, 0, REAL(0.00001), "1e-05"},
    {SEM_FLOAT64, -1, 0, REAL(-0.0), "-0"},
    {SEM_FLOAT64, -1, 0, REAL(NAN), "NaN"},
    {SEM_FLOAT64, -1, 0, REAL(-INFINITY), "-Infinity"},
    {SEM_FLOAT32, -1, 0, REAL((double) 3.3f), "3.3"},
    {SEM_FLOAT32, -1, 0, REAL((double) 16777216.0f), "1.6777216e+07"},
    {SEM_FLOAT64, -1, 0, BYTES(VALUE_NUMBER, "1e400"), NULL},
    {SEM_FLOAT32, -1, 0, BYTES(VALUE_NUMBER, "1e39"), NULL},
    {SEM_FLOAT64, -1, 0, BYTES(VALUE_NUMBER, "5.499726205624234e16"), "5.4997262056242336e+16"},
    {SEM_FLOAT64, -1, 0, BYTES(VALUE_NUMBER, "5.709994351007488e19"), "5.7099943510074884e+19"},
    {SEM_FLOAT32, -1, 0, BYTES(VALUE_NUMBER, "563013617.1"), "5.6301363e+08"},
    {SEM_FLOAT32, -1, 0, BYTES(VALUE_NUMBER, "1e-46"), NULL},
    {SEM_FLOAT64, -1, 0, BYTES(VALUE_NUMBER, "-5e-400"), NULL},
    {SEM_FLOAT64, -1, 0, BYTES(VALUE_NUMBER, "-0.0e-400"), "-0"},
    /* integers by what they mean */
    {SEM_UNKNOWN, -1, 0, INTEGER(INT64_MIN), "-9223372036854775808"},
    {SEM_DATE, -1, 0, INTEGER(INT64_MAX), NULL},
    {SEM_DATE, -1, 0, INTEGER(2145042906), NULL},
    {SEM_TIMESTAMP_MS, -1, 0, INTEGER(9223372036825200), "infinity"},
    {SEM_TIMESTAMP_MS, -1, 0, INTEGER(-9223372036832400), "-infinity"},
    {SEM_TIMESTAMP_MS, -1, 0, INTEGER(INT64_MAX / 10), NULL},
    {SEM_TIMESTAMP_US, -1, 0, INTEGER(-210866803200000000), "4714-11-24 00:00:00 BC"},
    {SEM_TIMESTAMP_US, -1, 0, INTEGER(-210866803200000001), NULL},
    {SEM_TIMESTAMP_NS, -1, 0, INTEGER(-1), "1969-12-31 23:59:59.999999999"},
    {SEM_TIMESTAMP_NS, -1, 0, INTEGER(INT64_MIN + 1), "1677-09-21 00:12:43.145224193"},
    {SEM_TIMESTAMP_NS, -1, 0, INTEGER(INT64_MAX - 1), "2262-04-11 23:47:16.854775806"},
    {SEM_TIMESTAMP_NS, -1, 0, INTEGER(INT64_MIN), "-infinity"},
    {SEM_TIMESTAMP_NS, -1, 0, INTEGER(INT64_MAX), "infinity"},
    {SEM_TIME_MS, -1, 0, INTEGER(INT64_MAX), NULL},
    {SEM_DURATION_NS, -1, 0, INTEGER(-1500), "-00:00:00.0000015"},
    {SEM_YEAR, -1, 0, INTEGER(2025), "2025"},
    /* bytes */
    {SEM_DECIMAL, 10, 2, BYTES(VALUE_BYTES, "\x01\xf4"), "5.00"},
    {SEM_DECIMAL, 10, 2, BYTES(VALUE_BYTES, ""), NULL},
    {SEM_DECIMAL, 10, 2, BYTES(VALUE_NUMBER, "1e200000"), NULL},
    {SEM_BITS, 4, 0, BYTES(VALUE_BYTES, "\x0a"), "1010"},
    {SEM_BITS, -1, 0, BYTES(VALUE_BYTES, "\x0a"), "00001010"},
    {SEM_BITS, INT32_MAX, 0, BYTES(VALUE_BYTES, "\x05"), "00000101"},
    {SEM_BITS, 3, 0, BYTES(VALUE_BYTES, "\x08"), NULL},
    {SEM_UNKNOWN, -1, 0, BYTES(VALUE_BYTES, "\x00\xff"), "\\x00ff"},
    /* text by what it means */
    {SEM_ZONED_TIME, -1, 0, BYTES(VALUE_TEXT, "12:34:56.789+07:00"), "12:34:56.789+07"},
    {SEM_ZONED_TIME, -1, 0, BYTES(VALUE_TEXT, "12:34:56-05:30"), "12:34:56-05:30"},
    {SEM_ZONED_TIME, -1, 0, BYTES(VALUE_TEXT, "12:34:56"), "12:34:56"},
    {SEM_ZONED_TIME, -1, 0, BYTES(VALUE_TEXT, "12:34:56-00:00"), "12:34:56+00"},
    {SEM_ZONED_TIME, -1, 0, BYTES(VALUE_TEXT, "12:34:56 noon"), NULL},
    {SEM_ZONED_TIMESTAMP, -1, 0, BYTES(VALUE_TEXT, "-4712-12-31T23:59:59.999999Z"),
     "4713-12-31 23:59:59.999999+00 BC"},
    {SEM_ISO_DATE, -1, 0, BYTES(VALUE_TEXT, "2018-06-20+02:00"), "2018-06-20"},
    {SEM_ISO_TIMESTAMP, -1, 0, BYTES(VALUE_TEXT, "2018-06-20T13:37:03+02:00"),
     "2018-06-20 13:37:03"},
    {SEM_ISO_TIMESTAMP, -1, 0, BYTES(VALUE_TEXT, "2018-06-20T13:37:03"), "2018-06-20 13:37:03"},
    {SEM_ISO_TIME, -1, 0, BYTES(VALUE_TEXT, "13:37:03.25+02:00"), "13:37:03.25"},
    {SEM_ISO_TIME, -1, 0, BYTES(VALUE_TEXT, "13:37 or so"), NULL},
    {SEM_ISO_TIME, -1, 0, BYTES(VALUE_TEXT, "13:37:03\0or so"), NULL},
    {SEM_ISO_TIME, -1, 0, BYTES(VALUE_TEXT, "13:37:03+soon"), NULL},
    {SEM_ISO_TIME, -1, 0, BYTES(VALUE_TEXT, "13:37:03Z"), "13:37:03"},
    {SEM_INTERVAL, -1, 0, BYTES(VALUE_TEXT, "1 year"), NULL},
    /* objects that are not what they should be */
    {SEM_VARIABLE_DECIMAL, -1, 0, BYTES(VALUE_JSON, "{\"scale\":2}"), NULL},
    {SEM_VARIABLE_DECIMAL, -1, 0, BYTES(VALUE_JSON, "{\"scale\":99999,\"value\":\"Fg==\"}"), NULL},
    {SEM_POINT, -1, 0, BYTES(VALUE_JSON, "{\"x\":1}"), NULL},
    {SEM_GEOMETRY, -1, 0, BYTES(VALUE_JSON, "{\"wkb\":\"???\"}"), NULL},
    {SEM_GEOMETRY, -1, 0, BYTES(VALUE_JSON, "{\"wkb\":\"AQ==\",\"srid\":7}"), "01"},
    {SEM_VECTOR, -1, 0, BYTES(VALUE_JSON, "[1,\"x\"]"), NULL},
    {SEM_ARRAY, -1, 0, BYTES(VALUE_JSON, "{}"), NULL},
    {SEM_ARRAY, -1, 0, BYTES(VALUE_JSON, "[9223372036854775808,-9223372036854775808,1e2]"),
     "{9223372036854775808,-9223372036854775808,1e2}"},
    {SEM_STRUCTURED_DATE, -1, 0, BYTES(VALUE_JSON, "{\"year\":2025,\"month\":13,\"day\":1}"), NULL},
    {SEM_STRUCTURED_DATE, -1, 0, BYTES(VALUE_JSON, "{\"year\":2025,\"month\":2,\"day\":29}"), NULL},
    {SEM_STRUCTURED_DATE, -1, 0, BYTES(VALUE_JSON, "{\"year\":0,\"month\":2,\"day\":29}"),
     "0001-02-29 BC"},
    {SEM_STRUCTURED_DATE, -1, 0, BYTES(VALUE_JSON, "{\"year\":2025,\"month\":2,\"day\":30}"), NULL},
    {SEM_STRUCTURED_DATE, -1, 0, BYTES(VALUE_JSON, "{\"year\":0,\"month\":0,\"day\":0}"), NULL},
    {SEM_STRUCTURED_TIME, -1, 0, BYTES(VALUE_JSON, "{\"hour\":13,\"minute\":5,\"nanos\":500}"),
     "13:05:00.0000005"},
    {SEM_STRUCTURED_TIME, -1, 0, BYTES(VALUE_JSON, "{\"hour\":13,\"picoseconds\":123456000000}"),
     "13:00:00.123456"},
    {SEM_STRUCTURED_TIME, -1, 0, BYTES(VALUE_JSON, "{\"hour\":13,\"minute\":75}"), NULL},
    {SEM_STRUCTURED_TIME, -1, 0, BYTES(VALUE_JSON, "{\"hour\":24,\"nanos\":1}"), NULL},
    {SEM_STRUCTURED_ZONED_TIME, -1, 0,
     BYTES(VALUE_JSON, "{\"hour\":24,\"minute\":0,\"second\":0,\"offsetSeconds\":19800}"),
     "24:00:00+05:30"},
    {SEM_STRUCTURED_ZONED_TIMESTAMP, -1, 0,
     BYTES(VALUE_JSON, "{\"year\":2025,\"month\":1,\"day\":1,\"hour\":1,\"offsetSeconds\":7200}"),
     "2024-12-31 23:00:00+00"},
    {SEM_STRUCTURED_DURATION, -1, 0,
     BYTES(VALUE_JSON, "{\"hours\":-838,\"minutes\":-59,\"seconds\":-58,\"nanos\":-999999000}"),
     "-838:59:58.999999"},
    {SEM_CIRCLE, -1, 0, BYTES(VALUE_JSON, "{\"x\":10.0,\"y\":4.0,\"radius\":10.0}"), "<(10,4),10>"},
    {SEM_LINE, -1, 0, BYTES(VALUE_JSON, "{\"a\":-1.0,\"b\":0.0,\"c\":0.5}"), "{-1,0,0.5}"},
    {SEM_STRUCTURED_TIMESTAMP, -1, 0, BYTES(VALUE_JSON, "{\"specialValue\":\"NEGATIVE_INFINITY\"}"),
     "-infinity"},
    {SEM_SPARSE_VECTOR, -1, 0, BYTES(VALUE_JSON, "{\"dimensions\":3,\"vector\":[[1,0.5],[2,1.0]]}"),
     "{1:0.5,2:1}/3"},
};

static void values_have_one_text(void **state)
{
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct text_case *one = &cases[i];
        struct column column = {.name = "c",
                                .name_length = 1,
                                .type = one->type,
                                .length = one->length,
                                .scale = one->scale};
        struct error error;
        error_init(&error);
        buffer_reset(&out);
        enum ods_status status = text_value(&out, &column, &one->value, &error);
        if (!one->text && status == ODS_OK)
            fail_msg("case %zu: not rejected: %s", i, buffer_text(&out));
        if (one->text && (status != ODS_OK || strcmp(buffer_text(&out), one->text) != 0))
            fail_msg("case %zu: %s instead of %s (%s)", i, buffer_text(&out), one->text,
                     error.text);
        if (!one->text) {
            assert_int_equal(status, ODS_REJECT);
            assert_non_null(strstr(error.text, "column c"));
        }
    }
    buffer_done(&out);
}

static void null_and_absent_have_no_text(void **state)
{
    struct column column = {.name = "c", .name_length = 1, .type = SEM_STRING};
    struct value null = {.kind = VALUE_NULL}, absent = {.kind = VALUE_ABSENT};
    struct buffer out;
    struct error error;
    buffer_init(&out);
    error_init(&error);
    assert_int_equal(text_value(&out, &column, &null, &error), ODS_REJECT);
    assert_int_equal(text_value(&out, &column, &absent, &error), ODS_REJECT);
    assert_int_equal(out.length, 0);
    buffer_done(&out);
}

/* Shortest digits: every double printed reads back as the same one. */
static void doubles_read_back(void **state)
{
    struct column column = {.name = "c", .name_length = 1, .type = SEM_FLOAT64};
    struct buffer out;
    struct error error;
    uint64_t random = 88172645463325252;
    buffer_init(&out);
    error_init(&error);
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        struct value value = {.kind = VALUE_DOUBLE};
        memcpy(&value.real, &random, sizeof value.real);
        if (isnan(value.real) || isinf(value.real))
            continue;
        buffer_reset(&out);
        assert_int_equal(text_value(&out, &column, &value, &error), ODS_OK);
        double back = strtod(buffer_text(&out), NULL);
        assert_memory_equal(&back, &value.real, sizeof back);
    }
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_one_text),
        cmocka_unit_test(null_and_absent_have_no_text),
        cmocka_unit_test(doubles_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
