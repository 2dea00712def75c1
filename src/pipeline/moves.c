/* See moves.h. */
#include "pipeline/moves.h"

#include <stdlib.h>
#include <string.h>

#define QUIET_US    INT64_C(500000)
#define AT_MOST_US  INT64_C(5000000)
#define NAMED_BYTES 1500 /* of partitions that are named; of the others there is the number */

void moves_init(struct moves *moves)
{
    *moves = (struct moves){.count = 0};
    pthread_mutex_init(&moves->mutex, NULL);
}

static void forget(struct moves *moves)
{
    for (size_t i = 0; i < moves->count; i++)
        free(moves->items[i].topic);
    moves->count = moves->forgotten = 0;
}

void moves_done(struct moves *moves)
{
    forget(moves);
    free(moves->items);
    pthread_mutex_destroy(&moves->mutex);
}

static bool grow(struct moves *moves, size_t more)
{
    if (moves->count + more <= moves->capacity)
        return true;
    size_t capacity = (moves->count + more) * 2;
    struct move *items = realloc(moves->items, capacity * sizeof *items);
    if (!items)
        return false;
    moves->items = items;
    moves->capacity = capacity;
    return true;
}

void moves_add(struct moves *moves, enum move_kind kind, size_t lane, const struct place *places,
               size_t count, int64_t now_us)
{
    if (!count)
        return;
    pthread_mutex_lock(&moves->mutex);
    if (!moves->count && !moves->forgotten)
        moves->first_us = now_us;
    moves->last_us = now_us;
    bool room = grow(moves, count);
    for (size_t i = 0; i < count; i++) {
        char *topic = room ? strdup(places[i].topic) : NULL;
        if (topic)
            moves->items[moves->count++] = (struct move){
                .kind = kind, .lane = lane, .topic = topic, .partition = places[i].partition};
        else
            moves->forgotten++;
    }
    pthread_mutex_unlock(&moves->mutex);
}

static int compare(const void *left, const void *right)
{
    const struct move *a = left, *b = right;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->lane != b->lane)
        return a->lane < b->lane ? -1 : 1;
    int topics = strcmp(a->topic, b->topic);
    return topics ? topics : a->partition < b->partition ? -1 : a->partition > b->partition;
}

/* The partitions of one lane and topic as "shop.orders 0-3, 7"; answers how many those are. */
static size_t put_run(struct buffer *text, const struct move *moves, size_t count)
{
    size_t run = 0;
    buffer_printf(text, "%s ", moves->topic);
    while (run < count && moves[run].kind == moves->kind && moves[run].lane == moves->lane &&
           strcmp(moves[run].topic, moves->topic) == 0) {
        size_t end = run;
        while (end + 1 < count && moves[end + 1].kind == moves->kind &&
               moves[end + 1].lane == moves->lane &&
               strcmp(moves[end + 1].topic, moves->topic) == 0 &&
               moves[end + 1].partition == moves[end].partition + 1)
            end++;
        buffer_printf(text, end > run ? "%s%d-%d" : "%s%d", run ? "," : "",
                      (int) moves[run].partition, (int) moves[end].partition);
        run = end + 1;
    }
    return run;
}

static size_t put_kind(struct buffer *text, const struct move *moves, size_t count)
{
    static const char *const names[] = {
        [MOVE_ASSIGNED] = "assigned", [MOVE_REVOKED] = "revoked", [MOVE_LOST] = "lost"};
    size_t all = 0, begun = text->length;
    while (all < count && moves[all].kind == moves->kind)
        all++;
    buffer_printf(text, "%zu partition%s %s", all, all == 1 ? "" : "s", names[moves->kind]);
    for (size_t i = 0; i < all;) {
        if (text->length - begun > NAMED_BYTES) {
            buffer_printf(text, ", and %zu more", all - i);
            break;
        }
        if (!i || moves[i].lane != moves[i - 1].lane)
            buffer_printf(text, "%s lane %zu ", i ? "," : ":", moves[i].lane);
        else
            buffer_puts(text, ", ");
        i += put_run(text, moves + i, all - i);
    }
    return all;
}

bool moves_take(struct moves *moves, int64_t now_us, struct buffer *text)
{
    pthread_mutex_lock(&moves->mutex);
    bool due = (moves->count || moves->forgotten) &&
               (now_us - moves->last_us >= QUIET_US || now_us - moves->first_us >= AT_MOST_US);
    if (due) {
        if (moves->count)
            qsort(moves->items, moves->count, sizeof *moves->items, compare);
        for (size_t i = 0; i < moves->count;) {
            buffer_puts(text, i ? "; " : "");
            i += put_kind(text, moves->items + i, moves->count - i);
        }
        if (moves->forgotten)
            buffer_printf(text, "%s%zu more", moves->count ? "; " : "", moves->forgotten);
        forget(moves);
    }
    pthread_mutex_unlock(&moves->mutex);
    return due;
}
