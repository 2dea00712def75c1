/* Kafka for commands: reads and asks without joining a group. One thread; each call waits for its
 * answer, with a time limit. */
#ifndef KAFKA_TOOL_H
#define KAFKA_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/source.h>
#include <ods/status.h>
#include "config/settings.h"

struct kafka_tool;

/* `group`: whose offsets and members are asked for. ODS_FATAL: the configuration does not do. */
enum ods_status kafka_tool_open(struct kafka_tool **tool, const struct settings *settings,
                                const char *group, struct error *error);
/* The same for many short readings: a broker with nothing more answers at once. Not for
 * following. */
enum ods_status kafka_tool_open_quick(struct kafka_tool **tool, const struct settings *settings,
                                      const char *group, struct error *error);
void kafka_tool_close(struct kafka_tool *tool); /* NULL is fine */

/* How many partitions a topic has; 0 when it is not there. */
enum ods_status kafka_tool_partitions(struct kafka_tool *tool, const char *topic, int32_t *count,
                                      struct error *error);

/* The partition to which the producers of Java's clients (and so Kafka Connect) send a record with
 * this key, unless they are told otherwise. */
int32_t kafka_partition_of(const char *key, size_t length, int32_t partitions);

/* Owns the record's owner, which kafka_release() frees, and answers false to end the reading. */
typedef bool kafka_tool_take(void *context, const struct record *record);

/* Every record that the topic holds now, aborted ones excepted, each partition in order from
 * froms[partition] on (NULL: from its beginning). */
enum ods_status kafka_tool_read(struct kafka_tool *tool, const char *topic, const int64_t *froms,
                                kafka_tool_take *take, void *context, struct error *error);

/* A part of a partition: [from, upto). */
struct kafka_span {
    int32_t partition;
    int64_t from, upto;
};

/* The records of these parts that are there, each part in order. An offset that is gone, or is no
 * record, is passed over. `interrupted` (may be NULL) is asked several times a second. */
enum ods_status kafka_tool_read_spans(struct kafka_tool *tool, const char *topic,
                                      const struct kafka_span *spans, size_t count,
                                      kafka_tool_take *take, bool (*interrupted)(void),
                                      void *context, struct error *error);

/* The tool as a reader, which is the tool's. */
struct topic_reader *kafka_tool_reader(struct kafka_tool *tool);

/* Every topic that the pipeline reads, and how many partitions it has. */
enum ods_status kafka_tool_topics(struct kafka_tool *tool, const struct pipeline_settings *pipeline,
                                  void (*take)(void *context, const char *topic,
                                               int32_t partitions),
                                  void *context, struct error *error);

/* First and next-to-be-written offset. */
enum ods_status kafka_tool_ends(struct kafka_tool *tool, const char *topic, int32_t partition,
                                int64_t *low, int64_t *high, struct error *error);
/* The first offset whose record is not older than the time; -1 when there is none. */
enum ods_status kafka_tool_offset_at(struct kafka_tool *tool, const char *topic, int32_t partition,
                                     int64_t time_ms, int64_t *offset, struct error *error);

/* How many members the group has, and who the first of them is. */
enum ods_status kafka_tool_members(struct kafka_tool *tool, int *count, char *first, size_t size,
                                   struct error *error);
/* The group's committed offsets, as source_ops.acked. */
enum ods_status kafka_tool_acked(struct kafka_tool *tool, struct place *places, size_t count,
                                 struct error *error);
/* The group's committed offsets become these, each with `first`; the group must have no members. */
enum ods_status kafka_tool_commit(struct kafka_tool *tool, const struct place *places, size_t count,
                                  struct error *error);

#endif
