/* The index of items by hash: what was put in is found, whatever the hashes, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"
#include "core/hash_index.h"

#define ITEMS 5000

static uint32_t keys[ITEMS];

static uint32_t *find(const struct hash_index *index, uint64_t hash, uint32_t key)
{
    size_t at = hash_index_start(hash);
    uint32_t *item;
    while ((item = hash_index_next(index, hash, &at)))
        if (*item == key)
            return item;
    return NULL;
}

static uint64_t mixed(uint32_t key)
{
    return hash_bytes(&key, sizeof key, 0);
}

static uint64_t all_the_same(uint32_t key)
{
    return 63; /* the last slot of the smallest index: the search goes on at the first */
}

static uint64_t same_low_bits(uint32_t key)
{
    return (uint64_t) key << 40;
}

static uint64_t as_it_is(uint32_t key)
{
    return key;
}

static void what_was_put_in_is_found(void **state)
{
    static const struct {
        uint64_t (*hash)(uint32_t key);
        uint32_t count;
    } cases[] = {{mixed, ITEMS}, {all_the_same, 300}, {same_low_bits, 1000}, {as_it_is, ITEMS}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct hash_index index = {0};
        for (uint32_t i = 0; i < cases[c].count; i++) {
            keys[i] = i * 7;
            uint64_t hash = cases[c].hash(keys[i]);
            assert_null(find(&index, hash, keys[i]));
            assert_true(hash_index_reserve(&index));
            hash_index_add(&index, hash, &keys[i]);
            assert_ptr_equal(find(&index, hash, keys[i]), &keys[i]);
        }
        assert_int_equal(index.count, cases[c].count);
        assert_true(index.count * 2 <= index.slot_count);
        for (uint32_t i = 0; i < cases[c].count; i++) {
            assert_ptr_equal(find(&index, cases[c].hash(i * 7), i * 7), &keys[i]);
            assert_null(find(&index, cases[c].hash(i * 7 + 1), i * 7 + 1));
        }
        hash_index_done(&index);
    }
}

static void each_item_stands_in_one_slot(void **state)
{
    struct hash_index index = {0};
    bool seen[100] = {false};
    for (uint32_t i = 0; i < 100; i++) {
        keys[i] = i;
        assert_true(hash_index_reserve(&index));
        hash_index_add(&index, i % 3, &keys[i]);
    }
    size_t count = 0;
    for (size_t i = 0; i < index.slot_count; i++)
        if (index.slots[i].item) {
            uint32_t key = *(uint32_t *) index.slots[i].item;
            assert_false(seen[key]);
            seen[key] = true;
            count++;
        }
    assert_int_equal(count, 100);
    hash_index_done(&index);
}

static void an_empty_one_finds_nothing_and_serves_again(void **state)
{
    struct hash_index index = {0};
    assert_null(find(&index, 0, 0));
    hash_index_done(&index);
    keys[0] = 1;
    assert_true(hash_index_reserve(&index));
    hash_index_add(&index, 1, &keys[0]);
    hash_index_done(&index);
    assert_null(find(&index, 1, 1));
    assert_int_equal(index.count, 0);
}

static void an_item_may_bear_the_hash_of_another(void **state)
{
    struct hash_index index = {0};
    size_t at = hash_index_start(5);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(hash_index_reserve(&index));
        hash_index_add(&index, i == 1 ? 6 : 5, &keys[i]);
    }
    assert_ptr_equal(hash_index_next(&index, 5, &at), &keys[0]);
    assert_ptr_equal(hash_index_next(&index, 5, &at), &keys[2]);
    assert_null(hash_index_next(&index, 5, &at));
    hash_index_done(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_is_found),
        cmocka_unit_test(each_item_stands_in_one_slot),
        cmocka_unit_test(an_empty_one_finds_nothing_and_serves_again),
        cmocka_unit_test(an_item_may_bear_the_hash_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
