/* Entries of `tables` that are regular expressions: what they match, which goes before which, and
 * what is refused, with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/table_pattern.h"

static const char daemon_text[] =
    "targets = ( { name = \"ods\"; type = \"postgres\"; dsn = \"\"; } );\n";

static struct config *parse(const char *tables, enum ods_status expected)
{
    struct config *config = NULL;
    char text[4096];
    snprintf(text, sizeof text, "pipelines:\n- name: a\n  topics: [t]\n  tables:\n%s", tables);
    struct config_text first = {"x.conf", daemon_text, strlen(daemon_text)};
    struct config_text second = {"x.yaml", text, strlen(text)};
    assert_int_equal(config_parse(&config, &first, &second), expected);
    return config;
}

static void test_dialect(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"^orders_\\d+$", "orders_17", true},
        {"^orders_\\d+$", "orders_", false},
        {"^orders_\\d+$", "orders_1x", false},
        {"^orders_\\d+$", "orders_d", false},
        {"^orders_\\d{2,3}$", "orders_123", true},
        {"^orders_\\d{2,3}$", "orders_1234", false},
        {"^orders_[\\d_]+$", "orders_2024_01", true},
        {"^orders_[\\d_]+$", "orders_\\", false},
        {"^orders_[^\\d]$", "orders_1", false},
        {"^orders_[^\\d]$", "orders_x", true},
        {"^\\w+$", "a_B9", true},
        {"^\\w+$", "a-b", false},
        {"^\\W$", "-", true},
        {"^a\\sb$", "a b", true},
        {"^a[\\s]b$", "a b", true},
        {"^a\\Sb$", "a b", false},
        {"^\\D+$", "abc", true},
        {"^\\D+$", "ab1", false},
        {"^a\\.b$", "a.b", true},
        {"^a\\.b$", "axb", false},
        {"^a[.]b$", "a.b", true},
        {"^a[\\.]b$", "a\\b", false},
        {"^a\\$b$", "a$b", true},
        {"^(eu|us)_orders$", "us_orders", true},
        {"^orders", "orders_archive", true},
        {"^[]x]$", "]", true},
        {"^[[:digit:]]+$", "12", true},
        {"^[^]]$", "]", false},
        {"^a\\\\d$", "a\\d", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[256];
        regex_t regex;
        assert_null(table_pattern_compile(&regex, cases[i].pattern, room, sizeof room));
        if ((regexec(&regex, cases[i].name, 0, NULL, 0) == 0) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
        regfree(&regex);
    }
}

static void test_precedence(void **state)
{
    static const struct {
        const char *schema, *table, *target;
    } cases[] = {
        {"shop", "orders_1", "one"},       {"eu", "orders_1", "exact_eu"},
        {"shop", "orders_2", "orders"},    {"shop", "orders_x", ""},
        {"audit", "orders_2", "orders"},   {"audit", "users", "of_audit"},
        {"audit", "orders_x", "of_audit"}, {"", "orders_77", "orders"},
        {"public", "users", ""},
    };
    struct config *config = parse("    '^orders_\\d+$': { target: orders }\n"
                                  "    '^audit\\.': { target: of_audit }\n"
                                  "    '^orders_\\d$': { target: never }\n"
                                  "    orders_1: { target: one }\n"
                                  "    eu.orders_1: { target: exact_eu }\n",
                                  ODS_OK);
    const struct pipeline_settings *pipeline = &config_settings(config)->pipelines[0];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(pipeline_table(pipeline, cases[i].schema, cases[i].table)->target,
                            cases[i].target);
    config_free(config);
}

static void test_refused(void **state)
{
    static const struct {
        const char *pattern, *why;
    } cases[] = {
        {"^orders_(", "Unmatched"},
        {"^orders_[0-9", "x.yaml:6: "},
        {"^(a)\\1$", "may follow a backslash"},
        {"^\\bx", "may follow a backslash"},
        {"^x\\", "ends in a backslash"},
        {"^[\\D]", "in [brackets]"},
        {"^[\\]]", "in [brackets]"},
        {"^(?:x)", "does not compile"},
        {"^x{1,2000}", "repeat more than 1000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        size_t count;
        snprintf(text, sizeof text, "    good: {}\n    '%s': { target: x }\n", cases[i].pattern);
        struct config *config = parse(text, ODS_FATAL);
        const struct finding *findings = config_findings(config, &count);
        assert_int_equal(count, 1);
        if (!strstr(findings[0].text, cases[i].why) || !strstr(findings[0].text, "x.yaml:6: "))
            fail_msg("%s", findings[0].text);
        config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialect),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
