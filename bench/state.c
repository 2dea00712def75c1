#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

static int32_t *numbers(int32_t count)
{
    int32_t *list = calloc((size_t) count, sizeof(*list));
    if (!list)
        die("out of memory for %d keys", count);
    return list;
}

void state_init(struct state *state, int32_t keys)
{
    *state = (struct state){.room = keys + 1};
    state->versions = numbers(state->room);
    state->bodies = numbers(state->room);
    state->places = numbers(state->room);
    state->live = numbers(state->room);
    state->dead = numbers(state->room);
    memset(state->places, 0xFF, (size_t) state->room * sizeof(*state->places));
}

void state_done(struct state *state)
{
    free(state->versions);
    free(state->bodies);
    free(state->places);
    free(state->live);
    free(state->dead);
}

void state_revive(struct state *state, int32_t key)
{
    state->places[key] = state->live_count;
    state->live[state->live_count++] = key;
}

void state_kill(struct state *state, int32_t key)
{
    int32_t last = state->live[--state->live_count];
    state->live[state->places[key]] = last;
    state->places[last] = state->places[key];
    state->places[key] = -1;
    state->dead[state->dead_count++] = key;
}
