/* The calendar against the C library and against known days; writing and parsing of times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "core/time.h"

#define COUNT(array) (sizeof array / sizeof *array)

static void check(struct buffer *out, const char *expected)
{
    assert_string_equal(buffer_text(out), expected);
    buffer_reset(out);
}

static void civil_and_days_are_inverse_and_agree_with_the_c_library(void **state)
{
    for (int64_t day = -2000000; day < 4000000; day += 37) {
        int64_t year;
        int month, of_month;
        time_civil(day, &year, &month, &of_month);
        assert_int_equal(time_days(year, month, of_month), day);
        time_t seconds = (time_t) day * 86400;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(tm.tm_year + 1900, year);
        assert_int_equal(tm.tm_mon + 1, month);
        assert_int_equal(tm.tm_mday, of_month);
    }
}

static void dates_are_written_as_postgresql_writes_them(void **state)
{
    static const struct {
        int64_t days;
        const char *text;
    } cases[] = {{0, "1970-01-01"},
                 {2909, "1977-12-19"},
                 {-719162, "0001-01-01"},
                 {-719163, "0001-12-31 BC"},
                 {-719560, "0002-11-30 BC"},
                 {2932897, "10000-01-01"},
                 {TIME_DAYS_MIN, "4714-11-24 BC"},
                 {TIME_DAYS_MAX, "5874897-12-31"}};
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        time_format_date(&out, cases[i].days);
        check(&out, cases[i].text);
    }
    buffer_done(&out);
}

static void timestamps_round_towards_the_past_not_towards_zero(void **state)
{
    static const struct {
        int64_t us;
        bool utc;
        const char *text;
    } cases[] = {{-1, false, "1969-12-31 23:59:59.999999"},
                 {0, true, "1970-01-01 00:00:00+00"},
                 {-1047174587392000, false, "1936-10-25 22:10:12.608"},
                 {-210831897600000001, false, "4713-12-31 23:59:59.999999 BC"},
                 {-210831897600000001, true, "4713-12-31 23:59:59.999999+00 BC"},
                 {601060312290123456, false, "21016-11-04 13:51:30.123456"}};
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        time_format_timestamp(&out, cases[i].us, cases[i].utc);
        check(&out, cases[i].text);
    }
    buffer_done(&out);
}

static void times_may_be_negative_and_beyond_a_day(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {{0, "00:00:00"},
                 {86400000000, "24:00:00"},
                 {-3020399000000, "-838:59:59"},
                 {-1, "-00:00:00.000001"},
                 {49890500000, "13:51:30.5"},
                 {INT64_MAX, "2562047788:00:54.775807"},
                 {INT64_MIN, "-2562047788:00:54.775808"}};
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        time_format_time(&out, cases[i].us);
        check(&out, cases[i].text);
    }
    buffer_done(&out);
}

static void timestamps_are_parsed_with_any_zone(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
        bool zoned;
        int32_t ps;
    } cases[] = {{"1970-01-01T00:00:00Z", 0, true, 0},
                 {"1970-01-01T00:00:00", 0, false, 0},
                 {"1970-01-01", 0, false, 0},
                 {"1970-01-01T07:00:00+07:00", 0, true, 0},
                 {"1969-12-31T18:30:00-0530", 0, true, 0},
                 {"1970-01-01T00:00:00.0000005Z", 0, true, 500000},
                 {"1970-01-01T00:00:00.0000004999Z", 0, true, 499900},
                 {"1970-01-01T00:00:00.0000000000001Z", 0, true, 1},
                 {"1969-12-31T23:59:59.9999999Z", -1, true, 900000},
                 {"+21016-11-04T13:51:30.123456Z", 601060312290123456, true, 0},
                 {"-4712-12-31T23:59:59.999999Z", -210831897600000001, true, 0},
                 {"4713-12-31 23:59:59.999999+00 BC", -210831897600000001, true, 0},
                 {"0001-02-29 BC", -62162121600000000, false, 0},
                 {"2000-02-29T24:00:00Z", 951868800000000, true, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t us;
        int32_t ps;
        bool zoned;
        assert_true(time_parse_timestamp(cases[i].text, strlen(cases[i].text), &us, &ps, &zoned));
        assert_int_equal(us, cases[i].us);
        assert_int_equal(ps, cases[i].ps);
        assert_int_equal(zoned, cases[i].zoned);
    }
}

static void what_is_no_timestamp_is_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "1970",
                                        "1970-01",
                                        "1970-13-01",
                                        "1970-00-01",
                                        "1970-01-32",
                                        "1900-02-29",
                                        "2001-02-29",
                                        "1970-01-01T",
                                        "1970-01-01T25:00:00",
                                        "1970-01-01T00:60:00",
                                        "1970-01-01T00:00:61",
                                        "1970-01-01T00:00:00.",
                                        "1970-01-01T00:00:00X",
                                        "1970-01-01T00:00:00+",
                                        "1970-01-01T00:00:00+7",
                                        "1970-01-01T00:00:00Z ",
                                        "99999999999-01-01",
                                        "infinity",
                                        "1970-01-01T24:00:01",
                                        "1970-01-01T24:00:00.0000001",
                                        "970-01-01",
                                        "300000-01-01T00:00:00Z"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t us;
        int32_t ps;
        bool zoned;
        assert_false(time_parse_timestamp(cases[i], strlen(cases[i]), &us, &ps, &zoned));
    }
}

static void intervals_are_read_and_written(void **state)
{
    static const struct {
        const char *iso, *text;
    } cases[] = {{"P1Y2M3DT4H5M6.78S", "1 year 2 mons 3 days 04:05:06.78"},
                 {"P0Y0M0DT0H0M0S", "00:00:00"},
                 {"PT0S", "00:00:00"},
                 {"P-1Y-2M3DT-4H-5M-6.78S", "-1 years -2 mons +3 days -04:05:06.78"},
                 {"P1M", "1 mon"},
                 {"P-1D", "-1 days"},
                 {"P-1DT1S", "-1 days +00:00:01"},
                 {"P2W", "14 days"},
                 {"PT-0.000001S", "-00:00:00.000001"},
                 {"PT-0.000000001S", "-00:00:00.000000001"},
                 {"PT1M-0.000000001S", "00:00:59.999999999"},
                 {"P14M", "1 year 2 mons"}};
    static const char *const wrong[] = {"",
                                        "P",
                                        "PT",
                                        "1Y",
                                        "PY",
                                        "P1",
                                        "P1.5D",
                                        "P1H",
                                        "PT1D",
                                        "P1YT1S1X",
                                        "PP1Y",
                                        "PT1H1T",
                                        "P99999999999D",
                                        "PT99999999999999999999S"};
    struct buffer out;
    int64_t months, days, us;
    int32_t ps;
    buffer_init(&out);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(
            time_parse_interval(cases[i].iso, strlen(cases[i].iso), &months, &days, &us, &ps));
        time_format_interval(&out, months, days, us, ps);
        check(&out, cases[i].text);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(time_parse_interval(wrong[i], strlen(wrong[i]), &months, &days, &us, &ps));
    buffer_done(&out);
}

static void infinities_are_known_by_their_numbers(void **state)
{
    assert_int_equal(time_date_infinite(-2147472692), 1);
    assert_int_equal(time_date_infinite(-2147472691), -1);
    assert_int_equal(time_date_infinite(0), 0);
    assert_int_equal(time_us_infinite(INT64_C(9223372036825200000)), 1);
    assert_int_equal(time_us_infinite(INT64_C(-9223372036832400000)), -1);
    assert_int_equal(time_us_infinite(INT64_C(9223372036825200001)), 0);
    assert_int_equal(time_ms_infinite(INT64_C(9223372036825200)), 1);
    assert_int_equal(time_ms_infinite(INT64_C(-9223372036832400)), -1);
    assert_int_equal(time_ms_infinite(1766131347123), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(civil_and_days_are_inverse_and_agree_with_the_c_library),
        cmocka_unit_test(dates_are_written_as_postgresql_writes_them),
        cmocka_unit_test(timestamps_round_towards_the_past_not_towards_zero),
        cmocka_unit_test(times_may_be_negative_and_beyond_a_day),
        cmocka_unit_test(timestamps_are_parsed_with_any_zone),
        cmocka_unit_test(what_is_no_timestamp_is_refused),
        cmocka_unit_test(intervals_are_read_and_written),
        cmocka_unit_test(infinities_are_known_by_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
