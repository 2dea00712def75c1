/* The lane's two-way queue: order, waiting, closing, waking; also run under ThreadSanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "core/queue.h"

static void batches_come_in_order_and_back(void **state)
{
    struct queue *queue = queue_new(3);
    struct batch *batches[3] = {batch_new(), batch_new(), batch_new()};
    bool closed;
    assert_true(queue_writer_idle(queue));
    for (int i = 0; i < 3; i++)
        queue_push(queue, batches[i]);
    assert_false(queue_writer_idle(queue));
    for (int i = 0; i < 3; i++) {
        struct batch *batch = queue_pop(queue, 0, &closed);
        assert_ptr_equal(batch, batches[i]);
        assert_false(closed);
        assert_false(queue_writer_idle(queue));
        queue_push_done(queue, batch);
    }
    assert_true(queue_writer_idle(queue));
    assert_null(queue_pop(queue, 1, &closed));
    assert_false(closed);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(queue_take_done(queue, 0), batches[i]);
        batch_free(batches[i]);
    }
    assert_null(queue_take_done(queue, 1));
    queue_free(queue);
}

static void closing_lets_the_rest_out_first(void **state)
{
    struct queue *queue = queue_new(2);
    struct batch *batch = batch_new();
    bool closed;
    queue_push(queue, batch);
    queue_close(queue);
    assert_ptr_equal(queue_pop(queue, -1, &closed), batch);
    assert_false(closed);
    assert_null(queue_pop(queue, -1, &closed));
    assert_true(closed);
    batch_free(batch);
    queue_free(queue);
}

static void capacity_is_checked(void **state)
{
    assert_null(queue_new(0));
    assert_null(queue_new(QUEUE_MAX + 1));
}

#define ROUNDS 20000

static void *writer(void *argument)
{
    struct queue *queue = argument;
    struct batch *batch;
    bool closed;
    uint64_t expected = 0;
    while ((batch = queue_pop(queue, -1, &closed))) {
        assert_int_equal(batch->passed[0], expected++);
        batch->passed[1] = batch->passed[0];
        queue_push_done(queue, batch);
    }
    return (void *) (uintptr_t) expected;
}

static atomic_uint wakes;

static void count_wake(void *context)
{
    atomic_fetch_add((atomic_uint *) context, 1);
}

static void two_threads_lose_nothing(void **state)
{
    struct queue *queue = queue_new(2);
    struct batch *batches[2] = {batch_new(), batch_new()};
    struct batch *idle[2] = {batches[0], batches[1]};
    size_t idle_count = 2;
    pthread_t thread;
    void *seen;
    atomic_store(&wakes, 0);
    queue_on_done(queue, count_wake, &wakes);
    pthread_create(&thread, NULL, writer, queue);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        if (!idle_count) {
            struct batch *done = queue_take_done(queue, -1);
            assert_non_null(done);
            assert_int_equal(done->passed[0], done->passed[1]);
            idle[idle_count++] = done;
        }
        struct batch *batch = idle[--idle_count];
        batch->passed[0] = i;
        queue_push(queue, batch);
    }
    queue_close(queue);
    pthread_join(thread, &seen);
    assert_int_equal((uintptr_t) seen, ROUNDS);
    assert_int_equal(atomic_load(&wakes), ROUNDS);
    batch_free(batches[0]);
    batch_free(batches[1]);
    queue_free(queue);
}

/* All batches of a lane and its request may lie in one ring. */
static void as_many_as_a_lane_may_have(void **state)
{
    struct queue *queue = queue_new(BATCHES_MAX + 1);
    struct batch *batches[BATCHES_MAX + 1];
    bool closed;
    assert_non_null(queue);
    assert_int_equal(BATCHES_MAX, 16); /* as batch.per_lane allows */
    for (int i = 0; i <= BATCHES_MAX; i++)
        queue_push(queue, batches[i] = batch_new());
    for (int i = 0; i <= BATCHES_MAX; i++) {
        assert_ptr_equal(queue_pop(queue, 0, &closed), batches[i]);
        queue_push_done(queue, batches[i]);
    }
    for (int i = 0; i <= BATCHES_MAX; i++) {
        assert_ptr_equal(queue_take_done(queue, 0), batches[i]);
        batch_free(batches[i]);
    }
    queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_come_in_order_and_back),
        cmocka_unit_test(closing_lets_the_rest_out_first),
        cmocka_unit_test(capacity_is_checked),
        cmocka_unit_test(as_many_as_a_lane_may_have),
        cmocka_unit_test(two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
