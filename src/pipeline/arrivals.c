/* See arrivals.h. */
#include "pipeline/arrivals.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"

#define SENT_MS   INT64_C(1000)    /* within which all that is sent together has come */
#define CIRCLE_US INT64_C(2000000) /* until two of one millisecond are taken for a circle */

/* What a partition must have brought: below this, all that is older than the record, and all that
 * is not younger. */
struct needed {
    int64_t older, not_younger;
};

/* A partition's record that waits. */
struct arrival {
    char *topic;
    int32_t partition;
    int64_t offset, timestamp_ms; /* the record; -1: none yet, its time is not known */
    int64_t from_ms;              /* it is looked from this time on, by the wall clock */
    int64_t looked_us;            /* monotonic: when it was */
    struct needed *needed;        /* by partition; NULL: not looked yet */
    int32_t needed_count;
    int64_t arrived; /* those below it need wait no more; 0: none */
};

void arrivals_done(struct arrivals *arrivals)
{
    for (size_t i = 0; i < arrivals->count; i++) {
        free(arrivals->items[i].topic);
        free(arrivals->items[i].needed);
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
    *arrival = (struct arrival){.topic = name, .partition = partition, .offset = -1};
    return arrival;
}

/* Of each partition the first record that is not older; its end where there is none, or where the
 * time is not known (below 0). */
static bool ask(struct arrival *arrival, struct source *source, int64_t timestamp_ms,
                struct place *places, size_t count)
{
    struct error ignored;
    error_init(&ignored);
    for (size_t i = 0; i < count; i++)
        places[i] = (struct place){
            .topic = arrival->topic, .partition = (int32_t) i, .offset = timestamp_ms};
    if (timestamp_ms >= 0 &&
        source->ops->offsets_at(source, places, count, &ignored) != ODS_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t low, high;
        if (places[i].offset >= 0)
            continue;
        if (source->ops->ends(source, arrival->topic, (int32_t) i, &low, &high, &ignored) != ODS_OK)
            return false;
        places[i].offset = high > low ? high : 0;
    }
    return true;
}

/* Nothing is kept where not all is told; it is asked again with the next batch. */
static void look(struct arrival *arrival, struct source *source)
{
    int32_t count = 0;
    int64_t older_ms = arrival->timestamp_ms, younger_ms = older_ms < 0 ? older_ms : older_ms + 1;
    struct error ignored;
    error_init(&ignored);
    if (source->ops->partitions(source, arrival->topic, &count, &ignored) != ODS_OK)
        return;
    struct needed *needed = calloc((size_t) count, sizeof *needed);
    struct place *places = calloc((size_t) count, sizeof *places);
    bool good = needed && places && ask(arrival, source, older_ms, places, (size_t) count);
    for (int32_t i = 0; good && i < count; i++)
        needed[i].older = places[i].offset;
    good = good && ask(arrival, source, younger_ms, places, (size_t) count);
    for (int32_t i = 0; good && i < count; i++)
        needed[i].not_younger = places[i].offset;
    free(places);
    if (!good) {
        free(needed);
        return;
    }
    arrival->needed = needed;
    arrival->needed_count = count;
    arrival->looked_us = time_monotonic_us();
}

static void begin(struct arrival *arrival, const struct record *record, int64_t now_ms)
{
    bool known = record->timestamp_ms >= 0 && record->timestamp_ms < now_ms;
    free(arrival->needed);
    arrival->needed = NULL;
    if (record->offset < arrival->arrived) /* it is of a topic that was made anew */
        arrival->arrived = 0;
    arrival->offset = record->offset;
    arrival->timestamp_ms = record->timestamp_ms;
    arrival->from_ms = (known ? record->timestamp_ms : now_ms) + SENT_MS;
}

/* What the record needs is no younger than what has come for the one before it. */
static bool is_covered(const struct arrival *arrival, const struct record *record)
{
    return arrival->offset >= 0 && arrival->arrived > arrival->offset &&
           record->offset > arrival->offset && record->timestamp_ms >= 0 &&
           record->timestamp_ms <= arrival->timestamp_ms;
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
    if (is_covered(arrival, record)) {
        arrival->offset = record->offset;
        arrival->arrived = record->offset + 1;
        return;
    }
    if (arrival->offset != record->offset || arrival->timestamp_ms != record->timestamp_ms)
        begin(arrival, record, now_ms);
    if (!arrival->needed && now_ms >= arrival->from_ms)
        look(arrival, source);
}

/* Has the partition brought what is needed of it? */
static bool has_come(const struct arrival *arrival, int32_t partition, int64_t offset)
{
    const struct needed *needed = &arrival->needed[partition];
    bool circle = time_monotonic_us() - arrival->looked_us >= CIRCLE_US;
    bool less = circle && partition > arrival->partition;
    int64_t upto = less ? needed->older : needed->not_younger;
    return partition == arrival->partition || upto <= 0 || offset >= upto;
}

static bool is_all_there(const struct arrival *arrival, struct sink *sink)
{
    struct error ignored;
    size_t count = (size_t) arrival->needed_count;
    struct position *positions = calloc(count, sizeof *positions);
    error_init(&ignored);
    if (!positions)
        return false;
    for (size_t i = 0; i < count; i++)
        positions[i] = (struct position){.topic = arrival->topic, .partition = (int32_t) i};
    bool all = sink->ops->connect(sink, &ignored) == ODS_OK &&
               sink->ops->resume(sink, positions, count, &ignored) == ODS_OK;
    for (size_t i = 0; all && i < count; i++)
        all = has_come(arrival, (int32_t) i, positions[i].offset);
    free(positions);
    return all;
}

void arrivals_tell(struct arrivals *arrivals, struct sink *sink, struct batch *batch)
{
    for (uint32_t i = 0; arrivals->count && i < batch->claim_count; i++) {
        struct claim *claim = &batch->claims[i];
        struct arrival *arrival = find(arrivals, claim->topic, claim->partition);
        if (!arrival)
            continue;
        if (claim->from > arrival->offset) /* past it */
            arrival->arrived = 0;
        else if (arrival->needed && arrival->offset < claim->upto &&
                 arrival->arrived <= arrival->offset && is_all_there(arrival, sink))
            arrival->arrived = arrival->offset + 1;
        claim->arrived = arrival->arrived;
    }
}
