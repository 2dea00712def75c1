/* The JSON scanner: what is JSON, what is not, at every alignment and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json_scan.h"

#define COUNT(array) (sizeof array / sizeof *array)

/* Skip a whole text that lies in exactly as many bytes of heap, so that a sanitizer sees any step
 * beyond it. */
static bool is_json(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    memcpy(copy, text, length);
    char *exact = realloc(copy, length ? length : 1);
    struct json_scan scan;
    json_scan_init(&scan, exact, length);
    json_space(&scan);
    bool ok = json_skip(&scan) && json_end(&scan);
    assert_true(ok == !scan.problem);
    assert_true(scan.at >= scan.start && scan.at <= scan.end);
    free(exact);
    return ok;
}

static void what_is_json_is_walked_over(void **state)
{
    static const char *const cases[] = {"0",
                                        "-0",
                                        "-1",
                                        "1.5",
                                        "1e5",
                                        "1E+5",
                                        "-0.5e-10",
                                        "12345678901234567890123",
                                        "true",
                                        "false",
                                        "null",
                                        "\"\"",
                                        "\"a\"",
                                        "\"a longer text than sixteen bytes, plain\"",
                                        "\"esc \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0041\"",
                                        "\"\\uD83D\\uDE00\"",
                                        "\"\xc3\xa9\"",
                                        "\"\xf0\x9f\x98\x80 and some more text behind it\"",
                                        "[]",
                                        "[ ]",
                                        "[1,2,3]",
                                        "[ 1 , [ ] ]",
                                        "{}",
                                        "{ }",
                                        "{\"a\":1}",
                                        "{ \"a\" : [ { \"b\" : null } ] , \"c\" : \"\" }",
                                        " 1 ",
                                        "\t\r\n[1]\n",
                                        "NaN",
                                        "[NaN,Infinity,-Infinity]",
                                        "\"\x7f\"",
                                        "\"\xed\x9f\xbf\"",
                                        "\"\xf4\x8f\xbf\xbf\"",
                                        "123456789012345678",
                                        "{\"a\":{\"a\":{\"a\":[[[{}]]]}}}"};
    for (size_t i = 0; i < COUNT(cases); i++)
        if (!is_json(cases[i], strlen(cases[i])))
            fail_msg("refused: %s", cases[i]);
}

static void what_is_not_json_is_refused(void **state)
{
    static const char *const cases[] = {"",
                                        " ",
                                        "01",
                                        "-",
                                        "-a",
                                        "+1",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "1e+",
                                        "1.e5",
                                        "0x1",
                                        "1 2",
                                        "tru",
                                        "truE",
                                        "nul",
                                        "nulll",
                                        "\"",
                                        "\"a",
                                        "\"\\\"",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\ud83d\"",
                                        "\"\\ud83d\\u0041\"",
                                        "\"\\ude00\"",
                                        "\"\\ud83d\\ud83d\"",
                                        "\"\n\"",
                                        "\"\x1f\"",
                                        "\"\xff\"",
                                        "\"\xc3\"",
                                        "\"\xc0\xaf\"",
                                        "\"\xe0\x80\xaf\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xf4\x90\x80\x80\"",
                                        "\"\xf8\x88\x80\x80\x80\"",
                                        "\"long enough to be read in one \xff\"",
                                        "\"\x80short\"",
                                        "\"sixteen bytes --\x80\"",
                                        "[",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "]",
                                        "{",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":1,",
                                        "{\"a\":1,}",
                                        "{,}",
                                        "{a:1}",
                                        "{1:1}",
                                        "{\"a\" 1}",
                                        "{\"a\":1 \"b\":2}",
                                        "{\"a\":1}}",
                                        "[1]]",
                                        "'a'",
                                        "-Inf",
                                        "-NaN",
                                        "Nan",
                                        "\xc3\xa9",
                                        "[1\x0b]",
                                        "/**/1"};
    for (size_t i = 0; i < COUNT(cases); i++)
        if (is_json(cases[i], strlen(cases[i])))
            fail_msg("accepted: %s", cases[i]);
}

static void every_cut_is_refused(void **state)
{
    static const char text[] =
        "{\"name\":\"a text of more than sixteen bytes \xc3\xa9\",\"list\":[1,"
        "-2.5e10,true,{\"x\":\"\\uD83D\\uDE00\"}],\"n\":1234567890123456789}";
    assert_true(is_json(text, sizeof text - 1));
    for (size_t length = 0; length < sizeof text - 1; length++)
        assert_false(is_json(text, length));
}

