/* Values into the columns of the lake: exactly, or refused; and the arrays that hold them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sink/lake/encode.h"

#define TEXT(text)                                                                                 \
    {                                                                                              \
        .kind = VALUE_TEXT, .length = sizeof(text) - 1, .bytes = text                              \
    }
#define NUMBER(text)                                                                               \
    {                                                                                              \
        .kind = VALUE_NUMBER, .length = sizeof(text) - 1, .bytes = text                            \
    }
#define JSON(text)                                                                                 \
    {                                                                                              \
        .kind = VALUE_JSON, .length = sizeof(text) - 1, .bytes = text                              \
    }
#define BYTES(text)                                                                                \
    {                                                                                              \
        .kind = VALUE_BYTES, .length = sizeof(text) - 1, .bytes = text                             \
    }
#define INT(number)                                                                                \
    {                                                                                              \
        .kind = VALUE_INT, .integer = number                                                       \
    }
#define REAL(number)                                                                               \
    {                                                                                              \
        .kind = VALUE_DOUBLE, .real = number                                                       \
    }

/* What the array has of its one value, as people write it. */
static void show(const struct lake_array *array, char *out, size_t size)
{
    int64_t integer = 0;
    double real;
    float single;
    __int128 wide;
    const char *data = array->data.bytes;
    if (array->nulls) {
        snprintf(out, size, "null");
        return;
    }
    switch (array->type.type) {
    case LAKE_STRING:
    case LAKE_BINARY:
        snprintf(out, size, "%.*s", (int) array->data.length, data);
        return;
    case LAKE_BOOLEAN:
        snprintf(out, size, "%d", data[0] & 1);
        return;
    case LAKE_DOUBLE:
        memcpy(&real, data, sizeof real);
        snprintf(out, size, "%.17g", real);
        return;
    case LAKE_FLOAT:
        memcpy(&single, data, sizeof single);
        snprintf(out, size, "%.9g", (double) single);
        return;
    case LAKE_DECIMAL:
        memcpy(&wide, data, sizeof wide);
        integer = (int64_t) wide;
        assert_true(wide == integer || wide > INT64_MAX || wide < INT64_MIN);
        if (wide != integer) {
            snprintf(out, size, "%lld%018lld", (long long) (wide / 1000000000000000000),
                     llabs((long long) (wide % 1000000000000000000)));
            return;
        }
        break;
    default:
        memcpy(&integer, data, lake_type_width(array->type.type));
        if (lake_type_width(array->type.type) == 4)
            integer = (int32_t) integer;
    }
    snprintf(out, size, "%lld", (long long) integer);
}

struct value_case {
    struct column column;
    struct value value;
    const char *type;  /* that the column gets */
    const char *shown; /* NULL: refused */
    enum inexact inexact;
};

