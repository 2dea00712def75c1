/* The partitions that came to a pipeline's lanes and went, collected until a rebalance is over, so
 * that the log has one line for it. Lanes hear of their shares one after the other, and what one
 * gives up another may have a moment later. Any thread. */
#ifndef MOVES_H
#define MOVES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>
#include <ods/source.h>

enum move_kind { MOVE_ASSIGNED, MOVE_REVOKED, MOVE_LOST };

struct move {
    enum move_kind kind;
    size_t lane;
    char *topic;
    int32_t partition;
};

struct moves {
    pthread_mutex_t mutex;
    struct move *items;
    size_t count, capacity;
    size_t forgotten;          /* memory was out for them */
    int64_t first_us, last_us; /* monotonic */
};

void moves_init(struct moves *moves);
void moves_done(struct moves *moves);

void moves_add(struct moves *moves, enum move_kind kind, size_t lane, const struct place *places,
               size_t count, int64_t now_us);

/* What has moved, when nothing more has for half a second, or after five; false: there is nothing
 * to tell yet. */
bool moves_take(struct moves *moves, int64_t now_us, struct buffer *text);

#endif
