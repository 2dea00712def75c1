/* What regcomp() would take for something else than was meant: whatever is passed means to it what
 * it says, and whatever is refused does not. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/pattern.h"

static void strays_are_refused(void **state)
{
    static const struct {
        const char *pattern, *why;
    } cases[] = {
        {"^\\d+$", "has \\d, which to POSIX is the letter d: write [0-9]"},
        {"x\\D", "has \\D, which to POSIX is the letter D: write [^0-9]"},
        {"a\\tb", "has a backslash before a letter, "},
        {"\\Aa", "has a backslash before a letter, "},
        {"a\\\\\\d", "has \\d"},
        {"^[\\w.]+$", "has a backslash before a letter in [brackets], "},
        {"^[^\\s]", "in [brackets]"},
        {"^[]\\d]", "in [brackets]"},
        {"^[^]\\d]", "in [brackets]"},
        {"[[:alpha:]\\d]", "in [brackets]"},
        {"[a]\\d", "has \\d"},
        {"[a\\]\\d", "has \\d"},
        {"[\\d", "in [brackets]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *stray = pattern_stray(cases[i].pattern);
        if (!stray || !strstr(stray, cases[i].why))
            fail_msg("%s: %s", cases[i].pattern, stray ? stray : "(taken)");
    }
}

static void others_mean_what_they_say(void **state)
{
    static const struct {
        const char *pattern, *text;
    } cases[] = {
        {"", "x"},
        {"^a\\.b$", "a.b"},
        {"^\\w+\\W$", "a_9-"},
        {"^a\\sb\\Sc$", "a bxc"},
        {"\\bone\\b", "is one here"},
        {"o\\Be", "noes"},
        {"^(a)\\1$", "aa"},
        {"^a\\\\d$", "a\\d"},
        {"^[\\\\d]+$", "\\d"},
        {"^[a-z\\]+$", "a\\b"},
        {"^[\\.]$", "."},
        {"^[[:digit:]_]+$", "2026_11"},
        {"^[]a]+$", "a]"},
        {"^\\[d$", "[d"},
        {"^\\$$", "$"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        regex_t regex;
        const char *stray = pattern_stray(cases[i].pattern);
        if (stray)
            fail_msg("%s: %s", cases[i].pattern, stray);
        assert_int_equal(regcomp(&regex, cases[i].pattern, REG_EXTENDED | REG_NOSUB), 0);
        if (regexec(&regex, cases[i].text, 0, NULL, 0) != 0)
            fail_msg("%s does not match %s", cases[i].pattern, cases[i].text);
        regfree(&regex);
    }
    assert_null(pattern_stray("a\\")); /* for regcomp() to refuse */
    assert_null(pattern_stray("[a"));
}

static void edges_of_words(void **state)
{
    assert_true(pattern_has_edge("\\bone"));
    assert_true(pattern_has_edge("^a\\.\\Bc"));
    assert_false(pattern_has_edge("^a\\\\b"));
    assert_false(pattern_has_edge("^b\\wB\\"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_of_words),
        cmocka_unit_test(strays_are_refused),
        cmocka_unit_test(others_mean_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
