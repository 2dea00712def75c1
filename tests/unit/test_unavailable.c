/* The placeholder's forms: each is told where it may stand, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "format/unavailable.h"

#define COUNT(array) (sizeof array / sizeof *array)

static void the_uuid_is_the_one_that_java_makes_of_the_bytes(void **state)
{
    static const char *const cases[][2] = {
        /* UUID.nameUUIDFromBytes(…) */
        {"__debezium_unavailable_value", "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]"},
        {"a", "[\"0cc175b9-c0f1-36a8-b1c3-99e269772661\"]"},
        {"hex:61", "[\"0cc175b9-c0f1-36a8-b1c3-99e269772661\"]"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "[\"57edf4a2-2be3-3955-ac49-da2e2107b67a\"]"},
        {"hex:00ff", "[\"d07d34ef-ac63-3800-bad6-7c7e0a985e00\"]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct unavailable unavailable;
        assert_true(unavailable_init(&unavailable, cases[i][0]));
        const char *uuid = cases[i][1];
        assert_true(unavailable_is(&unavailable, uuid, strlen(uuid), UNAVAILABLE_JSON));
        assert_false(unavailable_is(&unavailable, uuid, strlen(uuid), UNAVAILABLE_TEXT));
        unavailable_done(&unavailable);
    }
}

static void nothing_is_unavailable_without_a_placeholder(void **state)
{
    struct unavailable unavailable;
    assert_true(unavailable_init(&unavailable, ""));
    assert_false(unavailable_is(&unavailable, "", 0, UNAVAILABLE_TEXT));
    unavailable_done(&unavailable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_uuid_is_the_one_that_java_makes_of_the_bytes),
        cmocka_unit_test(nothing_is_unavailable_without_a_placeholder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
