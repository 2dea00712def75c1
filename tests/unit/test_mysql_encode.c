/* Values into MySQL's columns: what must be refused, and what is written of the rest. What the
 * server then makes of it stands in tests/types/test_mysql_matrix.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ods/batch.h>
#include <ods/sink.h>
#include "sink/mysql/tables/types.h"
#include "sink/mysql/values/encode.h"

#define COUNT(array) (sizeof array / sizeof *array)

struct encode_case {
    const char *target; /* the column's type */
    enum semantic type;
    struct value value;
    const char *written; /* "!1264": refused with this number; "x:…": bytes; NULL: SQL's NULL */
    enum inexact inexact;
    bool literal, key;
};

#define INTEGER(number)                                                                            \
    {                                                                                              \
        .kind = VALUE_INT, .integer = (number)                                                     \
    }
#define REAL(number)                                                                               \
    {                                                                                              \
        .kind = VALUE_DOUBLE, .real = (number)                                                     \
    }
#define BYTES(kind_, text)                                                                         \
    {                                                                                              \
        .kind = (kind_), .length = sizeof text - 1, .bytes = (text)                                \
    }
#define TEXT(text)   BYTES(VALUE_TEXT, text)
#define NUMBER(text) BYTES(VALUE_NUMBER, text)
#define JSON(text)   BYTES(VALUE_JSON, text)
#define RAW(text)    BYTES(VALUE_BYTES, text)
#define KEY          INEXACT_NANOSECONDS, false, true
#define LITERAL      INEXACT_NANOSECONDS, true, false

