/* Recorded files: records as lines, under the topics, partitions and offsets that they had in
 * Kafka.
 *
 * A partition is assigned when its first line is read. Lines are delivered in the file's order:
 * when the partition of the next line is not started yet, that line and all lines after it wait.
 * When an offset is wanted again, the source goes back in the file, and skips lines of other
 * partitions that it has delivered already.
 *
 * For a pipeline, a partition's offsets must rise. In another order records would be lost without a
 * word, since records below the target's offset are skipped.
 *
 * A file that was rotated is read until everything in it is committed, as until then its lines may
 * be wanted again. Only the first lane reads. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "core/log.h"
#include "source/file/file_line.h"
#include "source/file/file_source.h"

#define FOLLOW_MS 100 /* between two looks at a file that may have grown */

struct file_settings {
    const char *path, *rotated;
    bool follow;
    int64_t max_line_bytes;
};

extern const struct source_ops file_source_ops;

#define AT(member) offsetof(struct file_settings, member)

static const struct setting rows[] = {
    {"path", SETTING_STRING, AT(path), .min = 1, .max = 4095, .flags = SETTING_REQUIRED,
     .doc = "The file, by its absolute path. It may be a pipe, which can't be read again: where a "
            "batch has to be, the lane stops."},
    {"follow", SETTING_BOOL, AT(follow), "true",
     .doc = "At the end, wait for more lines, also in a new file of this name once the old one was "
            "renamed, and for the file itself when it is not there yet. A line counts when its end "
            "is written. `false`: what stands there now is all."},
    {"rotated", SETTING_STRING, AT(rotated), "", .max = 4095,
     .doc = "The absolute path that the file gets when it is rotated, as `records.jsonl.1`. The "
            "daemon reads it first when it starts, for what it had not applied before it ended."},
    {"max_line_bytes", SETTING_BYTES, AT(max_line_bytes), "16777216", .min = 1024,
     .max = INT64_C(1) << 30, .doc = "A longer line stops the lane."},
};

static const struct setting_group settings_group = {
    .title = "input of type `file`",
    .intro =
        "Records of a file, one JSON object a line as `kcat -J` writes them: `topic`, `partition`, "
        "`offset`, `ts`, `headers`, `key`, `payload`; `key_b64` and `value_b64` hold bytes that "
        "are no text. Lines of topics that are none of `topics` are passed over. Offsets are "
        "stored in the target as those of Kafka are, so each record is applied exactly once where "
        "the target's guarantee is exact. The file is only appended to, by one writer, and rotated "
        "by renaming it. A line that is no record, offsets of a partition that do not rise, and a "
        "file that was cut short stop the lane, with file and line. Where a file begins behind the "
        "offset that is next, `kafka.on_offset_gone` decides: what lies between may stand in a "
        "file that was rotated and is named nowhere; `ods-sink replay` applies it. Of several "
        "`lanes` one works. Dead letters go where `dead_letter` says.",
    .size = sizeof(struct file_settings),
    SETTING_ROWS(rows),
};

/* --- where to read --- */

/* Of a place that this source has given. */
static struct file_partition *partition_of(struct file_source *file, const struct place *place)
{
    struct slice name = {place->topic, strlen(place->topic)};
    const struct file_topic *topic = file_topic_find(&file->partitions, name);
    assert(topic);
    struct file_partition *partition =
        file_partition_find(&file->partitions, topic, place->partition);
    assert(partition);
    return partition;
}

/* Goes back in the file to the lines of a partition that are wanted again. */
static void go_back(struct file_source *file, struct file_partition *partition)
{
    struct tail_place place = file_partition_place(partition, partition->from);
    if (!file->pipeline || !file->tail.seekable) {
        file->refused = partition;
        return;
    }
    if (place.at < file->tail.base + (int64_t) file->tail.at)
        tail_seek(&file->tail, place);
    partition->taken = partition->from - 1;
    file->holds = NULL;
}

static enum ods_status file_start(struct source *source, struct place *places, size_t count,
                                  struct error *error)
{
    struct file_source *file = (struct file_source *) source;
    for (size_t i = 0; i < count; i++) {
        struct file_partition *partition = partition_of(file, &places[i]);
        file_forget_gap(file, partition);
        partition->told_end = false;
        partition->gap =
            file->pipeline && places[i].offset >= 0 && places[i].offset < partition->low;
        partition->started = !partition->gap;
        file->gaps += partition->gap;
        if (partition->gap)
            continue;
        partition->from = places[i].offset < 0 ? 0 : places[i].offset;
        if (partition->from <= partition->taken)
            go_back(file, partition);
    }
    file->ends = 0;
    return ODS_OK;
}

static void file_pause(struct source *source, const struct place *places, size_t count)
{
    struct file_source *file = (struct file_source *) source;
    for (size_t i = 0; i < count; i++) {
        struct file_partition *partition = partition_of(file, &places[i]);
        partition->started = false;
        file_forget_gap(file, partition);
    }
}

/* Nobody has to be told what is committed. The source only uses it to leave a file that is read to
 * its end. */
static void file_ack(struct source *source, const struct place *places, size_t count, int wait_ms)
{
    struct file_source *file = (struct file_source *) source;
    for (size_t i = 0; i < count; i++)
        partition_of(file, &places[i])->settled = places[i].offset;
    file->events.acknowledged(file->events.context, places, count);
}

static enum ods_status file_ends(struct source *source, const char *topic, int32_t number,
                                 int64_t *low, int64_t *high, struct error *error)
{
    const struct place place = {.topic = topic, .partition = number};
    const struct file_partition *partition = partition_of((struct file_source *) source, &place);
    *low = partition->low;
    *high = partition->last + 1;
    return ODS_OK;
}

