/* See arrivals.h. */
#include "pipeline/arrivals.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"

#define SENT_MS INT64_C(1000) /* within which all that is sent together has come */

struct arrival {
    char *topic;
    int32_t partition;
    int64_t from_ms;   /* what the topic has is looked at from this time on */
    int64_t *ends;     /* by partition; 0 for one that has no record. NULL: not looked yet */
    int32_t end_count;
    bool all_there;
};

void arrivals_done(struct arrivals *arrivals)
{
    for (size_t i = 0; i < arrivals->count; i++) {
        free(arrivals->items[i].topic);
        free(arrivals->items[i].ends);
    }
    free(arrivals->items);
    *arrivals = (struct arrivals){0};
}

static struct arrival *find(const struct arrivals *arrivals, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < arrivals->count; i++)
        if (arrivals->items[i].partition == partition &&
            strcmp(arrivals->items[i].topic, topic) == 0)
            return &arrivals->items[i];
    return NULL;
}

/* NULL: memory is out, and the record is met again. */
static struct arrival *add(struct arrivals *arrivals, const char *topic, int32_t partition)
{
    if (arrivals->count == arrivals->capacity) {
        size_t larger = arrivals->capacity ? 2 * arrivals->capacity : 4;
        struct arrival *moved = realloc(arrivals->items, larger * sizeof *moved);
        if (!moved)
            return NULL;
        arrivals->items = moved;
        arrivals->capacity = larger;
    }
    char *name = strdup(topic);
    if (!name)
        return NULL;
    struct arrival *arrival = &arrivals->items[arrivals->count++];
    *arrival = (struct arrival){.topic = name, .partition = partition};
    return arrival;
}

/* False: not now. */
static bool look(struct arrival *arrival, struct source *source)
{
    int32_t count = 0;
    struct error ignored;
    int64_t low, high, *ends = NULL;
    error_init(&ignored);
    bool good =
        source->ops->partitions(source, arrival->topic, &count, &ignored) == ODS_OK &&
        (ends = calloc((size_t) count, sizeof *ends));
    for (int32_t i = 0; good && i < count; i++) {
        good = source->ops->ends(source, arrival->topic, i, &low, &high, &ignored) == ODS_OK;
        ends[i] = good && high > low ? high : 0;
    }
    if (!good) {
        free(ends);
        return false;
    }
    free(arrival->ends);
    arrival->ends = ends;
    arrival->end_count = count;
    return true;
}

static int64_t own_end(const struct arrival *arrival)
{
    return arrival->ends && arrival->partition < arrival->end_count
               ? arrival->ends[arrival->partition]
               : 0;
}

void arrivals_await(struct arrivals *arrivals, struct source *source, const struct batch *batch)
{
    const struct record *record = &batch->records[batch->awaiting - 1];
    struct arrival *arrival = find(arrivals, record->topic, record->partition);
    int64_t now_ms = time_wall_us() / 1000;
    if (!arrival)
        arrival = add(arrivals, record->topic, record->partition);
    if (!arrival)
        return;
    if (record->offset >= own_end(arrival) && (arrival->all_there || !arrival->from_ms)) {
        bool known = record->timestamp_ms >= 0 && record->timestamp_ms < now_ms;
        arrival->from_ms = (known ? record->timestamp_ms : now_ms) + SENT_MS;
        arrival->all_there = false;
        free(arrival->ends);
        arrival->ends = NULL;
    }
    if (!arrival->ends && now_ms >= arrival->from_ms)
        look(arrival, source);
}

/* Has the target all that the topic had? The partition's own records can't be among what its
 * records wait for. */
static bool is_all_there(const struct arrival *arrival, struct sink *sink)
{
    struct error ignored;
    bool all = true;
    size_t count = (size_t) arrival->end_count;
    struct position *positions = calloc(count, sizeof *positions);
    error_init(&ignored);
    if (!positions)
        return false;
    for (size_t i = 0; i < count; i++)
        positions[i] = (struct position){.topic = arrival->topic, .partition = (int32_t) i};
    all = sink->ops->connect(sink, &ignored) == ODS_OK &&
          sink->ops->resume(sink, positions, count, &ignored) == ODS_OK;
    for (size_t i = 0; all && i < count; i++)
        all = positions[i].partition == arrival->partition || !arrival->ends[i] ||
              positions[i].offset >= arrival->ends[i];
    free(positions);
    return all;
}

void arrivals_tell(struct arrivals *arrivals, struct sink *sink, struct batch *batch)
{
    for (uint32_t i = 0; arrivals->count && i < batch->claim_count; i++) {
        struct claim *claim = &batch->claims[i];
        struct arrival *arrival = find(arrivals, claim->topic, claim->partition);
        if (!arrival || !arrival->ends)
            continue;
        if (!arrival->all_there)
            arrival->all_there = is_all_there(arrival, sink);
        if (arrival->all_there)
            claim->arrived = own_end(arrival);
    }
}
