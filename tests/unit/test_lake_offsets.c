/* Which records a table of a lake has already, by the numbers in its commits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sink/lake/store.h"

#define MINUTE_US INT64_C(60000000)
#define T0_US     (1000 * MINUTE_US)

struct stage {
    struct lake_store store;
    struct lake_table control, history;
};

static void begin(struct stage *stage)
{
    *stage = (struct stage){.store = {.group = "g", .control = &stage->control}};
    stage->control = (struct lake_table){.store = &stage->store, .offsets = json_object()};
    stage->history =
        (struct lake_table){.store = &stage->store, .offsets = json_object(), .appends = true};
}

static void end(struct stage *stage)
{
    json_decref(stage->control.offsets);
    json_decref(stage->history.offsets);
}

/* What a commit stores stands in the table. */
static void commit(struct lake_table *table, int64_t upto, int64_t now_us)
{
    json_t *expect = json_object();
    assert_true(lake_table_move(table, expect, table->offsets, "t", 0, upto));
    assert_true(lake_table_stamp(table, table->offsets, "t", 0, now_us));
    json_decref(expect);
}

static void set_back(struct lake_table *control, int64_t to, int64_t now_us)
{
    json_t *expect = json_object();
    assert_true(lake_table_read_again(control, control->offsets, "t", 0, now_us));
    assert_true(lake_table_move(control, expect, control->offsets, "t", 0, to));
    json_decref(expect);
}

static enum lake_has has(const struct stage *stage, int64_t offset, int64_t written_us)
{
    const struct record record = {
        .topic = "t", .partition = 0, .offset = offset, .timestamp_ms = written_us / 1000};
    return lake_table_has(&stage->history, &record, lake_table_offset(&stage->history, "t", 0));
}

static void what_is_stored_is_there(void **state)
{
    static struct stage stage;
    begin(&stage);
    assert_int_equal(has(&stage, 0, T0_US), LAKE_HAS_NOT);
    commit(&stage.control, 10, T0_US);
    commit(&stage.history, 10, T0_US);
    assert_int_equal(has(&stage, 9, T0_US), LAKE_HAS);
    assert_int_equal(has(&stage, 10, T0_US), LAKE_HAS_NOT);
    set_back(&stage.control, 0, T0_US + MINUTE_US);
    assert_int_equal(has(&stage, 9, T0_US), LAKE_HAS);
    stage.history.appends = false;
    assert_int_equal(has(&stage, 9, T0_US), LAKE_HAS_NOT);
    end(&stage);
}

/* The second time the pipeline's own table has an offset of the topic that was there in between,
 * which the table of rows never had. */
static void a_topic_made_anew_twice(void **state)
{
    static struct stage stage;
    begin(&stage);
    commit(&stage.control, 10, T0_US);
    commit(&stage.history, 10, T0_US);
    set_back(&stage.control, 0, T0_US + 5 * MINUTE_US);
    assert_int_equal(has(&stage, 3, T0_US + 4 * MINUTE_US), LAKE_HAS_ANOTHER);
    commit(&stage.control, 5, T0_US + 6 * MINUTE_US);
    set_back(&stage.control, 0, T0_US + 9 * MINUTE_US);
    assert_int_equal(has(&stage, 3, T0_US + 4 * MINUTE_US), LAKE_HAS_ANOTHER);
    assert_int_equal(has(&stage, 3, T0_US), LAKE_HAS);
    end(&stage);
}

/* A table that a version has written which kept no moment in it. */
static void a_table_without_a_moment(void **state)
{
    static struct stage stage;
    begin(&stage);
    commit(&stage.control, 10, T0_US);
    json_object_set_new(stage.history.offsets, "ods:g:t:0", json_integer(10));
    set_back(&stage.control, 0, T0_US + 5 * MINUTE_US);
    assert_int_equal(has(&stage, 3, T0_US + 4 * MINUTE_US), LAKE_HAS_ANOTHER);
    assert_int_equal(has(&stage, 3, T0_US), LAKE_HAS);
    end(&stage);
}

static void what_is_forgotten_is_read_again_from_that_moment(void **state)
{
    static struct stage stage;
    begin(&stage);
    commit(&stage.control, 10, T0_US);
    json_object_set_new(stage.history.offsets, "ods:g:t:0", json_integer(10));
    set_back(&stage.control, 0, T0_US + 5 * MINUTE_US);
    json_t *expect = json_object(), *next = json_object();
    assert_true(lake_table_forget(&stage.control, expect, next, T0_US + 20 * MINUTE_US));
    json_object_update(stage.control.offsets, next);
    json_decref(expect);
    json_decref(next);
    assert_int_equal(lake_table_offset(&stage.control, "t", 0), OFFSET_NONE);
    assert_int_equal(has(&stage, 3, T0_US + 15 * MINUTE_US), LAKE_HAS);
    assert_int_equal(has(&stage, 3, T0_US + 25 * MINUTE_US), LAKE_HAS_ANOTHER);
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_is_there),
        cmocka_unit_test(a_topic_made_anew_twice),
        cmocka_unit_test(a_table_without_a_moment),
        cmocka_unit_test(what_is_forgotten_is_read_again_from_that_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
