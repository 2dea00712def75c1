/* Turns lines into records, and reports events of partitions. See file.c. */
#include <inttypes.h>
#include <string.h>

#include <ods/pipeline.h>

#include "core/log.h"
#include "source/file/file_line.h"
#include "source/file/file_source.h"

#define TURN_LINES     1024    /* how many lines one call skips at most */
#define UNWANTED_MAX   10000   /* how many topics are remembered that the pipeline does not read */
#define PARTITIONS_MAX 10000   /* of the topics that are read; each takes up to 3 KB */
#define KEEP_BYTES     1048576 /* how much memory of reading a line is kept for the next */

/* --- lines --- */

enum step {
    STEP_RECORD,
    STEP_PASSED, /* the line is taken and skipped */
    STEP_WAITS,  /* the line stays the next one */
    STEP_FAILED,
    STEP_NO_RECORD, /* also failed, but without a pipeline reading goes on after the line */
};

/* A pipeline waits until there is memory; without a pipeline it is an error. */
static enum step no_memory(const struct file_source *file, struct error *error)
{
    if (file->pipeline)
        return STEP_WAITS;
    error_set(error, ODS_FATAL, "%s: out of memory", file->tail.name);
    return STEP_FAILED;
}

static enum step fail(const struct file_source *file, enum step step, struct record *record,
                      struct error *error)
{
    record->offset = (int64_t) file->tail.line + 1;
    error->fault = step == STEP_NO_RECORD ? FAULT_ROW : FAULT_NONE;
    error_prefix(error, "%s line %" PRId64 ": ", file->tail.name, record->offset);
    return step;
}

/* NULL: memory is out, or the topic is not wanted and there is no room to remember it. */
static struct file_topic *add_topic(struct file_source *file, struct slice name, bool *unwanted)
{
    const char *text = arena_strndup(&file->arena, name.bytes, name.length);
    if (!text)
        return NULL;
    bool wanted = !file->pipeline || pipeline_reads(file->pipeline, text);
    *unwanted = !wanted && file->partitions.unwanted >= UNWANTED_MAX;
    return *unwanted ? NULL : file_topic_add(&file->partitions, name, wanted);
}

static struct file_partition *add_partition(struct file_source *file, struct file_topic *topic,
                                            const struct file_line *line)
{
    const struct place place = {.topic = topic->name, .partition = line->partition};
    struct file_partition *partition =
        file_partition_add(&file->partitions, topic, line->partition);
    if (!partition)
        return NULL;
    partition->low = line->offset;
    partition->low_ms = line->timestamp_ms;
    file->events.assigned(file->events.context, &place, 1);
    return partition;
}

/* STEP_RECORD: *partition is the line's. */
static enum step find_partition(struct file_source *file, const struct file_line *line,
                                struct file_partition **partition, struct record *record,
                                struct error *error)
{
    bool unwanted = false;
    struct file_topic *topic = file_topic_find(&file->partitions, line->topic);
    if (!topic)
        topic = add_topic(file, line->topic, &unwanted);
    if (unwanted || (topic && !topic->wanted))
        return STEP_PASSED;
    *partition = topic ? file_partition_find(&file->partitions, topic, line->partition) : NULL;
    if (topic && !*partition && file->partitions.count >= PARTITIONS_MAX) {
        error_set(
            error, ODS_FATAL,
            "partition %d of topic %s is one more than the %d that a file may have: split the "
            "file, or read fewer topics of it",
            (int) line->partition, topic->name, PARTITIONS_MAX);
        return fail(file, STEP_FAILED, record, error);
    }
    if (topic && !*partition)
        *partition = add_partition(file, topic, line);
    return *partition ? STEP_RECORD : no_memory(file, error);
}

/* The partition's first line in a new file. When its offset does not follow the last one, a file
 * between the two may have been missed. */
static void begin(struct file_source *file, struct file_partition *partition, int64_t offset)
{
    partition->fresh = false;
    if (offset <= partition->low)
        return;
    partition->low = offset;
    if (!partition->started || partition->from >= offset)
        return;
    partition->started = false;
    partition->gap = true;
    file->gaps++;
}

/* Checks and notes a line that is read for the first time. */
static bool is_in_order(struct file_source *file, struct file_partition *partition,
                        const struct file_line *line, struct tail_place place, struct error *error)
{
    if (file->pipeline && line->offset <= partition->last) {
        error_set(error, ODS_FATAL,
                  "topic %s partition %d: offset %" PRId64 " comes after %" PRId64
                  ": a partition's records must stand in order, each once",
                  partition->topic, (int) partition->number, line->offset, partition->last);
        return false;
    }
    if (file->pipeline)
        file_partition_mark(partition, line->offset, place);
    if (partition->fresh)
        begin(file, partition, line->offset);
    if (line->offset > partition->last)
        partition->last = line->offset;
    file->seen = place.at + 1;
    return true;
}

/* Delivers the line's record, or skips it, or lets it wait. */
static enum step deliver(struct file_source *file, struct file_partition *partition,
                         const struct file_line *line, struct record *record, struct error *error)
{
    if (file->pipeline && line->offset < partition->from) {
        partition->taken = line->offset;
        return STEP_PASSED;
    }
    if (!partition->started) {
        file->holds = partition;
        return STEP_WAITS;
    }
    if (!file_line_record(line, record))
        return no_memory(file, error);
    record->topic = partition->topic;
    partition->taken = line->offset;
    partition->from = partition->delivered = line->offset + 1;
    partition->told_end = false;
    file->ends = 0;
    return STEP_RECORD;
}

