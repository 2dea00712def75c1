/* The bounded two-way queue of a lane: full batches go to the writer (todo), done ones come back.
 *
 * One consumer thread, one writer thread. Capacity is the lane's number of batches, so neither
 * push can block.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/batch.h>

#define BATCHES_MAX 16               /* of a lane: batch.per_lane */
#define QUEUE_MAX   (BATCHES_MAX + 1) /* and one request */

struct queue;

struct queue *queue_new(size_t capacity); /* 1..QUEUE_MAX; NULL when memory is out */
void queue_free(struct queue *queue);

/* Consumer side. */
void queue_push(struct queue *queue, struct batch *batch);
struct batch *queue_take_done(struct queue *queue, int64_t wait_ms); /* NULL: none in time */
bool queue_writer_idle(struct queue *queue); /* every batch that was handed over is back */
void queue_close(struct queue *queue);       /* the writer's queue_pop() then answers NULL */

/* Writer side. queue_pop() blocks; wait_ms < 0: for ever. When it returns NULL, *closed tells why.
 */
struct batch *queue_pop(struct queue *queue, int64_t wait_ms, bool *closed);
void queue_push_done(struct queue *queue, struct batch *batch);

/* Called by the writer after each queue_push_done(), to wake a consumer that polls elsewhere. */
void queue_on_done(struct queue *queue, void (*wake)(void *context), void *context);

#endif
