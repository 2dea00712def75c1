#include "pipeline/traces.h"

#include <stdlib.h>

#include "core/time.h"

void traces_reset(struct traces *traces)
{
    traces->count = 0;
    traces->dropped = 0;
}

void traces_done(struct traces *traces)
{
    free(traces->items);
    *traces = (struct traces){.count = 0};
}

static struct traced *add(struct traces *traces, size_t limit)
{
    if (traces->count == traces->capacity && traces->count < limit) {
        size_t larger = traces->capacity ? traces->capacity * 2 : 64;
        struct traced *moved = realloc(traces->items, larger * sizeof *moved);
        if (moved) {
            traces->items = moved;
            traces->capacity = larger;
        }
    }
    if (traces->count < limit && traces->count < traces->capacity)
        return &traces->items[traces->count++];
    traces->dropped++;
    return NULL;
}

void traces_note(struct traces *traces, size_t limit, const struct batch *batch, int64_t taken_us)
{
    struct traceparent parent;
    uint32_t record = batch->record_count - 1;
    if (!traceparent_of(&parent, batch->headers, &batch->records[record]) || !parent.sampled)
        return;
    struct traced *traced = add(traces, limit);
    if (traced)
        *traced = (struct traced){.parent = parent,
                                  .record = record,
                                  .taken_us = taken_us,
                                  .decoded_us = time_wall_us()};
}

static int by_record(const void *key, const void *item)
{
    uint32_t record = *(const uint32_t *) key, other = ((const struct traced *) item)->record;
    return (record > other) - (record < other);
}

void traces_judge(struct traces *traces, const struct batch *batch)
{
    for (uint32_t i = 0; traces->count && i < batch->reject_count; i++) {
        struct traced *traced = bsearch(&batch->rejects[i].record, traces->items, traces->count,
                                        sizeof *traces->items, by_record);
        if (traced)
            traced->reject = &batch->rejects[i];
    }
}
