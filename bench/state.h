/* What the tables hold while a load is made: a version for each key, and which keys live. */
#ifndef BENCH_STATE_H
#define BENCH_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct state {
    int32_t *versions; /* by key; 0: never written */
    int32_t *bodies;   /* version that the large columns are from */
    int32_t *places;   /* by key: where in `live`, or -1 */
    int32_t *live;
    int32_t live_count, last_key, room;
    int32_t *dead; /* deleted keys that may come again */
    int32_t dead_count;
};

void state_init(struct state *state, int32_t keys);
void state_done(struct state *state);
void state_revive(struct state *state, int32_t key);
void state_kill(struct state *state, int32_t key);

#endif
