/* See kafka_workarounds.h. */
#include "source/kafka/kafka_workarounds.h"

#include "core/time.h"

#define NUDGE_BYTES      262144 /* taken since fetching was last asked for */
#define NUDGE_BACKLOG    100    /* messages that must have waited, for an empty queue to count */
#define NUDGE_TIMEOUT_MS 1      /* the request wakes the thread; its answer is of no use */
#define NUDGE_PARTITIONS 64     /* among so many each broker leads one, or nearly each */
#define START_US         INT64_C(1100000) /* as long as a broker's thread may sleep */
#define START_NUDGE_US   INT64_C(20000)

bool kafka_wakes_itself(void)
{
    return rd_kafka_version() >= 0x020200ff;
}

bool kafka_closes_while_joining(void)
{
    return rd_kafka_version() >= 0x020800ff;
}

void kafka_nudge_init(struct kafka_nudge *nudge)
{
    *nudge = (struct kafka_nudge){.needed = !kafka_wakes_itself()};
}

void kafka_nudge_starting(struct kafka_nudge *nudge)
{
    nudge->queue_peak = 0;
    nudge->starting_until_us = time_monotonic_us() + START_US;
}

int64_t kafka_nudge_patience_ms(const struct kafka_nudge *nudge)
{
    return nudge->needed && nudge->starting_until_us ? START_NUDGE_US / 1000 : INT64_MAX;
}

/* Partitions that have just been started: the threads that are to fetch them may still sleep, and
 * the order to start reaches them some time after it was given. */
static bool is_starting(struct kafka_nudge *nudge)
{
    int64_t now_us = nudge->starting_until_us ? time_monotonic_us() : 0;
    if (now_us > nudge->starting_until_us)
        nudge->starting_until_us = 0;
    if (!nudge->starting_until_us || now_us < nudge->next_us)
        return false;
    nudge->next_us = now_us + START_NUDGE_US;
    return true;
}

/* A request to the partitions' leaders wakes their threads, which then see that there is room. It
 * is worth one round trip each time that the queue has emptied to half of what it held: measured
 * with 4 KB records and a consumer of 10 us a record, 77,000 instead of 5,700 a second. */
void kafka_nudge_now(struct kafka_nudge *nudge, rd_kafka_t *rk, rd_kafka_queue_t *queue)
{
    if (!nudge->needed)
        return;
    bool starting = is_starting(nudge);
    size_t waiting = rd_kafka_queue_length(queue);
    if (waiting > nudge->queue_peak)
        nudge->queue_peak = waiting;
    bool drained = waiting == 0 && nudge->queue_peak >= NUDGE_BACKLOG;
    bool halved = waiting <= nudge->queue_peak / 2 && nudge->taken_bytes >= NUDGE_BYTES;
    if (!drained && !halved && !starting)
        return;
    nudge->queue_peak = waiting;
    nudge->taken_bytes = 0;
    rd_kafka_topic_partition_list_t *partitions;
    if (rd_kafka_assignment(rk, &partitions))
        return;
    rd_kafka_topic_partition_list_t *asked =
        rd_kafka_topic_partition_list_new(NUDGE_PARTITIONS + 1);
    int step = partitions->cnt / NUDGE_PARTITIONS + 1;
    for (int i = 0; i < partitions->cnt; i += step)
        rd_kafka_topic_partition_list_add(asked, partitions->elems[i].topic,
                                          partitions->elems[i].partition)
            ->offset = RD_KAFKA_OFFSET_END;
    if (asked->cnt)
        rd_kafka_offsets_for_times(rk, asked, NUDGE_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(asked);
    rd_kafka_topic_partition_list_destroy(partitions);
}
