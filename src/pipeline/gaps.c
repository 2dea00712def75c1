/* Offsets that do not fit what the source has: records were deleted, or the topic was recreated.
 * Consumer thread.
 *
 * To ignore this would lose records in silence, so a configured policy decides: stop, or continue
 * at the beginning or the end of the partition. Either way there is an error in the log and in the
 * metrics.
 *
 * A topic that was recreated is recognised if it is shorter than the stored offset. If it is as
 * long or longer, times are compared: a record below the offset can't have been written after the
 * offset was stored. Not recognised is a topic whose new records have old times, or that had as
 * many records again within a minute, unless its whole cluster was made anew: clusters have ids,
 * and targets may keep them.
 */
#include "core/exit.h"
#include "pipeline/lane_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "core/utf8.h"

#define CLOCK_SKEW_US INT64_C(60000000) /* how far the clocks of producers and target may differ */
#define LATER_US      INT64_C(500000)
#define CLUSTER_ASKS  3 /* of which cluster a batch is, before what it has is read again */

/* The policy for the partition, which is to go on at POSITION_BEGINNING or at `high`. */
static void decide(struct lane *lane, struct partition *partition, const char *policy,
                   const char *setting, int64_t high, struct error *error)
{
    bool latest = strcmp(policy, "latest") == 0;
    if (strcmp(policy, "stop") == 0) {
        char advice[600];
        snprintf(advice, sizeof advice,
                 "; to go on where you decide: stop every daemon of this pipeline, then ods-sink "
                 "reset --topic %s --partition %d --to earliest (or latest, an offset, a time); "
                 "kafka.%s can have it done by itself",
                 partition->topic, (int) partition->number, setting);
        size_t length = strlen(error->text), room = sizeof error->text - length;
        utf8_copy(error->text + length, room, advice, strlen(advice));
        lane_fail(lane, CLI_SOURCE, error);
        return;
    }
    if (latest && (high < 0 || !consumer_pass(lane, partition, high))) {
        partition_restart(partition); /* found out again */
        partition->not_before_us = time_monotonic_us() + LATER_US;
        return;
    }
    if (!latest)
        partition->position = POSITION_BEGINNING;
    partition->state = PARTITION_SEEKING;
    partition->stored_us = 0;
    partition->first = FIRST_UNKNOWN; /* it may be a record of a topic that is gone */
    atomic_fetch_add(&lane->metrics.offset_gaps, 1);
    lane_note_error(lane, error->text);
    log_event(LOG_ERROR, LANE_FIELDS(lane), "%s; goes on at the %s record there is (kafka.%s)",
              error->text, latest ? "end, behind the newest" : "oldest", setting);
}

/* --- clusters ------------------------------------------------------------------------------- */

static bool any_is_located(const struct lane *lane)
{
    int64_t now_us = time_monotonic_us();
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        if (partition->state == PARTITION_LOCATING && partition->not_before_us <= now_us)
            return true;
    }
    return false;
}

/* Another cluster has other records under the same names and offsets. What is fetched from here on
 * is of this one, so a lane that gets no record for hours knows even so that it has changed. */
static void look_at_clusters(struct lane *lane)
{
    struct error error;
    char name[CLUSTER_BYTES] = "";
    if (!lane->source->ops->cluster || !any_is_located(lane))
        return;
    lane->source->ops->cluster(lane->source, name);
    if (!*lane->cluster)
        memcpy(lane->cluster, name, sizeof lane->cluster);
    for (size_t i = 0; i < lane->assignment.count; i++) {
        struct partition *partition = lane->assignment.items[i];
        if (partition->state != PARTITION_LOCATING || !partition->cluster ||
            strcmp(partition->cluster, name) == 0)
            continue;
        if (!*name) {
            lane_note_error(lane, "the Kafka cluster does not say its id, with which those of the "
                                  "target's offsets are compared: asked again");
            partition->not_before_us = time_monotonic_us() + LATER_US;
            continue;
        }
        error_init(&error);
        error_set(&error, ODS_FATAL,
                  "topic %s partition %d: the target's offset %lld is of the Kafka cluster \"%s\", "
                  "and the one that kafka.bootstrap_servers leads to is \"%s\": it was made anew, "
                  "or is another one",
                  partition->topic, (int) partition->number, (long long) partition->stored,
                  partition->cluster, name);
        partition->cluster = NULL;
        decide(lane, partition, lane->settings->kafka.on_topic_recreated, "on_topic_recreated", -1,
               &error);
    }
}

enum cluster_is {
    CLUSTER_SAME,
    CLUSTER_UNTOLD, /* whether it still is the one that was seen before */
    CLUSTER_ANOTHER,
};

