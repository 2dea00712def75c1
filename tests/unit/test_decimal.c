/* Decimals: bytes to digits at every size, and literals without their exponents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/decimal.h"

#define COUNT(array) (sizeof array / sizeof *array)

static void bytes_become_plain_digits(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int32_t scale;
        const char *text;
    } cases[] = {
        {"\x00", 1, 0, "0"},
        {"\x00", 1, 3, "0.000"},
        {"\x00", 1, -3, "0"},
        {"\x6e", 1, 2, "1.10"},
        {"\x80", 1, 2, "-1.28"},
        {"\xff", 1, 10, "-0.0000000001"},
        {"\xff\xff\xff\xff", 4, 0, "-1"},
        {"\x7b", 1, -2, "12300"},
        {"\x3b\x9a\xca\x00", 4, 2, "10000000.00"},
        {"\x00\xff\xff\xff\xff\xff\xff\xff\xff", 9, 0, "18446744073709551615"},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x00", 9, 0, "18446744073709551616"},
        {"\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x3f\xff\xff\xff\xff", 16, 0,
         "99999999999999999999999999999999999999"},
        {"\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, 0,
         "-170141183460469231731687303715884105728"},
        {"\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 17, 0,
         "-170141183460469231731687303715884105728"},
        {"\xff\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 17, 1,
         "-17014118346046923173168730371588410572.9"},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 17, 0,
         "340282366920938463463374607431768211456"},
    };
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buffer_reset(&out);
        assert_true(decimal_from_bytes(&out, cases[i].bytes, cases[i].length, cases[i].scale));
        assert_string_equal(buffer_text(&out), cases[i].text);
    }
    buffer_done(&out);
}

/* 10^n - 1 by repeated multiplication in bytes, so that no code is shared with what is tested. */
static size_t nines(unsigned char *bytes, size_t room, unsigned digits)
{
    memset(bytes, 0, room);
    for (unsigned i = 0; i < digits; i++) {
        unsigned carry = 9;
        for (size_t at = room; at-- > 0;) {
            carry += bytes[at] * 10U;
            bytes[at] = (unsigned char) carry;
            carry >>= 8;
        }
    }
    return room;
}

static void thousands_of_digits_are_exact(void **state)
{
    static unsigned char bytes[2048];
    struct buffer out;
    buffer_init(&out);
    for (unsigned digits = 1; digits <= 4000; digits += digits < 100 ? 1 : 431) {
        buffer_reset(&out);
        size_t length = nines(bytes, sizeof bytes, digits);
        assert_true(decimal_from_bytes(&out, bytes, length, 0));
        assert_int_equal(out.length, digits);
        for (size_t i = 0; i < out.length; i++)
            assert_int_equal(out.bytes[i], '9');
    }
    buffer_done(&out);
}

static void what_numeric_does_not_hold_is_refused(void **state)
{
    static unsigned char bytes[70000];
    struct buffer out;
    buffer_init(&out);
    assert_false(decimal_from_bytes(&out, "", 0, 0));
    assert_false(decimal_from_bytes(&out, "\x01", 1, 16384));
    assert_false(decimal_from_bytes(&out, "\x01", 1, -131072));
    assert_false(decimal_from_bytes(&out, "\x01", 1, INT32_MIN));
    assert_false(decimal_from_bytes(&out, "\x01", 1, INT32_MAX));
    bytes[0] = 1;
    assert_false(decimal_from_bytes(&out, bytes, sizeof bytes, 0));
    buffer_done(&out);
}

