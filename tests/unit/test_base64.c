/* Base64: the RFC's own examples, every length both ways, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base64.h"

#define COUNT(array) (sizeof array / sizeof *array)

static void the_examples_of_rfc_4648_hold(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char encoded[16] = "";
        unsigned char decoded[16] = "";
        size_t length, count = strlen(cases[i][0]);
        base64_encode(cases[i][0], count, encoded);
        assert_string_equal(encoded, cases[i][1]);
        assert_true(base64_decode(encoded, BASE64_ENCODED(count), decoded, &length));
        assert_int_equal(length, count);
        assert_memory_equal(decoded, cases[i][0], count);
    }
}

static void every_byte_survives(void **state)
{
    unsigned char bytes[768], decoded[770];
    char text[1024];
    size_t length;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char) (i * 151 + i / 256);
    for (size_t count = 0; count <= sizeof bytes; count++) {
        base64_encode(bytes, count, text);
        assert_true(base64_decode(text, BASE64_ENCODED(count), decoded, &length));
        assert_int_equal(length, count);
        assert_memory_equal(decoded, bytes, count);
    }
}

static void what_is_not_base64_is_refused(void **state)
{
    static const char *const wrong[] = {
        "Z",    "Zg",       "Zg=",  "Zg===", "=Zg=", "Z===",       "Zg=a",    "Zm9-",
        "Zm_v", "Zm 9v===", "====", "Zh==",  "Zm9=", "\xc3\xa9zz", "Zg==Zg=="};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        unsigned char decoded[16];
        size_t length;
        assert_false(base64_decode(wrong[i], strlen(wrong[i]), decoded, &length));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_4648_hold),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(what_is_not_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
