/* Canonical forms that verify compares, source texts that it reads, and what records tell of
 * a place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "verify/canon.h"
#include "verify/digest.h"
#include "verify/forms.h"
#include "verify/tail.h"

static bool same_json(const char *one, const char *other)
{
    struct buffer a, b;
    buffer_init(&a);
    buffer_init(&b);
    assert_true(canon_json(&a, one, strlen(one)));
    assert_true(canon_json(&b, other, strlen(other)));
    bool same = a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
    buffer_done(&a);
    buffer_done(&b);
    return same;
}

static void json_is_compared_by_meaning(void **state)
{
    assert_true(same_json("{\"a\": 1, \"b\": [1, 2]}", "{\"b\":[1,2],\"a\":1}"));
    assert_true(same_json("[1.0, 2.0E-3, 1e2]", "[1, 0.002, 100]"));
    assert_true(same_json("[5.684341886080802E-14]", "[5.6843418860808015E-14]")); /* one double */
    assert_true(same_json("{\"a\": 1, \"a\": 2}", "{\"a\": 2}"));
    assert_true(same_json("\"\\u00e9\"", "\"é\""));
    assert_false(same_json("[1, 2]", "[2, 1]"));
    assert_false(same_json("{\"a\": \"1\"}", "{\"a\": 1}"));
    assert_false(same_json("[\"ab\", \"c\"]", "[\"a\", \"bc\"]"));
    assert_false(same_json("[null]", "[false]"));
    assert_false(same_json("[123456789012345678901234567890]", "[123456789012345678901234567891]"));
    assert_false(same_json("[0.12345678901234567891]", "[0.12345678901234567892]"));
    struct buffer out;
    buffer_init(&out);
    assert_false(canon_json(&out, "{\"a\":", 5));
    buffer_done(&out);
}

/* An element of numeric: its digits in base 10,000. */
static void put_numeric(struct buffer *out, int16_t weight, uint16_t scale, const uint16_t *digits,
                        uint16_t count)
{
    uint16_t head[] = {count, (uint16_t) weight, 0, scale};
    element_put_length(out, 8 + 2 * count);
    for (size_t i = 0; i < 4; i++)
        buffer_add(out, (char[]){(char) (head[i] >> 8), (char) head[i]}, 2);
    for (size_t i = 0; i < count; i++)
        buffer_add(out, (char[]){(char) (digits[i] >> 8), (char) digits[i]}, 2);
}

static void numbers_have_one_form(void **state)
{
    struct buffer one, other;
    buffer_init(&one);
    buffer_init(&other);
    put_numeric(&one, 0, 1, (uint16_t[]){7, 5000}, 2);          /* 7.5 */
    put_numeric(&other, 1, 4, (uint16_t[]){0, 7, 5000, 0}, 4);  /* 0007.50000000 */
    assert_true(canon_element(CANON_NUMERIC, &one, 0) && canon_element(CANON_NUMERIC, &other, 0));
    assert_int_equal(one.length, other.length);
    assert_memory_equal(one.bytes, other.bytes, one.length);
    buffer_reset(&other);
    put_numeric(&other, 0, 1, (uint16_t[]){7, 5001}, 2);
    canon_element(CANON_NUMERIC, &other, 0);
    assert_memory_not_equal(one.bytes, other.bytes, one.length);
    buffer_done(&one);
    buffer_done(&other);
}

static void null_is_no_text(void **state)
{
    struct buffer one, other;
    buffer_init(&one);
    buffer_init(&other);
    element_put_length(&one, -1);
    element_put_length(&other, 0);
    assert_true(canon_element(CANON_BLANKS, &one, 0) && canon_element(CANON_BLANKS, &other, 0));
    assert_memory_not_equal(one.bytes, other.bytes, 4);
    buffer_done(&one);
    buffer_done(&other);
}

static void sums_know_how_often(void **state)
{
    struct digest a = digest_of("a", 1), b = digest_of("b", 1), one = {0}, other = {0};
    assert_false(digest_same(&a, &b));
    digest_add(&one, &a);
    digest_add(&one, &b);
    digest_add(&other, &b);
    digest_add(&other, &a);
    assert_true(digest_same(&one, &other));
    digest_add(&other, &a);
    digest_add(&one, &b);
    assert_false(digest_same(&one, &other));
    struct digest zeros = digest_of("\0\0", 2), zero = digest_of("\0", 1);
    assert_false(digest_same(&zeros, &zero));
}

static struct value read(enum form form, bool not_null, const char *text, struct arena *arena)
{
    const struct form_column column = {.form = form, .not_null = not_null};
    const struct field field = {text, strlen(text)};
    struct value value;
    struct error error;
    error_init(&error);
    assert_int_equal(form_value(&column, &field, arena, &value, &error), ODS_OK);
    return value;
}

