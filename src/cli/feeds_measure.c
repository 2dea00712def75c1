/* How many bytes topics have. Kafka gives it to its own tools (DescribeLogDirs), which librdkafka
 * does not ask for, so it is estimated: by a few records from the beginning, the middle and the end
 * of each partition, keys and values as they are before they are compressed. */
#include "cli/feeds.h"

#include <stdlib.h>
#include <string.h>

#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

#define PLACES       3
#define PLACE_LENGTH 8

struct measuring {
    struct kafka_tool *tool;
    bool (*interrupted)(void);
    int64_t *bytes; /* by partition, of its sample */
    int32_t partitions;
};

static bool take(void *context, const struct record *record)
{
    struct measuring *measuring = context;
    if (record->partition < measuring->partitions)
        measuring->bytes[record->partition] +=
            (int64_t) (record->key_length + record->value_length);
    kafka_release(record->owner);
    return true;
}

/* The number-th place of a partition that is looked at. False: it has none. */
static bool put_span(struct kafka_span *span, unsigned number, int32_t partition, int64_t low,
                     int64_t high)
{
    int64_t length = high - low;
    const int64_t froms[PLACES] = {low, low + length / 2 - PLACE_LENGTH / 2, high - PLACE_LENGTH};
    *span = (struct kafka_span){.partition = partition, .from = low, .upto = high};
    if (length <= PLACES * PLACE_LENGTH) /* all of it */
        return !number && length > 0;
    span->from = froms[number];
    span->upto = froms[number] + PLACE_LENGTH;
    return true;
}

/* bytes[i] of partition i, -1 where it is not known. */
static enum ods_status measure(struct measuring *measuring, const char *topic, const int64_t *lows,
                               const int64_t *highs, int32_t count, struct error *error)
{
    struct kafka_span *spans = calloc((size_t) count + 1, sizeof *spans);
    enum ods_status status = spans ? ODS_OK : error_out_of_memory(error);
    measuring->partitions = count;
    memset(measuring->bytes, 0, (size_t) count * sizeof *measuring->bytes);
    for (unsigned place = 0; status == ODS_OK && place < PLACES; place++) {
        size_t n = 0;
        for (int32_t i = 0; i < count; i++)
            if (lows[i] >= 0 && highs[i] >= 0)
                n += put_span(&spans[n], place, i, lows[i], highs[i]);
        if (n)
            status = kafka_tool_read_spans(measuring->tool, topic, spans, n, take,
                                           measuring->interrupted, measuring, error);
    }
    for (int32_t i = 0; i < count; i++) {
        int64_t length = highs[i] - lows[i], looked_at = PLACES * PLACE_LENGTH;
        if (lows[i] < 0 || highs[i] < 0)
            measuring->bytes[i] = -1;
        else if (length > looked_at)
            measuring->bytes[i] =
                (int64_t) ((double) measuring->bytes[i] / (double) looked_at * (double) length);
    }
    free(spans);
    return status;
}

static const struct feed *measured_before(const struct feeds *feeds, size_t number)
{
    for (size_t i = 0; i < number; i++)
        if (strcmp(feeds->feeds[i].topic, feeds->feeds[number].topic) == 0)
            return &feeds->feeds[i];
    return NULL;
}

static enum ods_status measure_feed(struct measuring *measuring, struct feeds *feeds, size_t number,
                                    struct error *error)
{
    struct feed *feed = &feeds->feeds[number];
    const struct feed *same = measured_before(feeds, number);
    size_t count = (size_t) feed->count;
    int64_t *places = calloc(3 * count + 1, sizeof *places);
    if (!places)
        return error_out_of_memory(error);
    for (size_t i = 0; i < count; i++) {
        places[i] = feed->partitions[i].low;
        places[count + i] = feed->partitions[i].high;
    }
    measuring->bytes = places + 2 * count;
    enum ods_status status =
        same ? ODS_OK : measure(measuring, feed->topic, places, places + count, feed->count, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        feed->partitions[i].bytes = !same                       ? measuring->bytes[i]
                                    : (int32_t) i < same->count ? same->partitions[i].bytes
                                                                : -1;
    free(places);
    return status;
}

static enum ods_status measure_unread(struct measuring *measuring, struct unread *unread,
                                      struct error *error)
{
    size_t count = (size_t) unread->partitions;
    int64_t *places = calloc(3 * count + 1, sizeof *places);
    enum ods_status status = places ? ODS_OK : error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = kafka_tool_ends(measuring->tool, unread->topic, (int32_t) i, &places[i],
                                 &places[count + i], error);
    if (status == ODS_OK) {
        measuring->bytes = places + 2 * count;
        status =
            measure(measuring, unread->topic, places, places + count, unread->partitions, error);
        unread->bytes = 0;
    }
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        unread->bytes += measuring->bytes[i];
    if (status != ODS_OK)
        unread->bytes = -1;
    free(places);
    return status;
}

enum ods_status feeds_measure(struct feeds *feeds, const struct settings *settings,
                              bool (*interrupted)(void), struct error *error)
{
    struct measuring measuring = {.interrupted = interrupted};
    enum ods_status status =
        kafka_tool_open_quick(&measuring.tool, settings, settings->kafka.group_id, error);
    for (size_t i = 0; status == ODS_OK && i < feeds->feed_count; i++)
        status = measure_feed(&measuring, feeds, i, error);
    for (size_t i = 0; status == ODS_OK && i < feeds->unread_count; i++)
        if (measure_unread(&measuring, &feeds->unread[i], error) != ODS_OK)
            error_init(error); /* it may have been deleted a moment ago */
    kafka_tool_close(measuring.tool);
    return status;
}

int64_t feed_bytes(const struct feed *feed)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < feed->count; i++) {
        if (feed->partitions[i].bytes < 0)
            return -1;
        sum += feed->partitions[i].bytes;
    }
    return sum;
}
