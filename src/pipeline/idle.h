/* Partitions of a pipeline's lanes that have nothing left to apply, of which the target keeps up to
 * when they are complete. Of the thread that watches for orders: no lane waits for it. */
#ifndef IDLE_H
#define IDLE_H

#include <stddef.h>

#include <ods/sink.h>

#include "pipeline/lane.h"

struct idle {
    struct position *places; /* as of the last look */
    size_t count, capacity;
    int64_t looked_us, due_us;
};

void idle_done(struct idle *idle);
/* Tells the target when it is time. ODS_OK also where there is nothing to tell. */
enum ods_status idle_keep(struct idle *idle, struct sink *sink, struct lane *const *lanes,
                          size_t count, struct error *error);

#endif
