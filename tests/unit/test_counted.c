/* By what records of queues are kept: identities that count, and their chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sink/postgres/fold/counted.h"

static void assert_counts(const char *identity, const char *stem, uint64_t number)
{
    uint32_t length;
    uint64_t found;
    assert_true(counted_split(identity, (uint32_t) strlen(identity), &length, &found));
    assert_int_equal(length, strlen(stem));
    assert_int_equal(found, number);
}

static void assert_counts_not(const char *identity)
{
    uint32_t stem;
    uint64_t number;
    assert_false(counted_split(identity, (uint32_t) strlen(identity), &stem, &number));
}

static void a_number_at_the_end_counts(void **state)
{
    assert_counts("ID:1f0c:1:1:1-4711", "ID:1f0c:1:1:1-", 4711);
    assert_counts("4711", "", 4711);
    assert_counts("0", "", 0);
    assert_counts("a-123456789012345678", "a-", 123456789012345678);
    assert_counts("a/0", "a/", 0);
}

/* So that "a-7" and "a-07" are two. */
static void zeros_before_a_number_are_the_stems(void **state)
{
    assert_counts("a-07", "a-0", 7);
    assert_counts("a-000", "a-00", 0);
}

static void digits_of_something_else_do_not(void **state)
{
    assert_counts_not("");
    assert_counts_not("a-");
    assert_counts_not("m7");
    assert_counts_not("550e8400-e29b-41d4-a716-4466554400f7");
    assert_counts_not("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    assert_counts_not("a-1234567890123456789");
    assert_counts_not("\xc3\xa9" "7");
}

static struct counted_place place_of(struct counted *counted, struct arena *arena,
                                     const char *topic, const char *identity)
{
    const struct record record = {.topic = topic, .identity = identity,
                                  .identity_length = (uint32_t) strlen(identity)};
    struct counted_place place;
    assert_true(counted_place(counted, arena, &record, &place));
    return place;
}

/* More stems than are remembered, of which some have no room there. */
static void chunks_are_of_a_stem_and_of_512_numbers(void **state)
{
    struct counted counted;
    struct arena arena;
    char identity[300];
    counted_init(&counted, "group");
    arena_init(&arena);
    assert_true(counted_begin(&counted, &arena, 1000));
    struct counted_place first = place_of(&counted, &arena, "q", "a-511");
    assert_int_equal(first.bit, 511);
    assert_int_equal(place_of(&counted, &arena, "q", "a-0").chunk, first.chunk);
    assert_int_equal(place_of(&counted, &arena, "q", "a-512").chunk, 1);
    assert_int_equal(place_of(&counted, &arena, "q", "a-512").bit, 0);
    assert_int_equal(place_of(&counted, &arena, "r", "a-511").chunk, 2);
    assert_int_equal(place_of(&counted, &arena, "q", "a-b").chunk, COUNTED_NONE);
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 40; i++) {
            snprintf(identity, sizeof identity, "%*d:5", i * 7, i);
            assert_int_equal(place_of(&counted, &arena, "q", identity).chunk, 3 + i);
        }
    assert_int_equal(place_of(&counted, &arena, "q", "a-1").chunk, first.chunk);
    assert_false(counted_has(&counted, first));
    counted_set(&counted, first);
    assert_true(counted_has(&counted, first));
    assert_int_equal(counted.chunks[first.chunk]->bits[63], 1);
    counted_clear(&counted);
    counted_read_bits(&counted, first.chunk, "01");
    assert_int_equal(counted.chunks[first.chunk]->bits[0], 0x40);
    /* The next batch has chunks of its own. */
    assert_true(counted_begin(&counted, &arena, 1));
    assert_int_equal(place_of(&counted, &arena, "r", "a-511").chunk, 0);
    arena_done(&arena);
    counted_done(&counted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_at_the_end_counts),
        cmocka_unit_test(zeros_before_a_number_are_the_stems),
        cmocka_unit_test(digits_of_something_else_do_not),
        cmocka_unit_test(chunks_are_of_a_stem_and_of_512_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
