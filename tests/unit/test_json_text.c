/* JSON that is written as it comes: any text is valid JSON of valid UTF-8, numbers have their
 * point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ods/buffer.h>
#include "pipeline/json_text.h"

static const char *text(struct buffer *out, const char *given)
{
    buffer_reset(out);
    json_put_text(out, given);
    return buffer_text(out);
}

static const char *number(struct buffer *out, int64_t given, unsigned digits)
{
    buffer_reset(out);
    json_put_number(out, given, digits);
    return buffer_text(out);
}

static void test_texts(void **state)
{
    struct buffer out;
    buffer_init(&out);
    assert_string_equal(text(&out, NULL), "null");
    assert_string_equal(text(&out, ""), "\"\"");
    assert_string_equal(text(&out, "a \"b\"\\\n\x1f\x7f"), "\"a \\\"b\\\"\\\\\\u000a\\u001f\x7f\"");
    assert_string_equal(text(&out, "Größe"), "\"Größe\"");
    assert_string_equal(text(&out, "a\xff\"b"), "\"a\xef\xbf\xbd\\\"b\"");
    json_t *read = json_loads(text(&out, "\x01\xc3(\xf0\x9f\"\\"), JSON_DECODE_ANY, NULL);
    assert_non_null(read);
    json_decref(read);
    buffer_done(&out);
}

static void test_numbers(void **state)
{
    struct buffer out;
    buffer_init(&out);
    assert_string_equal(number(&out, 0, 0), "0");
    assert_string_equal(number(&out, 4711, 0), "4711");
    assert_string_equal(number(&out, INT64_MIN, 0), "-9223372036854775808");
    assert_string_equal(number(&out, INT64_MAX, 0), "9223372036854775807");
    assert_string_equal(number(&out, 0, 3), "0.000");
    assert_string_equal(number(&out, 5, 3), "0.005");
    assert_string_equal(number(&out, -12345, 3), "-12.345");
    assert_string_equal(number(&out, 1760000050000000, 6), "1760000050.000000");
    buffer_done(&out);
}

/* Members are added to what is open; an object has one at least. */
static void test_open(void **state)
{
    struct buffer out;
    buffer_init(&out);
    assert_true(json_put_open(&out, json_pack("{s:[{s:i}]}", "a", "b", 1)));
    buffer_puts(&out, ", \"c\": 2}");
    json_t *read = json_loads(buffer_text(&out), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(read, "c")), 2);
    assert_int_equal(json_array_size(json_object_get(read, "a")), 1);
    json_decref(read);
    assert_false(json_put_open(&out, NULL));
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
