/* What each SQLSTATE of PostgreSQL means to the sink: the whole list, so that no class is left out
 * by accident, and what the error's origin changes about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sink/postgres/wire/sqlstate.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *name_of(enum sqlstate_meaning meaning)
{
    static const char *const names[] = {
        [SQLSTATE_ROW] = "row",       [SQLSTATE_TABLE] = "table",
        [SQLSTATE_OUTAGE] = "outage", [SQLSTATE_TABLE_OR_ROW] = "table_or_row",
        [SQLSTATE_STOP] = "stop",     [SQLSTATE_FENCE] = "fence",
        [SQLSTATE_UNKNOWN] = "unknown",
    };
    return names[meaning];
}

static void test_each_code_has_the_meaning_that_is_listed(void **state)
{
    (void) state;
    FILE *file = fopen(ODS_TEST_DATA "/sqlstates.txt", "re");
    char line[200], code[8], meaning[20];
    int count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%5s %19s", code, meaning), 2);
        if (strcmp(name_of(sqlstate_meaning(code)), meaning) != 0)
            fail_msg("%s is %s and not %s", code, name_of(sqlstate_meaning(code)), meaning);
        assert_string_not_equal(meaning, "unknown");
        count++;
    }
    fclose(file);
    assert_true(count > 250);
}

static void test_what_is_not_listed_is_unknown_and_stops(void **state)
{
    static const char *const codes[] = {"ZZ001", "45000", "99999", "OS003", "0", "0C000", "2A000"};
    (void) state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        assert_int_equal(sqlstate_meaning(codes[i]), SQLSTATE_UNKNOWN);
        assert_int_equal(sqlstate_status(codes[i]), ODS_FATAL);
    }
    assert_int_equal(sqlstate_status(""), ODS_RETRY);
    assert_int_equal(sqlstate_status("OS001"), ODS_FENCED);
    assert_int_equal(sqlstate_status("OS002"), ODS_RETRY);
}

static const struct {
    const char *code;
    enum error_origin origin;
    bool casts;
    enum ods_status status;
} rows[] = {
    {"54000", ORIGIN_SERVER, false, ODS_REJECT},
    {"44000", ORIGIN_ROW_CHECK, false, ODS_REJECT},
    {"42501", ORIGIN_SERVER, false, ODS_FATAL},
    {"42501", ORIGIN_SERVER, true, ODS_FATAL},
    {"42501", ORIGIN_ROW_CHECK, false, ODS_REJECT},
    {"42501", ORIGIN_ROUTINE, false, ODS_REJECT},
    {"42P01", ORIGIN_SERVER, false, ODS_FATAL},
    {"42P01", ORIGIN_SERVER, true, ODS_REJECT}, /* a regclass */
    {"42P01", ORIGIN_ROUTINE, false, ODS_REJECT},
    {"26000", ORIGIN_SERVER, true, ODS_FATAL}, /* a pooler's, not a value's */
    {"ZZ001", ORIGIN_SERVER, false, ODS_FATAL},
    {"ZZ001", ORIGIN_SERVER, true, ODS_REJECT}, /* an extension's input function */
    {"ZZ001", ORIGIN_RAISED, false, ODS_REJECT},
    {"OS001", ORIGIN_RAISED, false, ODS_REJECT},
    {"XX000", ORIGIN_SERVER, false, ODS_FATAL},
    {"XX000", ORIGIN_SERVER, true, ODS_REJECT}, /* PostGIS's parser */
    {"XX000", ORIGIN_VALUE_MEMORY, false, ODS_REJECT},
    {"XX000", ORIGIN_ROUTINE, false, ODS_REJECT},
    {"XX001", ORIGIN_SERVER, true, ODS_FATAL},
    {"XX002", ORIGIN_ROUTINE, false, ODS_FATAL}, /* corruption is nobody's row */
    {"XX001", ORIGIN_RAISED, false, ODS_REJECT},
    {"53100", ORIGIN_SERVER, true, ODS_RETRY},
    {"53200", ORIGIN_VALUE_MEMORY, false, ODS_RETRY},
    {"40001", ORIGIN_RAISED, false, ODS_RETRY},
    {"40P01", ORIGIN_ROUTINE, false, ODS_RETRY},
    {"OS001", ORIGIN_SERVER, false, ODS_FENCED},
};

static void test_where_an_error_arose_decides_too(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error error;
        error_init(&error);
        strcpy(error.code, rows[i].code);
        error.origin = rows[i].origin;
        if (sqlstate_for_rows(&error, rows[i].casts) != rows[i].status)
            fail_msg("%s, origin %d, casts %d", rows[i].code, rows[i].origin, rows[i].casts);
    }
}

static const struct {
    const char *code;
    enum error_origin origin;
    bool timeout, doubtful;
} doubts[] = {
    {"40001", ORIGIN_RAISED, false, true},   {"40001", ORIGIN_ROUTINE, false, false},
    {"55P03", ORIGIN_SERVER, false, false},  {"57014", ORIGIN_SERVER, false, false},
    {"57014", ORIGIN_ROUTINE, true, true},   {"25006", ORIGIN_SERVER, false, true},
    {"53100", ORIGIN_ROUTINE, false, false}, {"53200", ORIGIN_SERVER, true, false},
    {"P0001", ORIGIN_RAISED, false, false},  {"", ORIGIN_SERVER, true, false},
};

static void test_outages_that_may_be_a_rows_fault(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(doubts); i++) {
        struct error error;
        error_init(&error);
        strcpy(error.code, doubts[i].code);
        error.origin = doubts[i].origin;
        if (sqlstate_is_doubtful(&error, doubts[i].timeout) != doubts[i].doubtful)
            fail_msg("%s, origin %d", doubts[i].code, doubts[i].origin);
    }
}

static const struct {
    const char *code;
    enum fault fault;
} faults[] = {
    {"22001", FAULT_ROW},     {"23502", FAULT_ROW},           {"23514", FAULT_ROW},
    {"P0001", FAULT_ROW},     {"23503", FAULT_ORDER},         {"23505", FAULT_ORDER},
    {"23P01", FAULT_ORDER},   {"42P01", FAULT_TABLE},         {"42703", FAULT_TABLE},
    {"42804", FAULT_TABLE},   {"", FAULT_OUTAGE},             {"40001", FAULT_OUTAGE},
    {"57P01", FAULT_OUTAGE},  {"42501", FAULT_CONFIGURATION}, {"XX000", FAULT_CONFIGURATION},
    {"ZZ999", FAULT_CONFIGURATION},
};

static void test_what_is_at_fault_in_words_of_all_targets(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT(faults); i++)
        if (sqlstate_fault(faults[i].code) != faults[i].fault)
            fail_msg("%s", faults[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_code_has_the_meaning_that_is_listed),
        cmocka_unit_test(test_what_is_not_listed_is_unknown_and_stops),
        cmocka_unit_test(test_where_an_error_arose_decides_too),
        cmocka_unit_test(test_outages_that_may_be_a_rows_fault),
        cmocka_unit_test(test_what_is_at_fault_in_words_of_all_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