static void assert_text(const struct value *value, const char *text)
{
    assert_int_equal(value->kind, VALUE_TEXT);
    assert_int_equal(value->length, strlen(text));
    assert_memory_equal(value->bytes, text, value->length);
}

static void texts_are_read_as_connectors_send_them(void **state)
{
    struct arena arena;
    struct value value;
    arena_init(&arena);
    value = read(FORM_DATE, false, "1970-01-11", &arena);
    assert_int_equal(value.integer, 10);
    value = read(FORM_DATE, false, "2024-00-10", &arena);
    assert_int_equal(value.kind, VALUE_NULL);
    value = read(FORM_DATE, true, "0000-00-00", &arena);
    assert_int_equal(value.integer, 0);
    value = read(FORM_TIME, false, "-838:59:59.5", &arena);
    assert_true(value.integer == INT64_C(-3020399500000));
    value = read(FORM_TIMESTAMP_US, false, "1969-12-31 23:59:59.999999", &arena);
    assert_int_equal(value.integer, -1);
    value = read(FORM_MOMENT, false, "2025-12-19 08:02:27.120", &arena);
    assert_text(&value, "2025-12-19T08:02:27.12Z");
    value = read(FORM_MOMENT, true, "0000-00-00 00:00:00", &arena);
    assert_text(&value, "1970-01-01T00:00:00Z");
    value = read(FORM_INT, false, "-9223372036854775808", &arena);
    assert_true(value.integer == INT64_MIN);
    value = read(FORM_HEX, false, "\\x00ff", &arena);
    assert_int_equal(value.length, 2);
    assert_memory_equal(value.bytes, "\x00\xff", 2);
    value = read(FORM_DIGIT_BITS, false, "100000010", &arena);
    assert_memory_equal(value.bytes, "\x02\x01", 2);
    struct error error;
    const struct form_column number = {.form = FORM_INT};
    const struct field wrong = {"9223372036854775808", 19};
    error_init(&error);
    assert_int_equal(form_value(&number, &wrong, &arena, &value, &error), ODS_REJECT);
    arena_done(&arena);
}

static struct told tell(const char *record)
{
    struct told told;
    tail_read(record, record ? strlen(record) : 0, "__", &told);
    return told;
}

static void records_tell_where_their_source_stood(void **state)
{
    struct told told = tell("{\"payload\":{\"op\":\"u\",\"source\":{\"ts_ms\":1500,\"file\":"
                            "\"bin.000003\",\"pos\":77,\"snapshot\":\"false\"}}}");
    assert_true(told.is_change && told.place.known && told.time_us == 1500000);
    assert_string_equal(told.place.file, "bin.000003");
    assert_int_equal(told.place.position, 77);
    told =
        tell("{\"op\":\"c\",\"source\":{\"ts_ms\":1500,\"lsn\":99,\"snapshot\":\"incremental\"}}");
    assert_true(!told.is_change && told.place.known && told.place.position == 99);
    told = tell("{\"op\":\"r\",\"source\":{\"ts_ms\":1500}}");
    assert_true(!told.is_change && !told.place.known);
    told = tell("{\"id\":1,\"__op\":\"d\",\"__source_ts_ms\":3,\"__source_file\":\"b.1\","
                "\"__source_pos\":5}");
    assert_true(told.is_change && told.time_us == 3000 && told.place.position == 5);
    told = tell("{\"database\":\"d\",\"table\":\"t\",\"type\":\"insert\",\"ts\":7,"
                "\"position\":\"b.1:9\"}");
    assert_true(told.is_change && told.time_us == 7000000 && told.place.position == 9);
    told = tell("no json");
    assert_true(!told.is_change && !told.place.known);
    told = tell(NULL);
    assert_true(!told.is_change && told.time_us == INT64_MIN);
}

static void places_are_in_the_order_of_the_log(void **state)
{
    const struct source_place one = {.file = "bin.999999", .position = 900},
                              next = {.file = "bin.1000000", .position = 4},
                              later = {.file = "bin.1000000", .position = 5};
    assert_int_equal(source_place_compare(&one, &next), -1);
    assert_int_equal(source_place_compare(&later, &next), 1);
    assert_int_equal(source_place_compare(&later, &later), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_compared_by_meaning),
        cmocka_unit_test(numbers_have_one_form),
        cmocka_unit_test(null_is_no_text),
        cmocka_unit_test(sums_know_how_often),
        cmocka_unit_test(texts_are_read_as_connectors_send_them),
        cmocka_unit_test(records_tell_where_their_source_stood),
        cmocka_unit_test(places_are_in_the_order_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
