/* Which offsets the partitions of a topic have, asked of the pipeline's source. */
#ifndef RESET_EXTENT_H
#define RESET_EXTENT_H

#include <ods/pipeline.h>
#include <ods/source.h>
#include "source/kafka/kafka_tool.h"

#define EXTENT_NO_TIME INT64_MIN

struct extent {
    int32_t partition;
    int64_t low, high; /* [low, high) */
    int64_t at;        /* the first that is not older than the time; `high` if none is */
};

struct extent_query {
    const char *topic;
    int32_t partition; /* -1: all */
    int64_t time_ms;   /* EXTENT_NO_TIME: nobody asks */
};

/* *extents is on the heap, ascending by partition. A cli_exit. */
int extents_of_kafka(struct kafka_tool *tool, const struct extent_query *query,
                     struct extent **extents, size_t *count, struct error *error);
/* The same for a file, which is read together with the one that was rotated. */
int extents_of_file(const struct pipeline_settings *pipeline, const struct extent_query *query,
                    struct extent **extents, size_t *count, struct error *error);
/* The topics of the pipeline whose records stand in its file. `take` gets one as often as it has
 * records, and answers false: out of memory. */
int topics_of_file(const struct pipeline_settings *pipeline,
                   bool (*take)(void *context, const char *topic), void *context,
                   struct error *error);
const char *path_of_file(const struct pipeline_settings *pipeline);
/* The same for a source whose other end numbers the records: one partition, its end not known. */
int extents_of_numbers(const struct pipeline_settings *pipeline, const struct extent_query *query,
                       struct extent **extents, size_t *count, struct error *error);

#endif