static void depth_has_a_limit(void **state)
{
    static char text[2 * 600];
    for (int depth = 500; depth <= 530; depth++) {
        memset(text, '[', (size_t) depth);
        memset(text + depth, ']', (size_t) depth);
        assert_int_equal(is_json(text, 2 * (size_t) depth), depth <= JSON_DEPTH_MAX);
    }
}

static void strings_are_unescaped_and_else_not_copied(void **state)
{
    static const struct {
        const char *json, *text;
        size_t length;
        bool copied;
    } cases[] = {
        {"\"\"", "", 0, false},
        {"\"plain\"", "plain", 5, false},
        {"\"plain, and beyond sixteen bytes\"", "plain, and beyond sixteen bytes", 31, false},
        {"\"\xc3\xa9t\xc3\xa9\"", "\xc3\xa9t\xc3\xa9", 5, false},
        {"\"a\\nb\"", "a\nb", 3, true},
        {"\"\\u0000\"", "\0", 1, true},
        {"\"\\u00e9\\u20ac\\uD83D\\uDE00\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, true},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8, true},
        {"\"0123456789abcde\\\\\"", "0123456789abcde\\", 16, true}};
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_scan scan;
        const char *text;
        size_t length;
        json_scan_init(&scan, cases[i].json, strlen(cases[i].json));
        assert_true(json_string(&scan, &arena, &text, &length));
        assert_int_equal(length, cases[i].length);
        assert_memory_equal(text, cases[i].text, length);
        assert_ptr_equal(scan.at, scan.end);
        assert_int_equal(text != cases[i].json + 1, cases[i].copied);
    }
    arena_done(&arena);
}

/* A quote, backslash, control character or byte beyond ASCII at every position of a string, at
 * every alignment: the sixteen-byte steps must see each. */
static void every_position_of_a_string_is_looked_at(void **state)
{
    char buffer[128];
    for (size_t start = 0; start < 16; start++)
        for (size_t length = 1; length < 50; length++)
            for (size_t at = 0; at < length; at++) {
                char *text = buffer + start;
                text[0] = '"';
                memset(text + 1, 'x', length);
                text[length + 1] = '"';
                assert_true(is_json(text, length + 2));
                text[1 + at] = '\x01';
                assert_false(is_json(text, length + 2));
                text[1 + at] = '\xfe';
                assert_false(is_json(text, length + 2));
                text[1 + at] = '"';
                assert_false(is_json(text, length + 2));
            }
}

static void numbers_are_exact_or_kept_as_text(void **state)
{
    static const struct {
        const char *text;
        int64_t integer;
    } integers[] = {{"0", 0},
                    {"7", 7},
                    {"-1", -1},
                    {"12345678", 12345678},
                    {"123456789", 123456789},
                    {"1766131347123456", 1766131347123456},
                    {"9223372036854775807", INT64_MAX},
                    {"-9223372036854775808", INT64_MIN}};
    static const char *const others[] = {"-0",
                                         "1.0",
                                         "1e3",
                                         "9223372036854775808",
                                         "-9223372036854775809",
                                         "18446744073709551616",
                                         "99999999999999999999999999",
                                         "0.10"};
    struct json_scan scan;
    struct value value;
    for (size_t i = 0; i < COUNT(integers); i++) {
        json_scan_init(&scan, integers[i].text, strlen(integers[i].text));
        assert_true(json_number(&scan, &value));
        assert_int_equal(value.kind, VALUE_INT);
        assert_true(value.integer == integers[i].integer);
        assert_ptr_equal(scan.at, scan.end);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        json_scan_init(&scan, others[i], strlen(others[i]));
        assert_true(json_number(&scan, &value));
        assert_int_equal(value.kind, VALUE_NUMBER);
        assert_int_equal(value.length, strlen(others[i]));
        assert_ptr_equal(value.bytes, others[i]);
    }
}

/* What stands behind a number's digits must not be taken for one of them. */
static void numbers_end_where_their_digits_end(void **state)
{
    char text[32];
    for (int digits = 1; digits < 20; digits++)
        for (int byte = 1; byte < 256; byte++) {
            if ((byte >= '0' && byte <= '9') || byte == '.' || byte == 'e' || byte == 'E')
                continue;
            memset(text, '1', sizeof text);
            text[digits] = (char) byte;
            struct json_scan scan;
            struct value value;
            json_scan_init(&scan, text, sizeof text);
            assert_true(json_number(&scan, &value));
            assert_int_equal(scan.at - text, digits);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_json_is_walked_over),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(strings_are_unescaped_and_else_not_copied),
        cmocka_unit_test(every_position_of_a_string_is_looked_at),
        cmocka_unit_test(numbers_are_exact_or_kept_as_text),
        cmocka_unit_test(numbers_end_where_their_digits_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