static const struct value_case cases[] = {
    {{.type = SEM_BOOLEAN}, {.kind = VALUE_BOOL, .integer = 1}, "boolean", "1", 0},
    {{.type = SEM_INT8}, INT(-128), "integer", "-128", 0},
    {{.type = SEM_INT16}, INT(32767), "integer", "32767", 0},
    {{.type = SEM_INT32}, INT(INT32_MIN), "integer", "-2147483648", 0},
    {{.type = SEM_INT32}, INT(INT64_C(2147483648)), "integer", NULL, 0},
    {{.type = SEM_INT64}, INT(INT64_MIN), "long", "-9223372036854775808", 0},
    {{.type = SEM_INT64, .source_type = "BIGINT UNSIGNED"},
     INT(-1),
     "decimal(20,0)",
     "18446744073709551615",
     0},
    {{.type = SEM_INT64, .source_type = "BIGINT UNSIGNED"}, INT(7), "decimal(20,0)", "7", 0},
    {{.type = SEM_FLOAT32}, NUMBER("1.1"), "float", "1.10000002", 0},
    {{.type = SEM_FLOAT64}, NUMBER("0.1"), "double", "0.10000000000000001", 0},
    {{.type = SEM_FLOAT64}, NUMBER("NaN"), "double", "nan", 0},
    {{.type = SEM_FLOAT64}, REAL(2.5), "double", "2.5", 0},
    {{.type = SEM_DECIMAL, .length = 10, .scale = 2}, BYTES("\xff"), "decimal(10,2)", "-1", 0},
    {{.type = SEM_DECIMAL, .length = 3, .scale = 2}, BYTES("\x03\xe8"), "decimal(3,2)", NULL, 0},
    {{.type = SEM_DECIMAL, .length = 20, .scale = 4}, TEXT("12.5"), "decimal(20,4)", "125000", 0},
    {{.type = SEM_DECIMAL, .length = 20, .scale = 1}, TEXT("12.55"), "decimal(20,1)", NULL, 0},
    {{.type = SEM_DECIMAL, .length = 20, .scale = 1},
     TEXT("12.55"),
     "decimal(20,1)",
     "126",
     INEXACT_ROUND},
    {{.type = SEM_DECIMAL, .length = 20, .scale = 1},
     TEXT("-0.05"),
     "decimal(20,1)",
     "-1",
     INEXACT_ROUND},
    {{.type = SEM_DECIMAL, .length = 5, .scale = -2}, BYTES("\x07"), "decimal(7,0)", "700", 0},
    {{.type = SEM_DECIMAL, .length = 60, .scale = 10}, BYTES("\x07"), "string", "0.0000000007", 0},
    {{.type = SEM_VARIABLE_DECIMAL},
     JSON("{\"scale\":3,\"value\":\"AQ==\"}"),
     "string",
     "0.001",
     0},
    {{.type = SEM_STRING}, TEXT("\xf0\x9f\x98\x80"), "string", "\xf0\x9f\x98\x80", 0},
    {{.type = SEM_BYTES}, BYTES("\x01\xff"), "binary", "\x01\xff", 0},
    {{.type = SEM_DATE}, INT(-719162), "date", "-719162", 0},
    {{.type = SEM_DATE}, INT(INT64_C(2147483648)), "date", NULL, 0},
    {{.type = SEM_ISO_DATE}, TEXT("2024-02-29Z"), "date", "19782", 0},
    {{.type = SEM_STRING}, TEXT("0000-00-00"), "string", "0000-00-00", 0},
    {{.type = SEM_TIME_US}, INT(-INT64_C(3020399000000)), "string", "-838:59:59", 0},
    {{.type = SEM_TIME_MS}, INT(86399999), "string", "23:59:59.999", 0},
    {{.type = SEM_TIMESTAMP_MS}, INT(-1), "timestamp without zone", "-1000", 0},
    {{.type = SEM_TIMESTAMP_US}, INT(1), "timestamp without zone", "1", 0},
    {{.type = SEM_TIMESTAMP_NS}, INT(1234567), "string", "1970-01-01 00:00:00.001234567", 0},
    {{.type = SEM_TIMESTAMP_NS}, INT(1234567), "timestamp without zone", "1235", INEXACT_ROUND},
    {{.type = SEM_ZONED_TIMESTAMP}, TEXT("1970-01-01T01:00:00.000001+01:00"), "timestamp", "1", 0},
    {{.type = SEM_ZONED_TIMESTAMP}, TEXT("1970-01-01T00:00:00.0000001Z"), "timestamp", NULL, 0},
    {{.type = SEM_ZONED_TIMESTAMP}, TEXT("infinity"), "timestamp", NULL, 0},
    {{.type = SEM_ZONED_TIME}, TEXT("10:00:00+02:00"), "string", "10:00:00+02", 0},
    {{.type = SEM_DURATION_US}, INT(90061000000), "string", "25:01:01", 0},
    {{.type = SEM_INTERVAL}, TEXT("P1Y2M"), "string", "P1Y2M", 0},
    {{.type = SEM_YEAR}, INT(2024), "integer", "2024", 0},
    {{.type = SEM_BITS, .length = 4}, BYTES("\x05"), "string", "0101", 0},
    {{.type = SEM_JSON}, TEXT("{\"a\": [1, 2.50]}"), "string", "{\"a\": [1, 2.50]}", 0},
    {{.type = SEM_UUID}, TEXT("1f1f"), "string", "1f1f", 0},
    {{.type = SEM_ARRAY}, JSON("[1,null,3]"), "string", "[1,null,3]", 0},
    {{.type = SEM_UNKNOWN}, INT(5), "long", "5", 0},
    {{.type = SEM_UNKNOWN}, NUMBER("1.25"), "double", "1.25", 0},
    {{.type = SEM_UNKNOWN}, NUMBER("0.1000000000000000000001"), "double", NULL, 0},
    {{.type = SEM_UNKNOWN}, TEXT("a"), "string", "a", 0},
};

static void complete(struct column *column)
{
    static const struct column element = {
        .name = "", .type = SEM_INT32, .length = -1, .scale = INT32_MIN, .optional = true};
    column->name = "c";
    column->name_length = 1;
    if (!column->length)
        column->length = -1;
    if (!column->scale && column->type != SEM_DECIMAL)
        column->scale = INT32_MIN;
    if (column->type == SEM_ARRAY)
        column->element = &element;
}

