/* Kafka as a source: one group member (a consumer) per lane, and what every Kafka client of the
 * daemon shares. Entered by the lane's consumer thread only, unless said otherwise. */
#ifndef KAFKA_H
#define KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include <ods/batch.h>
#include <ods/status.h>
#include "config/settings.h"

/* Messages that repeat for as long as an outage lasts: once at first, then once a minute. */
struct rare {
    int64_t next_us;
    uint64_t held_back;
};
bool rare_due(struct rare *rare, uint64_t *held_back);

struct kafka_events {
    /* Partitions come. The source has them paused; they deliver after kafka_start_partitions(). */
    void (*assigned)(void *context, const rd_kafka_topic_partition_list_t *partitions);
    /* Partitions go, at the latest when this returns. Lost: another member may have them already.
     */
    void (*revoked)(void *context, const rd_kafka_topic_partition_list_t *partitions, bool lost);
    /* The group has taken these offsets; an entry whose err is set it has not. */
    void (*committed)(void *context, const rd_kafka_topic_partition_list_t *offsets);
    void *context;
};

struct kafka_source;

/* wake_fd is an eventfd that is written to when something waits in the consumer's queue. ODS_FATAL:
 * the configuration does not do. Does not wait for the brokers. */
enum ods_status kafka_open(struct kafka_source **source, const struct settings *settings,
                           const struct pipeline_settings *pipeline, size_t lane, int wake_fd,
                           const struct kafka_events *events, struct error *error);
/* Once, at any time later: become a member of the group, as soon as there are topics. */
void kafka_join(struct kafka_source *source);
/* Leave the group: `revoked` is called for what is still assigned. */
void kafka_leave(struct kafka_source *source);
void kafka_close(struct kafka_source *source); /* NULL is fine; all messages must be gone */

/* Threads of a consumer that could not be closed still run: what exit() takes down (OpenSSL's
 * tables) they may be using, so the process must end by _exit(). */
bool kafka_left_running(void);

/* The next message or NULL, without waiting. Serves events. A message may carry an error
 * (message->err): see kafka_classify(). Freed by rd_kafka_message_destroy(). */
rd_kafka_message_t *kafka_poll(struct kafka_source *source);

/* Before waiting or pausing: makes librdkafka fetch again although its queue was full. */
void kafka_keep_fetching(struct kafka_source *source);

/* No wait may be longer before kafka_keep_fetching() is called again. */
int64_t kafka_patience_ms(const struct kafka_source *source);

void kafka_pause(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions);
/* Seek to each entry's offset (absolute or RD_KAFKA_OFFSET_BEGINNING) and deliver from there. An
 * entry that could not be has its err set. */
enum ods_status kafka_start_partitions(struct kafka_source *source,
                                       rd_kafka_topic_partition_list_t *partitions,
                                       struct error *error);
/* The group's committed offsets, into each entry's offset (RD_KAFKA_OFFSET_INVALID: none). */
enum ods_status kafka_committed(struct kafka_source *source,
                                rd_kafka_topic_partition_list_t *partitions, struct error *error);
/* First and next-to-be-written offset, asked from the broker. */
enum ods_status kafka_watermarks(struct kafka_source *source, const char *topic, int32_t partition,
                                 int64_t *low, int64_t *high, struct error *error);
/* The first offset whose record is not older than the time in milliseconds that stands in the
 * entry's offset, into that offset; below 0 when there is none. An entry that could not be asked for
 * has its err set. */
enum ods_status kafka_offsets_at(struct kafka_source *source,
                                 rd_kafka_topic_partition_list_t *partitions, struct error *error);
/* How many partitions the topic has, asked from the broker. Any thread. */
enum ods_status kafka_partitions(struct kafka_source *source, const char *topic, int32_t *count,
                                 struct error *error);
/* What the last fetch said; -1 when nothing was fetched yet. */
int64_t kafka_known_high(struct kafka_source *source, const char *topic, int32_t partition);
/* Commit to the group. wait_ms 0: sent, not waited for, and not sent while an earlier one is not
 * answered yet. What has been taken `committed` tells, here or in kafka_take_commits(); a failure is
 * only worth a debug line. Nothing is sent once kafka_leave() closes the consumer. */
void kafka_commit(struct kafka_source *source, const rd_kafka_topic_partition_list_t *offsets,
                  int wait_ms);
/* Answers that have come; without waiting. */
void kafka_take_commits(struct kafka_source *source);

/* What the source is, for readiness and status. Any thread. */
bool kafka_joined(const struct kafka_source *source);
bool kafka_without_topics(const struct kafka_source *source); /* Kafka answers, no topic matches */
bool kafka_away(const struct kafka_source *source);
/* In every turn of the consumer thread, several times a second: keeps heartbeats in time. */
void kafka_prod(struct kafka_source *source);
/* At most once a second from the consumer thread: membership, and whether a lost Kafka is back. */
void kafka_housekeep(struct kafka_source *source);

/* ODS_OK: passing trouble that librdkafka goes on with, logged rarely. ODS_FATAL: error is filled.
 */
enum ods_status kafka_classify(struct kafka_source *source, const rd_kafka_message_t *message,
                               struct error *error);

/* For batches of Kafka messages. */
void kafka_release(void *owner);
size_t kafka_headers(const struct record *record, struct header *headers, size_t max);

/* How much a lane's consumer keeps of records that nobody has taken yet: what may wait, and one
 * answer that is on its way. */
int64_t kafka_queue_bytes(const struct kafka_settings *kafka);

/* Is the topic one of the pipeline's, by name or pattern? For replay and check. A pattern that does not compile matches nothing: the configuration refuses it. */
bool kafka_topic_matches(const struct pipeline_settings *pipeline, const char *topic);

/* Is the broker reachable, which topics match, is the dead-letter topic there? Changes nothing. */
enum ods_status kafka_check(const struct settings *settings,
                            const struct pipeline_settings *pipeline,
                            void (*report)(void *context, const char *line), void *context,
                            struct error *error);

#endif
