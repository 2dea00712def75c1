/* Types as tables.yaml writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/source_type.h"

static const struct {
    const char *text;
    enum semantic type;
    int32_t length, scale;
    enum coding coding;
    enum semantic element;
} good[] = {
    {"bigint unsigned", SEM_DECIMAL, 20, 0, CODING_UNSIGNED, 0},
    {"BIGINT  UNSIGNED", SEM_DECIMAL, 20, 0, CODING_UNSIGNED, 0},
    {"int unsigned", SEM_INT64, -1, INT32_MIN, CODING_PLAIN, 0},
    {"smallint unsigned", SEM_INT32, -1, INT32_MIN, CODING_PLAIN, 0},
    {"bigint", SEM_INT64, -1, INT32_MIN, CODING_PLAIN, 0},
    {"decimal(15,2)", SEM_DECIMAL, 15, 2, CODING_DECIMAL, 0},
    {"decimal( 15 , 2 )", SEM_DECIMAL, 15, 2, CODING_DECIMAL, 0},
    {"numeric(38)", SEM_DECIMAL, 38, 0, CODING_DECIMAL, 0},
    {"varchar(50)", SEM_STRING, 50, INT32_MIN, CODING_PLAIN, 0},
    {"bytes", SEM_BYTES, -1, INT32_MIN, CODING_BASE64, 0},
    {"bytes hex", SEM_BYTES, -1, INT32_MIN, CODING_HEX, 0},
    {"bytes base64url", SEM_BYTES, -1, INT32_MIN, CODING_BASE64URL, 0},
    {"bit(7)", SEM_BITS, 7, INT32_MIN, CODING_BASE64, 0},
    {"datetime", SEM_TIMESTAMP_MS, -1, INT32_MIN, CODING_PLAIN, 0},
    {"datetime(6)", SEM_TIMESTAMP_US, -1, 6, CODING_PLAIN, 0},
    {"timestamp", SEM_TIMESTAMP_US, -1, INT32_MIN, CODING_PLAIN, 0},
    {"timestamp(3)", SEM_TIMESTAMP_MS, -1, 3, CODING_PLAIN, 0},
    {"timestamp(3) ns", SEM_TIMESTAMP_NS, -1, 3, CODING_PLAIN, 0},
    {"timestamp ms", SEM_TIMESTAMP_MS, -1, INT32_MIN, CODING_PLAIN, 0},
    {"timestamptz ms", SEM_ZONED_TIMESTAMP, -1, INT32_MIN, CODING_MS, 0},
    {"timestamptz", SEM_ZONED_TIMESTAMP, -1, INT32_MIN, CODING_US, 0},
    {"time", SEM_TIME_US, -1, INT32_MIN, CODING_PLAIN, 0},
    {"time(3)", SEM_TIME_US, -1, 3, CODING_PLAIN, 0},
    {"time ms", SEM_TIME_MS, -1, INT32_MIN, CODING_PLAIN, 0},
    {"inet", SEM_STRING, -1, INT32_MIN, CODING_PLAIN, 0},
    {"text[]", SEM_ARRAY, -1, INT32_MIN, CODING_PLAIN, SEM_STRING},
    {"decimal(10,2)[]", SEM_ARRAY, -1, INT32_MIN, CODING_PLAIN, SEM_DECIMAL},
    {"date []", SEM_ARRAY, -1, INT32_MIN, CODING_PLAIN, SEM_DATE},
};

static const char *const bad[] = {
    "",
    " ",
    "unsigned",
    "bigit",
    "bigint signed",
    "decimal",
    "decimal()",
    "decimal(0,0)",
    "decimal(2,3)",
    "decimal(1,2,3)",
    "decimal(x)",
    "decimal(9",
    "decimal(-1)",
    "decimal(1001,0)",
    "text(5)",
    "varchar(0)",
    "varchar(1,2)",
    "bytes octal",
    "timestamp min",
    "timestamp(10)",
    "bit(0)",
    "int unsigned unsigned",
    "bigint unsigned[]",
    "date ms",
    "text[5]",
    "[]",
    "varchar(99999999999999999999)",
    "(5)",
    "int(",
};

static void test_good(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct source_type type;
        const char *problem = source_type_parse(good[i].text, &type);
        if (problem)
            fail_msg("%s: %s", good[i].text, problem);
        if (type.column.type != good[i].type || type.column.length != good[i].length ||
            type.column.scale != good[i].scale || type.coding != good[i].coding)
            fail_msg("%s: type %d, length %d, scale %d, coding %d", good[i].text, type.column.type,
                     type.column.length, type.column.scale, type.coding);
        assert_int_equal(type.column.element != NULL, good[i].element != 0);
        if (type.column.element)
            assert_int_equal(type.column.element->type, good[i].element);
    }
}

static void test_bad(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct source_type type;
        if (!source_type_parse(bad[i], &type))
            fail_msg("\"%s\" is taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