/* What a row leaves out is 0. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct encode_case cases[] = {
    /* integers */
    {"tinyint", SEM_INT16, INTEGER(-128), "-128"},
    {"tinyint", SEM_INT16, INTEGER(128), "!1264"},
    {"tinyint unsigned", SEM_INT16, INTEGER(255), "255"},
    {"tinyint unsigned", SEM_INT16, INTEGER(-1), "!1264"},
    {"mediumint unsigned", SEM_INT32, INTEGER(16777215), "16777215"},
    {"mediumint", SEM_INT32, INTEGER(8388608), "!1264"},
    {"bigint", SEM_INT64, INTEGER(INT64_MIN), "-9223372036854775808"},
    {"bigint", SEM_DECIMAL, NUMBER("9223372036854775808"), "!1264"},
    {"bigint", SEM_DECIMAL, NUMBER("-9223372036854775809"), "!1264"},
    {"bigint unsigned", SEM_DECIMAL, NUMBER("18446744073709551615"), "18446744073709551615"},
    {"bigint unsigned", SEM_DECIMAL, NUMBER("18446744073709551616"), "!1264"},
    {"bigint unsigned", SEM_DECIMAL, NUMBER("99999999999999999999999"), "!1264"},
    {"int", SEM_STRING, TEXT(" 42 "), "42"},
    {"int", SEM_STRING, TEXT("42abc"), "!1366"},
    {"int", SEM_STRING, TEXT("1e3"), "1000"},
    {"int", SEM_STRING, TEXT("42\0garbage"), "!1366"},
    {"int", SEM_STRING, TEXT(""), "!1366"},
    {"int", SEM_STRING, TEXT("1e999999999999"), "!1264"},
    {"int", SEM_STRING, TEXT("0e999999999999"), "0"},
    {"int", SEM_FLOAT64, NUMBER("1.5"), "!1265"},
    {"int", SEM_FLOAT64, NUMBER("2.5"), "3", INEXACT_ROUND},
    {"int", SEM_FLOAT64, NUMBER("NaN"), "!1366"},
    {"int", SEM_STRING, TEXT("true"), "!1366"},
    {"tinyint(1)", SEM_STRING, TEXT("true"), "1"},
    {"tinyint(1)", SEM_BOOLEAN, {.kind = VALUE_BOOL, .integer = 1}, "1"},
    {"int", SEM_TIMESTAMP_US, INTEGER(INT64_MAX), "!1264"},
    {"int", SEM_BYTES, RAW("\1\2"), "!1366"},
    {"int", SEM_STRUCT, JSON("{\"a\":1}"), "!1366"},
    {"bigint unsigned", SEM_BITS, RAW("\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615"},
    {"bigint unsigned", SEM_BITS, RAW("\1\0\0\0\0\0\0\0\1"), "!1264"},
    /* decimals */
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("1.5"), "1.50"},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("-0.001"), "!1265"},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("1.005"), "1.01", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("-1.005"), "-1.01", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("999.995"), "!1264", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("99.995"), "100.00", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("0.004"), "0.00", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("0.005"), "0.01", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("-0.004"), "0.00", INEXACT_ROUND},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("1.005"), "!1265", INEXACT_ROUND, false, true},
    {"decimal(5,2)", SEM_DECIMAL, NUMBER("1000"), "!1264"},
    {"decimal(2,2)", SEM_DECIMAL, NUMBER("0.99"), "0.99"},
    {"decimal(5,0)", SEM_DECIMAL, NUMBER("1e4"), "10000"},
    {"decimal(5,2) unsigned", SEM_DECIMAL, NUMBER("-1"), "!1264"},
    {"decimal(65,30)", SEM_FLOAT64, NUMBER("1e-30"), "0.000000000000000000000000000001"},
    {"decimal(65,30)", SEM_FLOAT64, NUMBER("1e-31"), "!1265"},
    {"decimal(65,30)", SEM_FLOAT64, NUMBER("-1e1000000000"), "!1264"},
    {"decimal(10,2)", SEM_STRING, TEXT("abc"), "!1366"},
    {"decimal(10,2)", SEM_STRING, TEXT("."), "!1366"},
    {"decimal(10,2)", SEM_STRING, TEXT("1e"), "!1366"},
    {"decimal(10,2)", SEM_STRING, TEXT("0x10"), "!1366"},
    {"decimal(10,2)", SEM_DECIMAL, RAW(""), "!"},
    /* floats */
    {"double", SEM_FLOAT64, NUMBER("1e300"), "1e+300"},
    {"double", SEM_FLOAT64, NUMBER("1e400"), "!1264"},
    {"double", SEM_FLOAT64, NUMBER("1e-400"), "!1264"},
    {"double", SEM_FLOAT64, NUMBER("NaN"), "!1366"},
    {"double", SEM_FLOAT64, NUMBER("-Infinity"), "!1366"},
    {"double", SEM_STRING, TEXT("0x10"), "!1366"},
    {"double", SEM_STRING, TEXT("nan(1)"), "!1366"},
    {"double", SEM_FLOAT64, REAL(-0.0), "-0e0"},
    {"double", SEM_DECIMAL, NUMBER("0.12345678901234567890"), "!1265"},
    {"double unsigned", SEM_FLOAT64, REAL(-1.5), "!1264"},
    {"float", SEM_FLOAT32, NUMBER("3.3"), "3.3"},
    {"float", SEM_FLOAT64, NUMBER("0.1"), "0.1"},
    {"float", SEM_FLOAT64, NUMBER("3.141592653589793"), "!1265"},
    {"float", SEM_FLOAT64, NUMBER("1e39"), "!1264"},
    {"float(7,2)", SEM_FLOAT32, NUMBER("1.255"), "!1265"},
    {"float(7,2)", SEM_FLOAT32, NUMBER("123456.25"), "!1264"},
    /* bits */
    {"bit(16)", SEM_BITS, RAW("\2\1"), "x:0102"},
    {"bit(12)", SEM_INT64, INTEGER(5), "x:0005"},
    {"bit(3)", SEM_INT64, INTEGER(8), "!1406"},
    {"bit(3)", SEM_INT64, INTEGER(-1), "!1366"},
    {"bit(8)", SEM_STRING, TEXT("00000101"), "x:05"},
    {"bit(8)", SEM_STRING, TEXT("101"), "!1366"},
    {"bit(8)", SEM_UNKNOWN, TEXT("BQ=="), "x:05"},
    {"bit(64)", SEM_UNKNOWN, NUMBER("18446744073709551615"), "x:ffffffffffffffff",
     LITERAL},
    {"bit(64)", SEM_UNKNOWN, NUMBER("18446744073709551616"), "!1366", LITERAL},
    {"bit(1)", SEM_BOOLEAN, {.kind = VALUE_BOOL, .integer = 1}, "x:01"},
    /* years */
    {"year", SEM_YEAR, INTEGER(2025), "2025"},
    {"year", SEM_YEAR, INTEGER(0), "0000"},
    {"year", SEM_YEAR, INTEGER(1900), "!1264"},
    {"year", SEM_STRING, TEXT("25"), "!1264"},
    {"year", SEM_DATE, INTEGER(2000), "!1264"},
    /* moments */
    {"date", SEM_DATE, INTEGER(0), "1970-01-01"},
    {"date", SEM_DATE, INTEGER(2932896), "9999-12-31"},
    {"date", SEM_DATE, INTEGER(2932897), "!1292"},
    {"date", SEM_DATE, INTEGER(-719162), "0001-01-01"},
    {"date", SEM_DATE, INTEGER(-719163), "!1292"},
    {"date", SEM_DATE, INTEGER(INT64_MAX), "!1292"},
    {"date", SEM_DATE, INTEGER(INT64_MIN), "!1292"},
    {"date", SEM_TIMESTAMP_MS, INTEGER(86400000), "1970-01-02"},
    {"date", SEM_TIMESTAMP_MS, INTEGER(86400001), "!1265"},
    {"date", SEM_STRING, TEXT("2024-02-30"), "!1292"},
    {"date", SEM_STRING, TEXT("2024-02-29"), "2024-02-29"},
    {"date", SEM_STRING, TEXT("2024-02-29\0"), "!1292"},
    {"date", SEM_STRING, TEXT("now"), "!1292"},
    {"date", SEM_STRING, TEXT("0000-00-00"), NULL},
    {"date", SEM_STRING, TEXT("2024-00-10"), NULL},
    {"date", SEM_STRING, TEXT("0000-00-00"), "!1292", KEY},
    {"datetime(6)", SEM_TIMESTAMP_US, INTEGER(-1), "1969-12-31 23:59:59.999999"},
    {"datetime(6)", SEM_TIMESTAMP_US, INTEGER(INT64_MAX), "!1292"},
    {"datetime(6)", SEM_TIMESTAMP_MS, INTEGER(INT64_MAX - 1), "!1292"},
    {"datetime(6)", SEM_TIMESTAMP_MS, INTEGER(INT64_MIN + 1), "!1292"},
    {"datetime(6)", SEM_TIMESTAMP_NS, INTEGER(1500), "1970-01-01 00:00:00.000002"},
    {"datetime(6)", SEM_TIMESTAMP_NS, INTEGER(-1), "1970-01-01 00:00:00.000000"},
    {"datetime(6)", SEM_TIMESTAMP_NS, INTEGER(1500), "!1265", INEXACT_REJECT},
    {"datetime(3)", SEM_TIMESTAMP_US, INTEGER(1500), "!1265"},
    {"datetime(3)", SEM_TIMESTAMP_US, INTEGER(1500), "1970-01-01 00:00:00.002", INEXACT_ROUND},
    {"datetime", SEM_TIMESTAMP_US, INTEGER(86399500000), "1970-01-02 00:00:00", INEXACT_ROUND},
    {"datetime", SEM_TIMESTAMP_MS, INTEGER(253402300799500), "!1292", INEXACT_ROUND},
    {"datetime", SEM_ZONED_TIMESTAMP, TEXT("2018-06-20T15:37:03+02:00"), "2018-06-20 13:37:03"},
    {"datetime(1)", SEM_ISO_TIMESTAMP, TEXT("2018-06-20T15:37:03.5+02:00"),
     "2018-06-20 15:37:03.5"},
    {"datetime", SEM_ZONED_TIMESTAMP, TEXT("9999-12-31T23:59:59-01:00"), "!1292"},
    {"datetime", SEM_ZONED_TIMESTAMP, TEXT("infinity"), "!1292"},
    {"datetime", SEM_INT64, INTEGER(5), "!1292"},
    {"datetime", SEM_STRING, TEXT("2018-06-20 24:00:00"), "2018-06-21 00:00:00"},
    {"datetime", SEM_STRING, TEXT("-290278-12-22T19:59:05"), "!1292"},
    {"timestamp", SEM_ZONED_TIMESTAMP, TEXT("1970-01-01T00:00:00Z"), "!1292"},
    {"timestamp", SEM_ZONED_TIMESTAMP, TEXT("1970-01-01T00:00:01Z"), "1970-01-01 00:00:01"},
    {"timestamp", SEM_ZONED_TIMESTAMP, TEXT("2038-01-19T03:14:07Z"), "2038-01-19 03:14:07"},
    {"timestamp", SEM_ZONED_TIMESTAMP, TEXT("2038-01-19T03:14:08Z"), "!1292"},
    {"timestamp", SEM_ZONED_TIMESTAMP, TEXT("2038-01-19T03:14:07.6Z"), "!1292", INEXACT_ROUND},
    {"datetime", SEM_UNKNOWN, INTEGER(1529507596000), "2018-06-20 15:13:16"},
    {"datetime", SEM_UNKNOWN, INTEGER(1529507596000), "!1292", LITERAL},
    /* times */
    {"time", SEM_TIME_US, INTEGER(-3020399000000), "-838:59:59"},
    {"time", SEM_TIME_US, INTEGER(3020399000000), "838:59:59"},
    {"time(6)", SEM_TIME_US, INTEGER(3020399000001), "!1292"},
    {"time", SEM_TIME_US, INTEGER(3020398500000), "838:59:59", INEXACT_ROUND},
    {"time", SEM_TIME_US, INTEGER(INT64_MIN), "!1292"},
    {"time(6)", SEM_TIME_US, INTEGER(-1), "-00:00:00.000001"},
    {"time(6)", SEM_TIME_NS, INTEGER(1500), "00:00:00.000002"},
    {"time", SEM_STRING, TEXT("100:00:01"), "100:00:01"},
    {"time", SEM_STRING, TEXT("10:61:00"), "!1292"},
    {"time", SEM_STRING, TEXT("10:20:30+02"), "!1292"},
    {"time", SEM_ZONED_TIME, TEXT("10:20:30Z"), "10:20:30"},
    {"time", SEM_STRING, TEXT("10:20:30\0garbage"), "!1292"},
    {"time", SEM_STRING, TEXT("99999999999999999999:00:00"), "!1292"},
    {"time", SEM_INTERVAL, TEXT("P1DT2H"), "26:00:00"},
    {"time", SEM_INTERVAL, TEXT("P1M"), "!1292"},
    {"time", SEM_INTERVAL, TEXT("P99999999999D"), "!1292"},
    {"time", SEM_DURATION_US, REAL(1e6), "00:00:01"},
    {"time", SEM_TIMESTAMP_MS, INTEGER(1), "!1292"},
    /* texts */
    {"varchar(3)", SEM_STRING, TEXT("\xc3\xa9\xc3\xa9\xc3\xa9"), "\xc3\xa9\xc3\xa9\xc3\xa9"},
    {"varchar(3)", SEM_STRING, TEXT("abcd"), "!1406"},
    {"varchar(3)", SEM_STRING, TEXT("abc "), "!1406"},
    {"char(3)", SEM_STRING, TEXT("a "), "a"},
    {"char(3)", SEM_STRING, TEXT("abc "), "!1406"},
    {"tinytext", SEM_STRING, TEXT("a\0b"), "a\0b"},
    {"varchar(20)", SEM_INT64, INTEGER(-7), "-7"},
    {"varchar(20)", SEM_DECIMAL, RAW("\1\x54"), "3.40"},
    {"varchar(20)", SEM_ARRAY, JSON("[1, 2]"), "[1,2]"},
    {"varchar(20)", SEM_UNKNOWN, JSON("[\"x\",\"z\"]"), "x,z", LITERAL},
    {"varchar(20)", SEM_JSON, TEXT("a"), "\"a\"", LITERAL},
    {"varchar(20)", SEM_INTERVAL, TEXT("P1Y2M"), "P1Y2M"},
    /* enums and sets */
    {"enum('a','b''c','2')", SEM_ENUM, TEXT("b'c"), "b'c"},
    {"enum('a','b''c','2')", SEM_STRING, TEXT("1"), "!1265"},
    {"enum('a','b''c','2')", SEM_STRING, TEXT("A"), "!1265"},
    {"enum('a','b''c','2')", SEM_STRING, TEXT(""), "!1265"},
    {"enum('a','b''c','2')", SEM_STRING, TEXT("2"), "2"},
    {"enum('a','b''c','2')", SEM_INT32, INTEGER(1), "!1265"},
    {"set('a','b','c')", SEM_ENUM_SET, TEXT("c,a,c"), "a,c"},
    {"set('a','b','c')", SEM_ENUM_SET, TEXT(""), ""},
    {"set('a','b','c')", SEM_ENUM_SET, TEXT("a,"), "!1265"},
    {"set('a','b','c')", SEM_ENUM_SET, TEXT("a,d"), "!1265"},
    {"set('a','b','c')", SEM_UNKNOWN, JSON("[\"c\",\"a\"]"), "a,c", LITERAL},
    /* binaries */
    {"binary(4)", SEM_BYTES, RAW("\1\2"), "x:01020000"},
    {"varbinary(2)", SEM_BYTES, RAW("\1\2\3"), "!1406"},
    {"blob", SEM_STRING, TEXT("abc"), "x:616263"},
    {"blob", SEM_INT64, INTEGER(1), "!1366"},
    {"blob", SEM_UNKNOWN, TEXT("AQI="), "x:0102"},
    {"blob", SEM_UNKNOWN, TEXT("AQI"), "!1366"},
    {"binary(16)", SEM_UUID, TEXT("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
     "x:a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {"binary(16)", SEM_UUID, TEXT("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1x"), "!1406"},
    /* json */
    {"json", SEM_JSON, TEXT("{\"a\": 1}"), "{\"a\": 1}"},
    {"json", SEM_JSON, TEXT("{\"a\": 1"), "!3140"},
    {"json", SEM_STRING, TEXT("abc"), "!3140"},
    {"json", SEM_STRING, TEXT(""), "!3140"},
    {"json", SEM_STRING, TEXT("1 2"), "!3140"},
    {"json", SEM_UNKNOWN, TEXT("abc"), "\"abc\"", LITERAL},
    {"json", SEM_DECIMAL, RAW("\1\x54"), "3.40"},
    {"json", SEM_DECIMAL, NUMBER("0.12345678901234567890"), "!1265"},
    {"json", SEM_DECIMAL, NUMBER("0.12345678901234567890"), "0.12345678901234567890",
     INEXACT_ROUND},
    {"json", SEM_JSON, TEXT("[18446744073709551615, -9223372036854775808]"),
     "[18446744073709551615, -9223372036854775808]"},
    {"json", SEM_JSON, TEXT("[18446744073709551616]"), "!1265"},
    {"json", SEM_JSON, TEXT("[1e999]"), "!1265"},
    {"json", SEM_JSON, TEXT("\"1.00000000000000000001\""), "\"1.00000000000000000001\""},
    /* geometries */
    {"point", SEM_POINT, JSON("{\"x\":1.5,\"y\":-2.0}"),
     "x:000000000101000000000000000000f83f00000000000000c0"},
    {"geometry", SEM_GEOMETRY,
     JSON("{\"wkb\":\"AAAAAAE/+AAAAAAAAMAAAAAAAAAA\",\"srid\":4326}"),
     "x:e61000000101000000000000000000f83f00000000000000c0"},
    {"polygon", SEM_POINT, JSON("{\"x\":1.5,\"y\":-2.0}"), "!1416"},
    {"geometry", SEM_GEOMETRY, JSON("{\"wkb\":\"AQEAAAA=\"}"), "!1416"},
    {"geometry", SEM_GEOMETRY, JSON("{\"wkb\":\"AQIAAAD/////\"}"), "!1416"},
    {"geometry", SEM_GEOMETRY, JSON("{\"wkb\":\"\"}"), "!1416"},
    {"geometry", SEM_GEOMETRY, JSON("{}"), "!1416"},
    {"geometry", SEM_GEOMETRY, JSON("[]"), "!1416"},
    {"geometry", SEM_STRING, TEXT("POINT (1.5 -2)"),
     "x:000000000101000000000000000000f83f00000000000000c0"},
    {"geometry", SEM_UNKNOWN, TEXT("LINESTRING EMPTY"), "x:00000000010200000000000000", LITERAL},
    {"geometry", SEM_STRING, TEXT("POINT (1 2) x"), "!1416"},
    {"geometry", SEM_STRING, TEXT("POINT (1 2"), "!1416"},
    {"geometry", SEM_STRING, TEXT("POINT (1 nan)"), "!1416"},
    {"geometry", SEM_STRING, TEXT("POINT Z (1 2 3)"), "!1416"},
    {"geometry", SEM_STRING, TEXT("CIRCLE (1 2)"), "!1416"},
    {"point", SEM_STRING, TEXT("POLYGON ((0 0, 1 0, 1 1, 0 0))"), "!1416"},
    {"vector(2)", SEM_VECTOR, JSON("[1, 2.5]"), "x:0000803f00002040"},
    /* without a schema */
    {"decimal(10,2)", SEM_UNKNOWN, TEXT("AVQ="), "3.40"},
    {"decimal(10,2)", SEM_UNKNOWN, TEXT("3.40"), "3.40"},
    {"decimal(10,2)", SEM_UNKNOWN, TEXT("1234"), "!1366"},
    {"decimal(10,2)", SEM_UNKNOWN, TEXT("1234"), "1234.00", LITERAL},
    {"decimal(10,2)", SEM_UNKNOWN, JSON("{\"scale\": 3, \"value\": \"DQU=\"}"), "!1265"},
    {"decimal(10,3)", SEM_UNKNOWN, JSON("{\"scale\": 3, \"value\": \"DQU=\"}"), "3.333"},
};
#pragma GCC diagnostic pop

static bool read_case(const struct encode_case *one, struct mysql_column *column, char **labels)
{
    struct mysql_typed typed;
    if (!mysql_typed_read(&typed, one->target))
        return false;
    bool digits = typed.type == MYSQL_IS_DECIMAL || typed.scale;
    bool time = typed.type >= MYSQL_IS_DATE && typed.type <= MYSQL_IS_TIMESTAMP;
    *column = (struct mysql_column){.name = (char *) "c",
                                    .column_type = (char *) (uintptr_t) one->target,
                                    .type = typed.type,
                                    .nullable = true,
                                    .is_unsigned = typed.is_unsigned,
                                    .length = digits || time ? 0 : typed.length,
                                    .precision = digits || time ? (uint32_t) typed.length : 0,
                                    .scale = typed.scale,
                                    .key_position = one->key,
                                    .charset = (char *) "utf8mb4",
                                    .collation = (char *) ""};
    column->labels = labels;
    column->label_count = typed.type == MYSQL_IS_ENUM || typed.type == MYSQL_IS_SET ? 3 : 0;
    labels[0] = (char *) "a";
    labels[1] = (char *) (typed.type == MYSQL_IS_SET ? "b" : "b'c");
    labels[2] = (char *) (typed.type == MYSQL_IS_SET ? "c" : "2");
    return true;
}

/* What became of it, as the table has it. */
static bool is_right(const struct encode_case *one, size_t written, enum ods_status status,
                     const struct mysql_out *out, const struct error *error)
{
    if (!one->written)
        return status == ODS_OK && out->form == MYSQL_NULL;
    if (one->written[0] == '!' && written > 0)
        return status == ODS_REJECT && strcmp(error->column, "c") == 0 &&
               (!one->written[1] || strcmp(error->code, one->written + 1) == 0);
    if (status != ODS_OK || out->form == MYSQL_NULL)
        return false;
    if (out->form != MYSQL_BYTES)
        return out->length >= written && memcmp(out->bytes, one->written, written) == 0;
    char hex[128] = "x:";
    for (uint32_t i = 0; i < out->length && i < 60; i++)
        snprintf(hex + 2 + 2 * i, 3, "%02x", (unsigned char) out->bytes[i]);
    return strcmp(hex, one->written) == 0;
}

static void each_value_is_written_right_or_refused(void **state)
{
    static const struct source_settings source_settings = {.connector = "mysql"};
    int failures = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct encode_case *one = &cases[i];
        struct table_settings table = {.inexact = one->inexact ? one->inexact
                                                               : INEXACT_NANOSECONDS};
        struct apply_result result = {0};
        struct mysql_encoding encoding = {
            .source = &source_settings, .table = &table, .result = &result, .key = one->key};
        struct source_column source = {
            .column = {.name = "c", .type = one->type, .length = -1, .scale = INT32_MIN},
            .connector = CONNECTOR_MYSQL,
            .literal = one->literal};
        struct mysql_column column;
        struct mysql_out out;
        struct error error;
        struct arena arena;
        char *labels[3];
        if (one->type == SEM_DECIMAL)
            source.column.scale = 2;
        /* INEXACT_REJECT is 0, so a case that says it stands for itself. */
        if (one->written && strcmp(one->written, "!1265") == 0 && one->type == SEM_TIMESTAMP_NS)
            table.inexact = INEXACT_REJECT;
        arena_init(&arena);
        error_init(&error);
        assert_true(read_case(one, &column, labels));
        enum ods_status status = mysql_encode(&encoding, &column, &source, &one->value,
                                              &arena, &out, &error);
        size_t written = one->written ? strlen(one->written) : 0;
        if (!is_right(one, written, status, &out, &error)) {
            print_error("case %zu (%s): %s %s %s \"%.*s\" instead of %s\n", i, one->target,
                        ods_status_name(status), error.code, error.text,
                        status == ODS_OK ? (int) out.length : 0, out.bytes ? out.bytes : "",
                        one->written ? one->written : "NULL");
            failures++;
        }
        arena_done(&arena);
    }
    assert_int_equal(failures, 0);
}