static enum cluster_is ask_cluster(struct lane *lane)
{
    char name[CLUSTER_BYTES];
    if (!lane->source->ops->cluster)
        return CLUSTER_SAME;
    lane->source->ops->cluster(lane->source, name);
    if (!*name)
        return *lane->cluster ? CLUSTER_UNTOLD : CLUSTER_SAME;
    bool another = *lane->cluster && strcmp(lane->cluster, name) != 0;
    memcpy(lane->cluster, name, sizeof lane->cluster);
    return another ? CLUSTER_ANOTHER : CLUSTER_SAME;
}

static void restart_all(struct lane *lane)
{
    consumer_discard_filling(lane);
    for (size_t i = 0; i < lane->assignment.count; i++)
        rebalance_restart(lane, lane->assignment.items[i]);
}

/* One of several brokers that does not answer is as good as there for a while, and may be the one
 * that is asked: the next question goes to another. */
bool gaps_same_cluster(struct lane *lane, struct batch *batch, bool can_wait)
{
    enum cluster_is now = ask_cluster(lane);
    if (now == CLUSTER_UNTOLD && can_wait && ++lane->untold < CLUSTER_ASKS)
        return false;
    lane->untold = 0;
    memcpy(batch->cluster, lane->cluster, sizeof batch->cluster);
    if (now != CLUSTER_SAME)
        restart_all(lane);
    return now == CLUSTER_SAME;
}

/* --- records that are not there -------------------------------------------------------------- */

void gaps_out_of_sight(struct lane *lane, struct partition *partition)
{
    rebalance_pause(lane, partition);
    partition->looks_back = false;
    partition->state = PARTITION_SEEKING;
}

void gaps_out_of_range(struct lane *lane, struct partition *partition)
{
    struct error error;
    int64_t low = -1, high = -1;
    error_init(&error);
    if (ask_cluster(lane) != CLUSTER_SAME) {
        restart_all(lane);
        return;
    }
    /* Nothing says where to start: retention moved the beginning on, it is looked for again. */
    if (partition->position == POSITION_BEGINNING) {
        partition->state = PARTITION_SEEKING;
        return;
    }
    lane->source->ops->ends(lane->source, partition->topic, partition->number, &low, &high, NULL);
    error_set(&error, ODS_FATAL,
              "topic %s partition %d: the next record to apply is %lld, but the source has %lld to "
              "%lld: records are gone (retention, or a file that was rotated and is not read), or "
              "the topic was deleted and made anew",
              partition->topic, (int) partition->number, (long long) partition->position,
              (long long) low, (long long) high);
    if (lane->source->ops->explain)
        lane->source->ops->explain(lane->source, partition->topic, &error);
    decide(lane, partition, lane->settings->kafka.on_offset_gone, "on_offset_gone", high, &error);
}

/* --- times ----------------------------------------------------------------------------------- */

static void recreated(struct lane *lane, struct partition *partition, int64_t offset)
{
    struct error error;
    error_init(&error);
    error_set(&error, ODS_FATAL,
              "topic %s partition %d: the target has applied everything below offset %lld, but "
              "record %lld was written after that: the topic was deleted and made anew",
              partition->topic, (int) partition->number, (long long) partition->stored,
              (long long) offset);
    decide(lane, partition, lane->settings->kafka.on_topic_recreated, "on_topic_recreated", -1,
           &error);
}

/* As rebalance_due(); the offset is a time. */
static struct place *list_unseen(struct lane *lane, size_t *count)
{
    struct place *places = NULL;
    *count = 0;
    for (size_t i = 0; i < lane->assignment.count; i++) {
        const struct partition *partition = lane->assignment.items[i];
        if (partition->state != PARTITION_LOCATING || !partition->stored_us || !partition->stored ||
            partition->not_before_us > time_monotonic_us())
            continue;
        if (!places)
            places = malloc(lane->assignment.count * sizeof *places);
        if (!places)
            break;
        places[(*count)++] =
            (struct place){.topic = partition->topic,
                           .partition = partition->number,
                           .offset = (partition->stored_us + CLOCK_SKEW_US) / 1000};
    }
    return places;
}

void gaps_look(struct lane *lane)
{
    struct error error;
    size_t count;
    error_init(&error);
    if (strcmp(lane->settings->kafka.on_topic_recreated, "ignore") == 0 ||
        !lane->source->ops->offsets_at)
        return;
    look_at_clusters(lane);
    struct place *places = list_unseen(lane, &count);
    if (!places)
        return;
    enum ods_status status = lane->source->ops->offsets_at(lane->source, places, count, &error);
    if (status != ODS_OK)
        lane_note_error(lane, error.text);
    for (size_t i = 0; i < count; i++) {
        const struct place *answer = &places[i];
        struct partition *partition =
            assignment_find(&lane->assignment, answer->topic, answer->partition);
        if (status != ODS_OK || answer->failed)
            partition->not_before_us = time_monotonic_us() + LATER_US;
        else if (answer->offset >= 0 && answer->offset < partition->stored)
            recreated(lane, partition, answer->offset);
        else
            partition->stored_us = 0;
    }
    free(places);
}
