/* How fast verify reads. That it sees whether changes stream is tested with a real target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/time.h"
#include "verify/pace.h"

static struct pace pace_of(const struct database_settings *settings, bool busy)
{
    struct pace pace;
    pace_init(&pace, settings);
    pace_begin(&pace);
    pace.busy = busy;
    return pace;
}

static void it_works_in_small_steps_while_changes_stream(void **state)
{
    struct database_settings settings = {.busy_share = 25};
    struct pace pace = pace_of(&settings, true);
    assert_true(pace_rows(&pace) <= 1000);
    int64_t read_us = time_monotonic_us() - 4000; /* 4 ms of work are followed by 12 of rest */
    int64_t due = pace_due(&pace, read_us, 500) - time_monotonic_us();
    assert_in_range(due, 10000, 1000000);
    settings.busy_share = 100;
    assert_int_equal(pace_rows(&pace), PACE_ROWS);
    assert_true(pace_due(&pace, read_us, 500) <= time_monotonic_us());
}

static void it_does_not_rest_where_nothing_streams(void **state)
{
    struct database_settings settings = {.busy_share = 1};
    struct pace pace = pace_of(&settings, false);
    assert_int_equal(pace_rows(&pace), PACE_ROWS);
    assert_true(pace_due(&pace, time_monotonic_us() - 1000000, 20000) <= time_monotonic_us());
}

static void a_throttle_is_spread_over_the_second(void **state)
{
    struct database_settings settings = {.busy_share = 100, .throttle = 20000};
    struct pace pace = pace_of(&settings, false);
    assert_int_equal(pace_rows(&pace), 1000);
    int64_t due = pace_due(&pace, pace.began_us, 40000) - pace.began_us;
    assert_int_equal(due, 2000000);
    settings.throttle = 3;
    assert_int_equal(pace_rows(&pace), 1);
}

static void it_rests_until_it_knows(void **state)
{
    struct database_settings settings = {.busy_share = 25};
    struct pace pace;
    pace_init(&pace, &settings);
    assert_true(pace_rows(&pace) < PACE_ROWS);
    assert_false(pace_rests(&pace)); /* which is said only once it is known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_works_in_small_steps_while_changes_stream),
        cmocka_unit_test(it_does_not_rest_where_nothing_streams),
        cmocka_unit_test(a_throttle_is_spread_over_the_second),
        cmocka_unit_test(it_rests_until_it_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