static void literals_lose_their_exponent_only(void **state)
{
    static const struct {
        const char *literal, *text;
    } cases[] = {{"0", "0"},
                 {"1.5E3", "1500"},
                 {"1.5e+3", "1500"},
                 {"15E-1", "1.5"},
                 {"22.2200", "22.2200"},
                 {"-0.00", "-0.00"},
                 {"1E-7", "0.0000001"},
                 {"-12.5e1", "-125"},
                 {"0.5E1", "5"},
                 {"007.10", "7.10"},
                 {"+3", "3"},
                 {"0E5", "0"},
                 {"0.001E2", "0.1"}};
    static const char *const wrong[] = {"",    "-",          ".5",       "1.",       "1e",
                                        "1e+", "abc",        "1 ",       "1.5.",     "0x10",
                                        "NaN", "1e99999999", "1e-20000", "1e131072", "--1"};
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buffer_reset(&out);
        assert_true(decimal_from_text(&out, cases[i].literal, strlen(cases[i].literal)));
        assert_string_equal(buffer_text(&out), cases[i].text);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(decimal_from_text(&out, wrong[i], strlen(wrong[i])));
    buffer_done(&out);
}

/* --- and back ------------------------------------------------------------------------------- */

static void literals_become_the_bytes_of_their_digits(void **test)
{
    static const struct {
        const char *literal;
        int32_t scale;
        const char *bytes;
        size_t length;
    } cases[] = {{"0", 0, "\0", 1},           {"-0.00", 2, "\0", 1},     {"1", 0, "\1", 1},
                 {"-1", 0, "\xff", 1},        {"127", 0, "\x7f", 1},     {"128", 0, "\0\x80", 2},
                 {"-128", 0, "\x80", 1},      {"-129", 0, "\xff\x7f", 2}, {"1.5", 2, "\0\x96", 2},
                 {"1.500", 1, "\x0f", 1},     {"1200", -2, "\x0c", 1},   {"1E3", 0, "\3\xe8", 2},
                 {"-2147483648", 0, "\x80\0\0\0", 4},
                 {"4294967296", 0, "\1\0\0\0\0", 5}};
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buffer_reset(&out);
        assert_true(decimal_to_bytes(&out, cases[i].literal, strlen(cases[i].literal),
                                     cases[i].scale));
        assert_int_equal(out.length, cases[i].length);
        assert_memory_equal(out.bytes, cases[i].bytes, out.length);
    }
    assert_false(decimal_to_bytes(&out, "1.55", 4, 1));
    assert_false(decimal_to_bytes(&out, "1210", 4, -2));
    assert_false(decimal_to_bytes(&out, "NaN", 3, 0));
    buffer_done(&out);
}

static void bytes_come_back_as_they_were(void **test)
{
    struct buffer text, bytes;
    uint64_t state = 88172645463325252u;
    buffer_init(&text);
    buffer_init(&bytes);
    for (int i = 0; i < 3000; i++) {
        unsigned char wrote[60];
        size_t length = 1 + (size_t) i % sizeof wrote, digits;
        for (size_t k = 0; k < length; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            wrote[k] = (unsigned char) state;
        }
        if (length > 1 && (wrote[0] == 0 || wrote[0] == 0xff))
            wrote[0] = 0x55; /* nothing repeats the sign */
        int32_t scale = i % 70 - 5;
        buffer_reset(&text);
        buffer_reset(&bytes);
        assert_true(decimal_from_bytes(&text, wrote, length, scale));
        assert_true(decimal_to_bytes(&bytes, text.bytes, text.length, scale));
        assert_int_equal(bytes.length, length);
        assert_memory_equal(bytes.bytes, wrote, length);
        buffer_reset(&text);
        assert_true(decimal_from_bytes(&text, wrote, length, 0));
        digits = text.length - (*text.bytes == '-');
        assert_true(decimal_within(&bytes, wrote, length, (int32_t) digits));
        assert_false(decimal_within(&bytes, wrote, length, (int32_t) digits - 1));
        assert_int_equal(bytes.length, length);
    }
    buffer_done(&text);
    buffer_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_plain_digits),
        cmocka_unit_test(thousands_of_digits_are_exact),
        cmocka_unit_test(what_numeric_does_not_hold_is_refused),
        cmocka_unit_test(literals_lose_their_exponent_only),
        cmocka_unit_test(literals_become_the_bytes_of_their_digits),
        cmocka_unit_test(bytes_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
