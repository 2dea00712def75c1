/* What is remembered of a partition's last deletes: a function of the offsets before a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/debezium/deletes.h"

static struct record at(int32_t partition, int64_t offset, const char *key)
{
    return (struct record){.partition = partition,
                           .offset = offset,
                           .key = key,
                           .key_length = key ? strlen(key) : 0};
}

static void note(struct deletes *deletes, struct record record, enum tells tells)
{
    assert_true(deletes_note(deletes, &record, tells));
}

static bool has(struct deletes *deletes, struct record record)
{
    return deletes_has(deletes, &record);
}

static void a_delete_is_known_for_so_many_offsets(void **state)
{
    struct deletes deletes = {0};
    (void) state;
    assert_false(has(&deletes, at(0, 5, "a")));
    note(&deletes, at(0, 10, "a"), TELLS_DELETE);
    for (int64_t offset = 11; offset <= 10 + DELETES_LOOK_BACK; offset++)
        assert_true(has(&deletes, at(0, offset, "a")));
    assert_false(has(&deletes, at(0, 11 + DELETES_LOOK_BACK, "a")));
    assert_false(has(&deletes, at(0, 11, "b")));
    assert_false(has(&deletes, at(0, 11, NULL)));
    assert_false(has(&deletes, at(1, 11, "a")));
    assert_false(has(&deletes, at(0, 10, "a"))); /* itself */
    deletes_done(&deletes);
}

static void a_row_of_the_key_ends_it(void **state)
{
    struct deletes deletes = {0};
    (void) state;
    note(&deletes, at(0, 1, "a"), TELLS_DELETE);
    note(&deletes, at(0, 2, "b"), TELLS_DELETE);
    note(&deletes, at(0, 3, "a"), TELLS_NOTHING);
    assert_true(has(&deletes, at(0, 4, "a")));
    note(&deletes, at(0, 4, "a"), TELLS_ROW);
    assert_false(has(&deletes, at(0, 5, "a")));
    assert_true(has(&deletes, at(0, 5, "b")));
    note(&deletes, at(0, 5, "a"), TELLS_DELETE);
    assert_true(has(&deletes, at(0, 6, "a")));
    deletes_done(&deletes);
}

static void a_null_key_is_a_key(void **state)
{
    struct deletes deletes = {0};
    (void) state;
    note(&deletes, at(0, 1, NULL), TELLS_DELETE);
    note(&deletes, at(0, 2, NULL), TELLS_ROW);
    assert_true(has(&deletes, at(0, 3, NULL)));
    assert_false(has(&deletes, at(0, 3, "")));
    deletes_done(&deletes);
}

static void an_offset_that_goes_back_begins_anew(void **state)
{
    struct deletes deletes = {0};
    (void) state;
    note(&deletes, at(0, 5, "a"), TELLS_DELETE);
    note(&deletes, at(0, 9, "x"), TELLS_ROW);
    note(&deletes, at(0, 6, "x"), TELLS_ROW);
    assert_false(has(&deletes, at(0, 10, "a")));
    deletes_done(&deletes);
}

static void many_partitions_and_deletes(void **state)
{
    struct deletes deletes = {0};
    char key[16];
    (void) state;
    for (int64_t offset = 0; offset < 100; offset++) {
        snprintf(key, sizeof key, "k%d", (int) offset);
        for (int32_t partition = 40; partition-- > 0;)
            note(&deletes, at(partition * 7, offset, key), TELLS_DELETE);
    }
    for (int64_t offset = 0; offset < 100; offset++) {
        snprintf(key, sizeof key, "k%d", (int) offset);
        assert_int_equal(has(&deletes, at(21, 100, key)), offset >= 100 - DELETES_LOOK_BACK);
    }
    assert_false(has(&deletes, at(22, 100, "k99")));
    deletes_done(&deletes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delete_is_known_for_so_many_offsets),
        cmocka_unit_test(a_row_of_the_key_ends_it),
        cmocka_unit_test(a_null_key_is_a_key),
        cmocka_unit_test(an_offset_that_goes_back_begins_anew),
        cmocka_unit_test(many_partitions_and_deletes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
