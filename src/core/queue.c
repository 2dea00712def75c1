/* The two-way queue of a lane. One mutex, two conditions, two small rings.
 *
 * Both rings are as large as the lane's number of batches, so a push always finds room. A batch is
 * handed over some tens of times a second, so the lock costs nothing that matters.
 */
#include "core/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/time.h"
#include "core/wait.h"

struct ring {
    struct batch *items[QUEUE_MAX];
    size_t head, count;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t todo_changed, done_changed;
    struct ring todo, done;
    size_t in_writer; /* taken by the writer and not yet returned */
    bool closed;
    void (*wake)(void *context);
    void *wake_context;
};

static void ring_put(struct ring *ring, struct batch *batch)
{
    ring->items[(ring->head + ring->count++) % QUEUE_MAX] = batch;
}

static struct batch *ring_get(struct ring *ring)
{
    if (!ring->count)
        return NULL;
    struct batch *batch = ring->items[ring->head];
    ring->head = (ring->head + 1) % QUEUE_MAX;
    ring->count--;
    return batch;
}

/* Wait on cond until deadline; for ever when wait_ms is negative. False: time is up. */
static bool wait_until(struct queue *queue, pthread_cond_t *cond, int64_t wait_ms,
                       const struct timespec *deadline)
{
    if (wait_ms < 0)
        return pthread_cond_wait(cond, &queue->mutex) == 0;
    return pthread_cond_timedwait(cond, &queue->mutex, deadline) == 0;
}

struct queue *queue_new(size_t capacity)
{
    if (capacity < 1 || capacity > QUEUE_MAX)
        return NULL;
    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    pthread_mutex_init(&queue->mutex, NULL);
    wait_init(&queue->todo_changed);
    wait_init(&queue->done_changed);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    pthread_cond_destroy(&queue->todo_changed);
    pthread_cond_destroy(&queue->done_changed);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

void queue_push(struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&queue->mutex);
    ring_put(&queue->todo, batch);
    pthread_cond_signal(&queue->todo_changed);
    pthread_mutex_unlock(&queue->mutex);
}

struct batch *queue_take_done(struct queue *queue, int64_t wait_ms)
{
    struct timespec deadline = time_deadline(wait_ms);
    pthread_mutex_lock(&queue->mutex);
    while (!queue->done.count && wait_ms != 0)
        if (!wait_until(queue, &queue->done_changed, wait_ms, &deadline))
            break;
    struct batch *batch = ring_get(&queue->done);
    pthread_mutex_unlock(&queue->mutex);
    return batch;
}

bool queue_writer_idle(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool idle = !queue->todo.count && !queue->in_writer;
    pthread_mutex_unlock(&queue->mutex);
    return idle;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->todo_changed);
    pthread_mutex_unlock(&queue->mutex);
}

struct batch *queue_pop(struct queue *queue, int64_t wait_ms, bool *closed)
{
    struct timespec deadline = time_deadline(wait_ms);
    pthread_mutex_lock(&queue->mutex);
    while (!queue->todo.count && !queue->closed && wait_ms != 0)
        if (!wait_until(queue, &queue->todo_changed, wait_ms, &deadline))
            break;
    struct batch *batch = ring_get(&queue->todo);
    if (batch)
        queue->in_writer++;
    *closed = !batch && queue->closed;
    pthread_mutex_unlock(&queue->mutex);
    return batch;
}

void queue_push_done(struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&queue->mutex);
    queue->in_writer--;
    ring_put(&queue->done, batch);
    void (*wake)(void *) = queue->wake;
    void *context = queue->wake_context;
    pthread_cond_signal(&queue->done_changed);
    pthread_mutex_unlock(&queue->mutex);
    if (wake)
        wake(context);
}

void queue_on_done(struct queue *queue, void (*wake)(void *context), void *context)
{
    pthread_mutex_lock(&queue->mutex);
    queue->wake = wake;
    queue->wake_context = context;
    pthread_mutex_unlock(&queue->mutex);
}