/* Random bytes of every kind into every column: nothing reads or writes beyond them, and what is
 * refused names the column. */
static void any_bytes_are_written_or_refused(void **state)
{
    static const struct source_settings source_settings = {.connector = ""};
    static const char letters[] = "0123456789+-.eE:TZ ,[]{}\"\\ainfPDHMS\0\xff\xc3\x80" "AQ=/";
    static const enum semantic types[] = {SEM_UNKNOWN, SEM_INT64,   SEM_STRING,  SEM_BYTES,
                                          SEM_DECIMAL, SEM_FLOAT32, SEM_DATE,    SEM_TIME_US,
                                          SEM_BITS,    SEM_JSON,    SEM_GEOMETRY, SEM_POINT,
                                          SEM_ARRAY,   SEM_ENUM_SET, SEM_INTERVAL, SEM_VECTOR,
                                          SEM_VARIABLE_DECIMAL, SEM_ZONED_TIMESTAMP, SEM_ZONED_TIME,
                                          SEM_ISO_TIMESTAMP, SEM_STRUCTURED_TIMESTAMP};
    struct arena arena;
    arena_init(&arena);
    srand(7);
    for (int round = 0; round < 60000; round++) {
        const struct encode_case *one = &cases[(size_t) rand() % COUNT(cases)];
        struct table_settings table = {.inexact = (enum inexact) (rand() % 3)};
        struct apply_result result = {0};
        struct mysql_encoding encoding = {
            .source = &source_settings, .table = &table, .result = &result};
        struct source_column source = {
            .column = {.name = "c", .length = rand() % 70 - 1, .scale = rand() % 40 - 5},
            .coding = rand() % 3 ? CODING_NONE : (enum coding) (rand() % (CODING_NS + 1)),
            .connector = (enum connector) (rand() % (CONNECTOR_OTHER + 1)),
            .literal = rand() % 2};
        struct mysql_column column;
        struct mysql_out out;
        struct error error;
        char *labels[3];
        source.column.type = types[(size_t) rand() % COUNT(types)];
        /* Exactly as long as it is, so that a sanitizer sees a byte beyond it. */
        size_t length = (size_t) rand() % 24;
        char *bytes = malloc(length + !length);
        assert_non_null(bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = rand() % 4 ? letters[(size_t) rand() % (sizeof letters - 1)]
                                  : (char) (rand() & 0xff);
        struct value value = {.kind = (uint8_t) (VALUE_BOOL + rand() % 7),
                              .length = (uint32_t) length,
                              .bytes = bytes};
        if (value.kind == VALUE_INT)
            value.integer = (int64_t) rand() * rand() * (rand() % 2 ? 1 : -1);
        else if (value.kind == VALUE_BOOL)
            value.integer = rand() % 2;
        else if (value.kind == VALUE_DOUBLE)
            value.real = (double) rand() / (rand() % 9);
        error_init(&error);
        assert_true(read_case(one, &column, labels));
        enum ods_status status = mysql_encode(&encoding, &column, &source, &value, &arena,
                                              &out, &error);
        if (status == ODS_REJECT)
            assert_string_equal(error.column, "c");
        else
            assert_int_equal(status, ODS_OK);
        free(bytes);
        arena_reset(&arena, 1 << 16);
    }
    arena_done(&arena);
}

/* Longer than any number: neither slow nor out of bounds. */
static void large_values(void **state)
{
    static const struct source_settings source_settings = {.connector = ""};
    static const char *const targets[] = {"decimal(65,30)", "double", "bigint", "json", "datetime",
                                          "time", "longblob", "varchar(20)"};
    size_t length = 5000000;
    char *digits = malloc(length);
    assert_non_null(digits);
    memset(digits, '9', length);
    for (size_t i = 0; i < COUNT(targets); i++) {
        const struct encode_case one = {.target = targets[i]};
        struct table_settings table = {.inexact = INEXACT_ROUND};
        struct apply_result result = {0};
        struct mysql_encoding encoding = {
            .source = &source_settings, .table = &table, .result = &result};
        struct source_column source = {
            .column = {.name = "c", .type = SEM_STRING, .length = -1, .scale = INT32_MIN}};
        struct value value = {.kind = VALUE_TEXT, .length = (uint32_t) length, .bytes = digits};
        struct mysql_column column;
        struct mysql_out out;
        struct error error;
        struct arena arena;
        char *labels[3];
        arena_init(&arena);
        error_init(&error);
        assert_true(read_case(&one, &column, labels));
        enum ods_status status = mysql_encode(&encoding, &column, &source, &value, &arena,
                                              &out, &error);
        bool taken = column.type == MYSQL_IS_BLOB || column.type == MYSQL_IS_JSON;
        assert_int_equal(status, taken ? ODS_OK : ODS_REJECT);
        arena_done(&arena);
    }
    free(digits);
}

struct widen_case {
    const char *have, *wanted, *wider; /* "=": it fits; NULL: nothing holds both */
};

static const struct widen_case widenings[] = {
    {"int(11)", "int", "="},
    {"int", "smallint", "="},
    {"int", "bigint", "bigint"},
    {"tinyint(1)", "int", "int"},
    {"int", "tinyint(1)", "="},
    {"tinyint(1)", "tinyint", "tinyint"},
    {"int unsigned", "int", "bigint"},
    {"bigint", "bigint unsigned", "decimal(20,0)"},
    {"bigint", "decimal(10,2)", "decimal(21,2)"},
    {"decimal(10,2)", "decimal(12,4)", "decimal(12,4)"},
    {"decimal(65,0)", "decimal(65,30)", NULL},
    {"float", "double", "double"},
    {"float", "int", "double"},
    {"double", "bigint", NULL},
    {"varchar(20)", "varchar(30)", "varchar(30)"},
    {"varchar(20)", "longtext", "longtext"},
    {"longtext", "int", "="},
    {"int", "longtext", "longtext"},
    {"longblob", "longtext", NULL},
    {"date", "datetime(3)", "datetime(3)"},
    {"datetime(3)", "datetime(6)", "datetime(6)"},
    {"datetime(6)", "date", "="},
    {"date", "int", NULL},
    {"time(3)", "time(6)", "time(6)"},
    {"json", "longtext", "longtext"},
    {"point", "geometry", "geometry"},
    {"bit(8)", "bit(12)", "bit(12)"},
};

static void a_wider_type_holds_both(void **state)
{
    for (size_t i = 0; i < COUNT(widenings); i++) {
        const struct widen_case *one = &widenings[i];
        struct mysql_typed have, wanted, wider;
        char text[MYSQL_TYPE_BYTES] = "";
        assert_true(mysql_typed_read(&have, one->have) && mysql_typed_read(&wanted, one->wanted));
        enum mysql_widening answer = mysql_widen(&have, &wanted, text);
        const char *found = answer == MYSQL_FITS ? "=" : answer == MYSQL_WIDER ? text : NULL;
        if (!found != !one->wider || (found && strcmp(found, one->wider) != 0))
            fail_msg("%s to %s: %s", one->have, one->wanted, found ? found : "nothing");
        if (answer != MYSQL_WIDER) /* and stays */
            continue;
        assert_true(mysql_typed_read(&wider, text));
        assert_int_equal(mysql_widen(&wider, &wanted, text), MYSQL_FITS);
        assert_int_equal(mysql_widen(&wider, &have, text), MYSQL_FITS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_is_written_right_or_refused),
        cmocka_unit_test(any_bytes_are_written_or_refused),
        cmocka_unit_test(large_values),
        cmocka_unit_test(a_wider_type_holds_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
