/* The table of a lane's partitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ods/batch.h>
#include "pipeline/assignment.h"

static void finds_what_was_added_in_any_order(void **state)
{
    static const int32_t order[] = {5, 0, 9, 3, 7, 1, 8, 2, 6, 4};
    static const char *const topics[] = {"m", "a", "z.z", "a.b", "b"};
    struct assignment assignment;
    assignment_init(&assignment);
    for (size_t t = 0; t < 5; t++)
        for (size_t i = 0; i < 10; i++)
            assert_non_null(assignment_add(&assignment, topics[t], order[i]));
    assert_int_equal(assignment.count, 50);
    assert_int_equal(assignment.topic_count, 5);
    for (size_t t = 0; t < 5; t++)
        for (int32_t i = 0; i < 10; i++) {
            char topic[8];
            snprintf(topic, sizeof topic, "%s", topics[t]);
            struct partition *partition = assignment_find(&assignment, topic, i);
            assert_non_null(partition);
            assert_string_equal(partition->topic, topics[t]);
            assert_int_equal(partition->number, i);
        }
    assert_null(assignment_find(&assignment, "a", 10));
    assert_null(assignment_find(&assignment, "aa", 0));
    assignment_done(&assignment);
}

static void topics_are_one_pointer(void **state)
{
    struct assignment assignment;
    assignment_init(&assignment);
    const char *first = assignment_intern(&assignment, "t");
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_non_null(assignment_intern(&assignment, name));
    }
    assert_ptr_equal(assignment_intern(&assignment, "t"), first);
    assert_ptr_equal(assignment_add(&assignment, "t", 0)->topic, first);
    assignment_done(&assignment);
}

static void gone_stays_until_its_batches_are_back(void **state)
{
    struct assignment assignment;
    assignment_init(&assignment);
    struct partition *partition = assignment_add(&assignment, "t", 1);
    partition->in_flight = 2;
    partition->state = PARTITION_GONE;
    assignment_sweep(&assignment);
    assert_ptr_equal(assignment_find(&assignment, "t", 1), partition);

    /* It comes back before they do: the same struct, and the count goes on. */
    assert_ptr_equal(assignment_add(&assignment, "t", 1), partition);
    assert_int_equal(partition->in_flight, 2);
    assert_int_equal(partition->state, PARTITION_ASKING);

    partition->state = PARTITION_GONE;
    partition->in_flight = 0;
    assignment_sweep(&assignment);
    assert_null(assignment_find(&assignment, "t", 1));
    assignment_done(&assignment);
}

static void restart_forgets_positions_but_not_a_loss(void **state)
{
    struct assignment assignment;
    assignment_init(&assignment);
    struct partition *partition = assignment_add(&assignment, "t", 1);
    partition->state = PARTITION_ACTIVE;
    partition->stored = partition->chain = partition->applied = 7;
    partition->position = 9;
    partition_restart(partition);
    assert_int_equal(partition->state, PARTITION_ASKING);
    assert_int_equal(partition->chain, OFFSET_NONE);
    assert_int_equal(partition->applied, OFFSET_NONE);
    assert_int_equal(partition->position, POSITION_BEGINNING);

    partition->state = PARTITION_GONE;
    partition_restart(partition);
    assert_int_equal(partition->state, PARTITION_GONE);
    assignment_done(&assignment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added_in_any_order),
        cmocka_unit_test(topics_are_one_pointer),
        cmocka_unit_test(gone_stays_until_its_batches_are_back),
        cmocka_unit_test(restart_forgets_positions_but_not_a_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