static bool run_case(const struct value_case *one)
{
    const struct source_settings settings = {0};
    struct table_settings table = {.inexact = one->inexact ? one->inexact : INEXACT_NANOSECONDS};
    struct apply_result result = {0};
    struct arena arena;
    struct source_column source = {.column = one->column, .inexact = table.inexact};
    struct lake_encoding encoding = {
        .source = &settings, .table = &table, .result = &result, .arena = &arena};
    struct lake_array array;
    struct error error;
    char name[LAKE_NAME_BYTES], format[LAKE_FORMAT_BYTES], shown[200] = "";
    arena_init(&arena);
    buffer_init(&encoding.text);
    error_init(&error);
    complete(&source.column);
    source_column_correct(&source, NULL);
    struct lake_typed type = lake_type_made(&source, &one->value);
    lake_type_name(&type, name);
    lake_type_format(&type, format);
    lake_array_init(&array, &type, format);
    enum ods_status status =
        lake_encode(&encoding, "c", false, &source, &one->value, &array, &error);
    if (status == ODS_OK)
        show(&array, shown, sizeof shown);
    bool good = strcmp(name, one->type) == 0 && array.length == (one->shown != NULL) &&
                (one->shown ? status == ODS_OK && strcmp(shown, one->shown) == 0
                            : status == ODS_REJECT && strcmp(error.column, "c") == 0);
    if (!good)
        print_error("%s of %s: %s, \"%s\", %s\n", semantic_name(one->column.type), one->type, name,
                    shown, error.text);
    lake_array_done(&array);
    buffer_done(&encoding.text);
    arena_done(&arena);
    return good;
}

static void values(void **state)
{
    size_t bad = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad += !run_case(&cases[i]);
    assert_int_equal(bad, 0);
}

/* A row that is taken out again leaves nothing. */
static void arrays(void **state)
{
    const struct lake_typed types[] = {
        {.type = LAKE_STRING}, {.type = LAKE_BOOLEAN}, {.type = LAKE_INT32}};
    const char *const names[] = {"s", "b", "i"}, *const formats[] = {"u", "b", "i"};
    struct lake_array columns[3];
    struct ArrowArray array;
    struct ArrowSchema schema;
    for (size_t i = 0; i < 3; i++)
        lake_array_init(&columns[i], &types[i], formats[i]);
    for (int32_t row = 0; row < 20; row++) {
        for (int twice = 0; twice < 2; twice++) { /* the second stays */
            if (row % 3 == twice)
                lake_array_null(&columns[0]);
            else
                lake_array_bytes(&columns[0], "abc", (size_t) (row % 4));
            lake_array_bit(&columns[1], row % 2 == twice);
            lake_array_fixed(&columns[2], &row);
            for (size_t i = 0; i < 3 && !twice; i++)
                lake_array_cut(&columns[i], row);
        }
    }
    assert_true(lake_array_export(columns, names, 3, &array, &schema));
    assert_int_equal(array.length, 20);
    assert_int_equal(array.n_children, 3);
    assert_int_equal(array.children[0]->null_count, 7);
    const unsigned char *there = array.children[0]->buffers[0];
    for (int row = 0; row < 20; row++)
        assert_int_equal(there[row / 8] >> row % 8 & 1, row % 3 != 1);
    assert_null(array.children[2]->buffers[0]); /* none is NULL */
    const int32_t *offsets = array.children[0]->buffers[1];
    const unsigned char *bits = array.children[1]->buffers[1];
    const int32_t *numbers = array.children[2]->buffers[1];
    for (int row = 0; row < 20; row++) {
        assert_int_equal(offsets[row + 1] - offsets[row], row % 3 == 1 ? 0 : row % 4);
        assert_int_equal(bits[row / 8] >> row % 8 & 1, row % 2 == 1);
        assert_int_equal(numbers[row], row);
    }
    assert_string_equal(schema.children[2]->format, "i");
    assert_string_equal(schema.children[2]->name, "i");
    array.release(&array);
    schema.release(&schema);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(columns[i].length, 0);
}

static void widening(void **state)
{
    static const struct {
        const char *have, *wanted, *wider; /* "": it holds; NULL: none holds both */
    } steps[] = {{"i", "l", "l"},
                 {"l", "i", ""},
                 {"f", "g", "g"},
                 {"g", "i", ""},
                 {"u", "tdD", ""},
                 {"l", "u", NULL},
                 {"i", "g", NULL},
                 {"l", "d:20,0", NULL},
                 {"d:20,0", "l", ""},
                 {"d:5,2", "d:6,1", "d:7,2"},
                 {"d:38,0", "d:38,10", NULL},
                 {"tdD", "tsu:", "tsu:"},
                 {"tsu:", "tsu:UTC", NULL},
                 {"b", "i", NULL}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct lake_typed have = lake_type_read(steps[i].have), wider;
        struct lake_typed wanted = lake_type_read(steps[i].wanted);
        char format[LAKE_FORMAT_BYTES];
        enum lake_widening found = lake_type_widen(&have, &wanted, &wider);
        lake_type_format(&wider, format);
        assert_int_equal(found, !steps[i].wider   ? LAKE_OTHERWISE
                                : *steps[i].wider ? LAKE_WIDER
                                                  : LAKE_HOLDS);
        if (found == LAKE_WIDER)
            assert_string_equal(format, steps[i].wider);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(arrays),
                                       cmocka_unit_test(widening)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
