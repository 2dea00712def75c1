/* What the log says of partitions that moved: one line, whoever had them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/moves.h"

#define SECOND INT64_C(1000000)

static void add(struct moves *moves, enum move_kind kind, size_t lane, const char *topic,
                int32_t partition, int64_t now_us)
{
    const struct place place = {.topic = topic, .partition = partition};
    moves_add(moves, kind, lane, &place, 1, now_us);
}

static void one_line_when_it_is_quiet(void **state)
{
    struct moves moves;
    struct buffer text;
    (void) state;
    moves_init(&moves);
    buffer_init(&text);
    assert_false(moves_take(&moves, 10 * SECOND, &text));
    add(&moves, MOVE_REVOKED, 0, "b", 7, SECOND);
    add(&moves, MOVE_ASSIGNED, 1, "b", 7, SECOND);
    add(&moves, MOVE_ASSIGNED, 0, "a", 2, SECOND);
    add(&moves, MOVE_ASSIGNED, 0, "a", 0, SECOND);
    add(&moves, MOVE_ASSIGNED, 0, "a", 1, SECOND);
    add(&moves, MOVE_ASSIGNED, 0, "a", 5, SECOND + 100000);
    assert_false(moves_take(&moves, SECOND + 200000, &text));
    assert_true(moves_take(&moves, 2 * SECOND, &text));
    assert_string_equal(buffer_text(&text),
                        "5 partitions assigned: lane 0 a 0-2,5, lane 1 b 7; 1 partition revoked: "
                        "lane 0 b 7");
    assert_false(moves_take(&moves, 9 * SECOND, &text));
    buffer_done(&text);
    moves_done(&moves);
}

static void at_last_though_it_is_never_quiet(void **state)
{
    struct moves moves;
    struct buffer text;
    bool told = false;
    (void) state;
    moves_init(&moves);
    buffer_init(&text);
    for (int64_t now_us = SECOND; now_us < 7 * SECOND && !told; now_us += 100000) {
        add(&moves, MOVE_LOST, 0, "a", 1, now_us);
        told = moves_take(&moves, now_us, &text);
    }
    assert_true(told);
    buffer_done(&text);
    moves_done(&moves);
}

static void of_many_the_number(void **state)
{
    struct moves moves;
    struct buffer text;
    char topic[64];
    (void) state;
    moves_init(&moves);
    buffer_init(&text);
    for (int i = 0; i < 5000; i++) {
        snprintf(topic, sizeof topic, "a topic with a long name %04d", i);
        add(&moves, MOVE_ASSIGNED, 0, topic, 0, SECOND);
    }
    assert_true(moves_take(&moves, 2 * SECOND, &text));
    assert_true(text.length < 2000);
    assert_non_null(strstr(buffer_text(&text), "5000 partitions assigned: lane 0 a topic"));
    assert_non_null(strstr(buffer_text(&text), " more"));
    buffer_done(&text);
    add(&moves, MOVE_ASSIGNED, 0, "what is left is freed", 0, SECOND);
    moves_done(&moves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_when_it_is_quiet),
        cmocka_unit_test(at_last_though_it_is_never_quiet),
        cmocka_unit_test(of_many_the_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
