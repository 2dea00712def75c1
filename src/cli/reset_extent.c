/* See reset_extent.h. */
#include "cli/reset_extent.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/exit.h"
#include "pipeline/recording.h"

static int refuse_partition(const struct extent_query *query, int32_t partitions,
                            struct error *error)
{
    error_set(error, ODS_FATAL, "topic %s has %d partitions%s", query->topic, (int) partitions,
              partitions ? ", counted from 0" : ": it is not there");
    return CLI_USAGE;
}

/* --- Kafka ------------------------------------------------------------------------------------ */

static int ask_kafka(struct kafka_tool *tool, const struct extent_query *query,
                     struct extent *extent, struct error *error)
{
    if (kafka_tool_ends(tool, query->topic, extent->partition, &extent->low, &extent->high,
                        error) != ODS_OK)
        return CLI_SOURCE;
    extent->at = extent->high;
    if (query->time_ms == EXTENT_NO_TIME)
        return CLI_OK;
    int64_t at;
    if (kafka_tool_offset_at(tool, query->topic, extent->partition, query->time_ms, &at, error) !=
        ODS_OK)
        return CLI_SOURCE;
    extent->at = at < 0 ? extent->high : at; /* nothing is as new as that */
    return CLI_OK;
}

int extents_of_kafka(struct kafka_tool *tool, const struct extent_query *query,
                     struct extent **extents, size_t *count, struct error *error)
{
    int32_t partitions;
    if (kafka_tool_partitions(tool, query->topic, &partitions, error) != ODS_OK)
        return CLI_SOURCE;
    if (query->partition >= partitions || !partitions)
        return refuse_partition(query, partitions, error);
    bool all = query->partition < 0;
    *count = all ? (size_t) partitions : 1;
    *extents = calloc(*count, sizeof **extents);
    int code = *extents ? CLI_OK : CLI_INTERNAL;
    if (code != CLI_OK)
        error_out_of_memory(error);
    for (size_t i = 0; code == CLI_OK && i < *count; i++) {
        (*extents)[i].partition = all ? (int32_t) i : query->partition;
        code = ask_kafka(tool, query, &(*extents)[i], error);
    }
    return code;
}

/* --- a file ----------------------------------------------------------------------------------- */

struct reading_file {
    const struct extent_query *query; /* NULL: every topic of the pipeline is taken */
    const struct pipeline_settings *pipeline;
    bool (*take)(void *context, const char *topic);
    void *context;
    struct extent *items;
    size_t count, capacity;
    struct error *error;
};

static struct extent *find(struct reading_file *reading, const struct record *record)
{
    for (size_t i = 0; i < reading->count; i++)
        if (reading->items[i].partition == record->partition)
            return &reading->items[i];
    if (reading->count == reading->capacity) {
        size_t larger = reading->capacity ? reading->capacity * 2 : 16;
        struct extent *moved = realloc(reading->items, larger * sizeof *moved);
        if (!moved)
            return NULL;
        reading->items = moved;
        reading->capacity = larger;
    }
    struct extent *extent = &reading->items[reading->count++];
    *extent = (struct extent){.partition = record->partition, .low = record->offset, .at = -1};
    return extent;
}

static bool take(struct reading_file *reading, const struct record *record)
{
    const struct extent_query *query = reading->query;
    assert(query || reading->take);
    if (!query)
        return !pipeline_reads(reading->pipeline, record->topic) ||
               reading->take(reading->context, record->topic);
    if (strcmp(record->topic, query->topic) != 0 ||
        (query->partition >= 0 && query->partition != record->partition))
        return true;
    struct extent *extent = find(reading, record);
    if (!extent)
        return false;
    extent->high = record->offset + 1;
    if (extent->at < 0 && query->time_ms != EXTENT_NO_TIME &&
        record->timestamp_ms >= query->time_ms)
        extent->at = record->offset;
    return true;
}

static int read_file(struct reading_file *reading, const char *path)
{
    struct recording *recording = NULL;
    struct batch *batch = batch_new();
    bool end = false;
    int code = batch ? CLI_OK : CLI_INTERNAL;
    if (!batch)
        error_out_of_memory(reading->error);
    if (code == CLI_OK && recording_open(&recording, path, reading->error) != ODS_OK)
        code = CLI_SOURCE;
    while (code == CLI_OK && !end) {
        batch_reset(batch);
        if (recording_read(recording, batch, &end, reading->error) != ODS_OK)
            code = CLI_SOURCE;
        else if (!end && !take(reading, &batch->records[0])) {
            error_out_of_memory(reading->error);
            code = CLI_INTERNAL;
        }
    }
    batch_free(batch);
    recording_close(recording);
    return code;
}

static const char *setting_named(const struct pipeline_settings *pipeline, const char *name)
{
    SETTINGS_EACH(row, source_find(pipeline->input.type)->settings)
    {
        if (strcmp(row->name, name) == 0)
            return *(const char *const *) ((const char *) pipeline->input.own + row->offset);
    }
    return "";
}

const char *path_of_file(const struct pipeline_settings *pipeline)
{
    return setting_named(pipeline, "path");
}

static int read_files(struct reading_file *reading, const struct pipeline_settings *pipeline)
{
    const char *rotated = setting_named(pipeline, "rotated");
    int code = CLI_OK;
    if (*rotated && access(rotated, F_OK) == 0)
        code = read_file(reading, rotated);
    return code == CLI_OK ? read_file(reading, path_of_file(pipeline)) : code;
}

int topics_of_file(const struct pipeline_settings *pipeline,
                   bool (*take_topic)(void *context, const char *topic), void *context,
                   struct error *error)
{
    struct reading_file reading = {
        .pipeline = pipeline, .take = take_topic, .context = context, .error = error};
    return read_files(&reading, pipeline);
}

static int compare(const void *a, const void *b)
{
    const struct extent *one = a, *other = b;
    return one->partition < other->partition ? -1 : one->partition > other->partition;
}

int extents_of_file(const struct pipeline_settings *pipeline, const struct extent_query *query,
                    struct extent **extents, size_t *count, struct error *error)
{
    struct reading_file reading = {.query = query, .error = error};
    int code = read_files(&reading, pipeline);
    for (size_t i = 0; i < reading.count; i++)
        if (reading.items[i].at < 0)
            reading.items[i].at = reading.items[i].high;
    if (code == CLI_OK && !reading.count) {
        error_set(error, ODS_FATAL, "the file %s has no record of topic %s%s",
                  path_of_file(pipeline), query->topic,
                  query->partition < 0 ? "" : " in this partition");
        code = CLI_USAGE;
    }
    if (reading.count)
        qsort(reading.items, reading.count, sizeof *reading.items, compare);
    *extents = reading.items;
    *count = reading.count;
    return code;
}

/* --- numbers of the other end ----------------------------------------------------------------- */

int extents_of_numbers(const struct pipeline_settings *pipeline, const struct extent_query *query,
                       struct extent **extents, size_t *count, struct error *error)
{
    if (query->partition > 0)
        return refuse_partition(query, 1, error);
    *extents = calloc(1, sizeof **extents);
    *count = 1;
    if (!*extents) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    **extents = (struct extent){.high = INT64_MAX};
    return CLI_OK;
}