/* Knows only the time of the first record. That is enough to see that a topic was made again: its
 * first record is then newer than what was applied. */
static enum ods_status file_offsets_at(struct source *source, struct place *places, size_t count,
                                       struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct file_partition *partition =
            partition_of((struct file_source *) source, &places[i]);
        places[i].offset = partition->low_ms >= places[i].offset ? partition->low : -1;
    }
    return ODS_OK;
}

static enum ods_status file_partitions(struct source *source, const char *topic, int32_t *count,
                                       struct error *error)
{
    *count = file_topic_partitions(&((struct file_source *) source)->partitions, topic);
    return ODS_OK;
}

/* --- coming and going --- */

static enum ods_status check_settings(const struct source_config *config, struct error *error)
{
    const struct file_settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    const char *bad = *settings->path != '/'                           ? "path"
                      : *settings->rotated && *settings->rotated != '/' ? "rotated"
                                                                         : NULL;
    if (!pipeline || !bad)
        return ODS_OK;
    return error_set(error, ODS_FATAL, "pipeline \"%s\": input.%s \"%s\" is no absolute path",
                     pipeline->name, bad, *bad == 'p' ? settings->path : settings->rotated);
}

static void file_close(struct source *source)
{
    struct file_source *file = (struct file_source *) source;
    if (!file)
        return;
    tail_close(&file->tail);
    file_partitions_done(&file->partitions);
    arena_done(&file->arena);
    free(file);
}

static enum ods_status file_open(struct source **source, const struct source_config *config,
                                 struct error *error)
{
    const struct file_settings *settings = config->settings;
    enum ods_status status = check_settings(config, error);
    struct file_source *file = calloc(1, sizeof *file);
    *source = NULL;
    if (!file)
        return error_set(error, ODS_FATAL, "out of memory for a source");
    file->base.ops = &file_source_ops;
    file->events = config->events;
    file->pipeline = config->pipeline;
    file->reads = config->lane == 0;
    file->tail = (struct file_tail){.path = settings->path,
                                    .rotated = settings->rotated,
                                    .follow = settings->follow,
                                    .max_line_bytes = settings->max_line_bytes};
    arena_init(&file->arena);
    if (status == ODS_OK && file->reads)
        status = tail_open(&file->tail, error);
    if (status == ODS_OK)
        *source = &file->base;
    else
        file_close(&file->base);
    return status;
}

static void file_join(struct source *source)
{
    struct file_source *file = (struct file_source *) source;
    if (file->reads && !file->tail.count)
        log_event(LOG_INFO, LOG_FIELDS(file), "there is no file %s yet; it is read when it appears",
                  file->tail.path);
    atomic_store(&file->missing, file->reads && !file->tail.count);
    atomic_store(&file->joined, true);
}

static void file_leave(struct source *source)
{
    struct file_source *file = (struct file_source *) source;
    for (size_t i = 0; i < file->partitions.count; i++) {
        const struct file_partition *partition = file->partitions.items[i];
        const struct place place = {.topic = partition->topic, .partition = partition->number};
        file->events.revoked(file->events.context, &place, 1, false);
    }
    file->reads = false;
}

static int64_t file_turn(struct source *source)
{
    return ((const struct file_source *) source)->more ? 0 : FOLLOW_MS;
}

static int file_poll_fd(const struct source *source)
{
    const struct file_source *file = (const struct file_source *) source;
    return file->tail.count && !file->tail.seekable && !file->tail.hung_up && !file->holds
               ? file->tail.files[0]
               : -1;
}

/* Errors found here are reported when the present file has been read to its end. */
static void file_housekeep(struct source *source)
{
    struct file_source *file = (struct file_source *) source;
    if (file->reads)
        tail_watch(&file->tail, NULL);
}

static void file_look(const struct source *source, struct source_state *state)
{
    const struct file_source *file = (const struct file_source *) source;
    *state = (struct source_state){.joined = atomic_load(&file->joined),
                                   .without_topics = atomic_load(&file->missing),
                                   .ended = atomic_load(&file->ended)};
}

static enum ods_status file_check(const struct source_config *config,
                                  void (*report)(void *context, const char *line), void *context,
                                  struct error *error)
{
    const struct file_settings *settings = config->settings;
    struct file_tail tail = {
        .path = settings->path, .rotated = settings->rotated, .follow = settings->follow};
    enum ods_status status = check_settings(config, error);
    if (config->pipeline->lanes > 1)
        report(context, "of several lanes only the first has something to do");
    if (status == ODS_OK)
        status = tail_open(&tail, error);
    if (status == ODS_OK && !tail.count)
        report(context, "the file is not there yet; it is read when it appears");
    tail_close(&tail);
    return status;
}

const struct source_ops file_source_ops = {
    .type = "file",
    .summary = "recorded files, as they grow and are rotated",
    .settings = &settings_group,
    .kind = SOURCE_OFFSETS,
    .provided = "its file is only appended to, and rotated by renaming it; what was rotated away "
                "unread, ods-sink replay applies",
    .awaits_acks = true, /* a rotated file is left only when all of it is committed */
    .open = file_open,
    .join = file_join,
    .next = file_next,
    .start = file_start,
    .pause = file_pause,
    .ack = file_ack,
    .ends = file_ends,
    .offsets_at = file_offsets_at,
    .partitions = file_partitions,
    .turn = file_turn,
    .poll_fd = file_poll_fd,
    .housekeep = file_housekeep,
    .look = file_look,
    .release = free,
    .headers = file_line_headers,
    .leave = file_leave,
    .close = file_close,
    .check = file_check,
};
