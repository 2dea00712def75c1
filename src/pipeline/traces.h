/* The records of a batch whose traces are sampled, and when they went through what. It travels with
 * the batch, so it is the consumer's while the batch is filled and the writer's while it has it. */
#ifndef TRACES_H
#define TRACES_H

#include <stddef.h>
#include <stdint.h>

#include <ods/batch.h>
#include "core/traceparent.h"

/* Wall clock, microseconds. */
struct traced {
    struct traceparent parent;
    uint32_t record; /* in the batch; they grow */
    int64_t taken_us, decoded_us;
    const struct reject *reject; /* NULL: it was applied */
};

struct traces {
    struct traced *items;
    size_t count, capacity;
    uint64_t dropped; /* beyond the limit, or memory was out */
};

void traces_reset(struct traces *traces);
void traces_done(struct traces *traces);
/* The batch's last record, if its trace is sampled: it was taken then and is decoded now. There are
 * at most `limit`. */
void traces_note(struct traces *traces, size_t limit, const struct batch *batch, int64_t taken_us);
/* Tells which became dead letters. */
void traces_judge(struct traces *traces, const struct batch *batch);

#endif