static enum step read_line(struct file_source *file, struct slice text, struct tail_place place,
                           struct record *record, struct error *error)
{
    struct file_line line;
    struct file_partition *partition = NULL;
    while (text.length && json_blank(text.bytes[text.length - 1]))
        text.length--;
    if (!text.length)
        return STEP_PASSED;
    arena_reset(&file->arena, KEEP_BYTES);
    enum ods_status status = file_line_read(&line, text, &file->arena, error);
    if (status != ODS_OK)
        return status == ODS_REJECT ? fail(file, STEP_NO_RECORD, record, error)
                                    : no_memory(file, error);
    enum step step = find_partition(file, &line, &partition, record, error);
    if (step != STEP_RECORD)
        return step;
    if (place.at >= file->seen && !is_in_order(file, partition, &line, place, error))
        return fail(file, STEP_FAILED, record, error);
    return deliver(file, partition, &line, record, error);
}

/* --- events --- */

static enum source_event tell(const struct file_partition *partition, enum source_event event,
                              struct record *record)
{
    *record = (struct record){.topic = partition->topic,
                              .partition = partition->number,
                              .offset = partition->last + 1};
    return event;
}

void file_forget_gap(struct file_source *file, struct file_partition *partition)
{
    file->gaps -= partition->gap;
    partition->gap = false;
}

static enum source_event tell_gap(struct file_source *file, struct record *record)
{
    for (size_t i = 0; i < file->partitions.count; i++) {
        struct file_partition *partition = file->partitions.items[i];
        if (!partition->gap)
            continue;
        file_forget_gap(file, partition);
        return tell(partition, SOURCE_GAP, record);
    }
    return SOURCE_NOTHING;
}

/* Reports the end of a partition once everything has been read. When the partition was to start
 * after that end, it is not the same partition as before, unless the next file has the rest. */
static enum source_event tell_end(struct file_source *file, struct record *record)
{
    while (file->ends < file->partitions.count) {
        struct file_partition *partition = file->partitions.items[file->ends++];
        bool beyond = file->pipeline && partition->from > partition->last + 1;
        if (!partition->started || partition->told_end || (beyond && file->tail.count > 1))
            continue;
        partition->told_end = true;
        partition->started = !beyond;
        return tell(partition, beyond ? SOURCE_GAP : SOURCE_END, record);
    }
    return SOURCE_NOTHING;
}

/* Is everything in the file committed? Only then may the file be left. */
static bool is_settled(const struct file_source *file)
{
    for (size_t i = 0; i < file->partitions.count; i++)
        if (file->partitions.items[i]->delivered > file->partitions.items[i]->settled)
            return false;
    return true;
}

static void go_on(struct file_source *file)
{
    log_event(LOG_INFO, LOG_FIELDS(file), "%s: goes on with the file that has this name now, after "
              "%llu lines of the one before it", file->tail.path,
              (unsigned long long) file->tail.line);
    tail_go_on(&file->tail);
    for (size_t i = 0; i < file->partitions.count; i++)
        file_partition_next_file(file->partitions.items[i]);
    file->seen = 0;
    file->ends = 0;
}

static enum source_event refuse(const struct file_source *file, struct error *error)
{
    error_set(error, ODS_FATAL,
              "%s: topic %s partition %d is to be read once more from offset %" PRId64
              " on, and what was read of a pipe is gone: use a file",
              file->tail.name, file->refused->topic, (int) file->refused->number,
              file->refused->from);
    return SOURCE_FAILED;
}

static enum source_event end_of_lines(struct file_source *file, enum tail_answer answer,
                                      struct record *record, struct error *error)
{
    atomic_store(&file->missing, !file->tail.count);
    if (answer == TAIL_FAILED)
        return SOURCE_FAILED;
    if (answer == TAIL_NO_MEMORY)
        return no_memory(file, error) == STEP_FAILED ? SOURCE_FAILED : SOURCE_NOTHING;
    if (answer == TAIL_FILE_ENDS)
        return SOURCE_NOTHING; /* until it is settled */
    enum source_event event = tell_end(file, record);
    if (event == SOURCE_NOTHING && answer == TAIL_ENDS)
        atomic_store(&file->ended, true);
    return event;
}

enum source_event file_next(struct source *source, struct record *record, struct error *error)
{
    struct file_source *file = (struct file_source *) source;
    struct slice text;
    struct tail_place place;
    file->more = false;
    if (!atomic_load_explicit(&file->joined, memory_order_relaxed) || !file->reads)
        return SOURCE_NOTHING;
    if (file->refused)
        return refuse(file, error);
    if (file->gaps)
        return tell_gap(file, record);
    if (file->holds && !file->holds->started)
        return SOURCE_NOTHING;
    file->holds = NULL;
    for (unsigned i = 0; i < TURN_LINES; i++) {
        enum tail_answer answer = tail_peek(&file->tail, &text, &place, error);
        if (answer == TAIL_FILE_ENDS && is_settled(file)) {
            go_on(file);
            continue;
        }
        if (answer != TAIL_LINE)
            return end_of_lines(file, answer, record, error);
        enum step step = read_line(file, text, place, record, error);
        if (step == STEP_WAITS)
            return SOURCE_NOTHING;
        if (step != STEP_FAILED && (step != STEP_NO_RECORD || !file->pipeline))
            tail_take(&file->tail, text);
        if (step != STEP_PASSED)
            return step == STEP_RECORD ? SOURCE_RECORD : SOURCE_FAILED;
    }
    file->more = true;
    return SOURCE_NOTHING;
}
