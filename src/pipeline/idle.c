/* See idle.h. */
#include "pipeline/idle.h"

#include <stdlib.h>
#include <string.h>

#include <ods/control.h>

#include "core/time.h"

#define KEEP_US      INT64_C(3000000) /* between two calls, */
#define EACH_US      INT64_C(5000)    /* and for each partition: no load of 10,000 tables */
#define SOON_US      INT64_C(1000000) /* while there is no partition */
#define FETCH_US     INT64_C(2000000) /* after which a fetch has told of a new end */

void idle_done(struct idle *idle)
{
    free(idle->places);
    *idle = (struct idle){0};
}

static bool at_end(const struct lane_partition *partition)
{
    return strcmp(partition->state, "active") == 0 && partition->applied >= 0 &&
           partition->high >= 0 && partition->applied >= partition->high;
}

/* Partitions of which something is stored and that are not at their ends need no telling. What a
 * lane showed before the last call's answer was long enough ago says nothing, and neither does what
 * it showed soon after its partitions were held: the ends that it knows are those of before. */
static bool add_lane(struct idle *idle, struct lane *lane)
{
    struct lane_status status;
    size_t count;
    lane_status(lane, &status);
    const struct lane_partition *partition = lane_lock_partitions(lane, &count);
    int64_t since_us = lane_released_us(lane);
    since_us = since_us > idle->looked_us ? since_us : idle->looked_us;
    bool counts = !status.source_away && lane_shown_us(lane) >= since_us + FETCH_US;
    if (idle->capacity < idle->count + count) {
        struct position *larger =
            realloc(idle->places, (idle->count + count) * sizeof *larger);
        if (larger) {
            idle->places = larger;
            idle->capacity = idle->count + count;
        }
    }
    bool fits = idle->capacity >= idle->count + count;
    for (; fits && count; count--, partition++) {
        bool ended = counts && at_end(partition);
        if (ended || partition->applied < 0)
            idle->places[idle->count++] =
                (struct position){.topic = partition->topic,
                                  .partition = partition->number,
                                  .offset = ended ? partition->applied : OFFSET_NONE};
    }
    lane_unlock_partitions(lane);
    return fits;
}

enum ods_status idle_keep(struct idle *idle, struct sink *sink, struct lane *const *lanes,
                          size_t count, struct error *error)
{
    const struct control_ops *control = sink->ops->control;
    int64_t now_us = time_monotonic_us();
    if (!control->freshen || now_us < idle->due_us)
        return ODS_OK;
    idle->count = 0;
    for (size_t i = 0; i < count; i++)
        if (!add_lane(idle, lanes[i]))
            return error_out_of_memory(error);
    idle->due_us = now_us + (idle->count ? KEEP_US + (int64_t) idle->count * EACH_US : SOON_US);
    if (!idle->count)
        return ODS_OK;
    enum ods_status status = control->freshen(sink, idle->places, idle->count, error);
    idle->looked_us = time_monotonic_us();
    return status;
}
