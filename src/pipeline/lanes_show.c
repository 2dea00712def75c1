/* See lanes_show.h. */
#include "pipeline/lanes_show.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include "pipeline/condition.h"
#include "pipeline/json_text.h"
#include "pipeline/lane.h"
#include "pipeline/metrics.h"

/* --- looking -------------------------------------------------------------------------------- */

static void copy_places(struct lane_places *copy, const struct lane_partition *from, size_t count)
{
    char *at = copy->names;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(from[i].topic) + 1;
        copy->items[i] = from[i];
        copy->items[i].topic = memcpy(at, from[i].topic, size);
        at += size;
    }
    copy->count = count;
}

static bool look(struct lane_places *copy, struct lane *lane)
{
    size_t count, bytes = 1;
    const struct lane_partition *from = lane_lock_partitions(lane, &count);
    for (size_t i = 0; i < count; i++)
        bytes += strlen(from[i].topic) + 1;
    copy->items = calloc(count + 1, sizeof *copy->items);
    copy->names = malloc(bytes);
    bool good = copy->items && copy->names;
    if (good)
        copy_places(copy, from, count);
    lane_unlock_partitions(lane);
    return good;
}

bool lanes_look(struct lanes_shown *shown, struct lane *const *lanes, size_t count)
{
    *shown = (struct lanes_shown){.lanes = lanes, .count = count};
    shown->places = calloc(count + 1, sizeof *shown->places);
    bool good = shown->places != NULL;
    for (size_t i = 0; i < count && good; i++)
        good = look(&shown->places[i], lanes[i]);
    return good;
}

void lanes_shown_done(struct lanes_shown *shown)
{
    for (size_t i = 0; i < shown->count && shown->places; i++) {
        free(shown->places[i].items);
        free(shown->places[i].names);
    }
    free(shown->places);
}

/* --- writing -------------------------------------------------------------------------------- */

static void put_known(struct buffer *out, const char *name, int64_t number)
{
    buffer_puts(out, name);
    if (number < 0)
        buffer_puts(out, "null");
    else
        json_put_number(out, number, 0);
}

static void put_partition(struct buffer *out, const struct lane_partition *partition)
{
    buffer_puts(out, "{\"topic\": ");
    json_put_text(out, partition->topic);
    buffer_puts(out, ", \"partition\": ");
    json_put_number(out, partition->number, 0);
    buffer_puts(out, ", \"state\": ");
    json_put_text(out, partition->state);
    put_known(out, ", \"applied\": ", partition->applied);
    put_known(out, ", \"position\": ", partition->position);
    put_known(out, ", \"end\": ", partition->high);
    put_known(out, ", \"lag\": ", partition->lag);
    buffer_puts(out, "}");
}

static json_t *describe(struct lane *lane)
{
    struct lane_status status;
    struct condition condition;
    const struct metrics *metrics = lane_metrics(lane);
    lane_status(lane, &status);
    int64_t source_us = atomic_load(&metrics->source_us);
    int64_t applied_us = atomic_load(&metrics->applied_us);
    uint64_t rejected =
        atomic_load(&metrics->rejects_decode) + atomic_load(&metrics->rejects_apply);
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:I, s:s, s:f, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
        "pipeline", text_of(status.pipeline), "group", text_of(status.group), "target",
        text_of(status.target), "lane", (json_int_t) status.index, "writer",
        lane_state_name(status.state), "state_seconds",
        (double) status.state_us / 1e6, "joined", status.joined, "kafka_reachable",
        !status.source_away, "target_reachable", status.target_ready, "dead_letters_reachable",
        status.letters_ready, "records", (json_int_t) atomic_load(&metrics->records), "changes",
        (json_int_t) atomic_load(&metrics->changes), "rejected", (json_int_t) rejected,
        "last_change_at",
        source_us == INT64_MIN ? json_null() : json_real((double) source_us / 1e6),
        "last_commit_at", applied_us ? json_real((double) applied_us / 1e6) : json_null(),
        "last_error", *status.last_error ? text_of(status.last_error) : json_null(),
        "recent", lane_recent(lane));
    condition_of_lane(&condition, lane);
    if (object)
        condition_describe(&condition, object);
    return object;
}

bool lanes_write(const struct lanes_shown *shown, struct buffer *out)
{
    bool good = true;
    buffer_puts(out, "[");
    for (size_t i = 0; i < shown->count && good; i++) {
        const struct lane_places *places = &shown->places[i];
        buffer_puts(out, i ? ", " : "");
        good = json_put_open(out, describe(shown->lanes[i]));
        buffer_puts(out, ",\n  \"partitions\": [");
        for (size_t k = 0; k < places->count; k++) {
            buffer_puts(out, k ? ",\n    " : "\n    ");
            put_partition(out, &places->items[k]);
        }
        buffer_puts(out, "]\n}");
    }
    buffer_puts(out, "]");
    return good;
}
