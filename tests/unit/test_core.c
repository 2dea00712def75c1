/* Arena, batch, buffer, back-off, errors: what every other room stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ods/batch.h>
#include "core/backoff.h"
#include <ods/buffer.h>

static void arena_hands_out_aligned_memory_that_stays(void **state)
{
    struct arena arena;
    arena_init(&arena);
    char *seen[400];
    for (size_t i = 0; i < 400; i++) {
        seen[i] = arena_alloc(&arena, i * 7 + 1);
        assert_non_null(seen[i]);
        assert_int_equal((uintptr_t) seen[i] % 8, 0);
        memset(seen[i], (int) i, i * 7 + 1);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < i * 7 + 1; k++)
            assert_int_equal((unsigned char) seen[i][k], (unsigned char) i);
    arena_done(&arena);
}

static void arena_gives_a_giant_back_at_reset(void **state)
{
    struct arena arena;
    arena_init(&arena);
    assert_non_null(arena_alloc(&arena, 100));
    assert_non_null(arena_alloc(&arena, 50 * 1024 * 1024));
    assert_true(arena.reserved_bytes > 50 * 1024 * 1024);
    arena_reset(&arena, 8 * 1024 * 1024);
    assert_true(arena.reserved_bytes < 1024 * 1024);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 100));
    arena_done(&arena);
}

static void arena_reuses_its_chunks(void **state)
{
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&arena, 10000));
    size_t reserved = arena.reserved_bytes;
    for (int round = 0; round < 10; round++) {
        arena_reset(&arena, 8 * 1024 * 1024);
        for (int i = 0; i < 100; i++)
            assert_non_null(arena_alloc(&arena, 10000));
        assert_int_equal(arena.reserved_bytes, reserved);
    }
    arena_done(&arena);
}

static void arena_refuses_the_impossible(void **state)
{
    struct arena arena;
    arena_init(&arena);
    assert_null(arena_alloc_slow(&arena, SIZE_MAX - 8));
    assert_non_null(arena_alloc(&arena, 0)); /* NULL is for memory that is out */
    arena_done(&arena);
}

static unsigned released;

static void count_release(void *owner)
{
    released += *(unsigned *) owner;
}

static void batch_reset_releases_every_record_once(void **state)
{
    struct batch *batch = batch_new();
    unsigned one = 1;
    batch->release = count_release;
    released = 0;
    for (int i = 0; i < 1000; i++)
        batch_add_record(batch)->owner = &one;
    assert_int_equal(batch->record_count, 1000);
    batch_reset(batch);
    assert_int_equal(released, 1000);
    assert_true(batch_is_empty(batch));
    batch_free(batch);
    assert_int_equal(released, 1000);
}

/* Uses a batch: so many records, and so much of its arena. */
static void fill(struct batch *batch, size_t records, size_t bytes)
{
    for (size_t i = 0; i < records; i++)
        assert_non_null(batch_add_record(batch));
    for (size_t i = 0; i < bytes; i += 1024)
        assert_non_null(arena_alloc(&batch->arena, 1024));
    batch_reset(batch);
}

static void batch_keeps_what_it_will_need_again(void **state)
{
    const size_t mib = 1024 * 1024;
    struct batch *batch = batch_new();
    assert_non_null(batch);
    fill(batch, 100000, 20 * mib);
    assert_true(batch_kept_bytes(batch) <= 8 * mib);
    batch->keep_bytes = 32 * mib;
    fill(batch, 100000, 20 * mib);
    assert_true(batch_kept_bytes(batch) >= 20 * mib + 100000 * sizeof(struct record));
    fill(batch, 100000, 60 * mib); /* more than may be kept */
    assert_true(batch->arena.reserved_bytes <= 32 * mib);
    fill(batch, 10, 1024); /* it has become quiet */
    assert_true(batch_kept_bytes(batch) <= 8 * mib);
    batch_free(batch);
}

static void batch_covers_claims_by_partition(void **state)
{
    struct batch *batch = batch_new();
    char copy[] = "orders";                             /* another pointer, the same topic */
    assert_true(batch_cover(batch, "orders", 0, 5, 7)); /* 5 and 6 are gaps */
    assert_true(batch_cover(batch, "orders", 1, OFFSET_NONE, 0));
    assert_true(batch_cover(batch, copy, 0, 99, 8));
    assert_true(batch_cover(batch, "lines", 0, 3, 3));
    assert_int_equal(batch->claim_count, 3);
    assert_int_equal(batch->claims[0].from, 5);
    assert_int_equal(batch->claims[0].upto, 9);
    assert_int_equal(batch->claims[1].from, OFFSET_NONE);
    assert_int_equal(batch->claims[1].upto, 1);
    assert_int_equal(batch->claims[2].upto, 4);
    batch_free(batch);
}

static void batch_rejects_keep_their_error(void **state)
{
    struct batch *batch = batch_new();
    struct error error;
    error_init(&error);
    error_set(&error, ODS_REJECT, "line one\nline two\n");
    assert_non_null(batch_add_reject(batch, 3, "decode", &error));
    assert_int_equal(batch->rejects[0].record, 3);
    assert_string_equal(batch->rejects[0].error.text, "line one line two");
    assert_false(batch->rejects[0].delivered);
    batch_free(batch);
}

static void error_prefix_cuts_the_tail_not_the_head(void **state)
{
    struct error error;
    char text[ERROR_TEXT_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_init(&error);
    error_set(&error, ODS_FATAL, "%s", text);
    error_prefix(&error, "topic %s: ", "orders");
    assert_int_equal(strncmp(error.text, "topic orders: xxx", 17), 0);
    assert_int_equal(strlen(error.text), ERROR_TEXT_BYTES - 1);
}

static void buffer_grows_and_formats(void **state)
{
    struct buffer buffer;
    buffer_init(&buffer);
    for (int i = 0; i < 1000; i++)
        buffer_printf(&buffer, "%d,", i);
    assert_int_equal(buffer.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_string_equal(buffer_text(&buffer) + buffer.length - 4, "999,");
    assert_false(buffer_grow(&buffer, SIZE_MAX / 2));
    assert_true(buffer.failed);
    buffer_reset(&buffer);
    assert_false(buffer.failed);
    buffer_done(&buffer);
}

static void backoff_grows_to_its_cap_with_jitter(void **state)
{
    struct backoff backoff;
    backoff_init(&backoff, 100, 3000);
    int64_t step = 100;
    for (int i = 0; i < 20; i++) {
        int64_t wait = backoff_next_ms(&backoff);
        assert_true(wait >= step / 2 && wait <= step);
        step = step * 2 > 3000 ? 3000 : step * 2;
    }
    backoff_reset(&backoff);
    assert_true(backoff_next_ms(&backoff) <= 100);
    assert_int_equal(backoff.attempts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_hands_out_aligned_memory_that_stays),
        cmocka_unit_test(arena_gives_a_giant_back_at_reset),
        cmocka_unit_test(arena_reuses_its_chunks),
        cmocka_unit_test(arena_refuses_the_impossible),
        cmocka_unit_test(batch_reset_releases_every_record_once),
        cmocka_unit_test(batch_keeps_what_it_will_need_again),
        cmocka_unit_test(batch_covers_claims_by_partition),
        cmocka_unit_test(batch_rejects_keep_their_error),
        cmocka_unit_test(error_prefix_cuts_the_tail_not_the_head),
        cmocka_unit_test(buffer_grows_and_formats),
        cmocka_unit_test(backoff_grows_to_its_cap_with_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
