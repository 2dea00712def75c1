/* What the files of a group member share: kafka.c (its life, what it delivers), kafka_join.c (into
 * the group and out of it), kafka_places.c (what it is told and asked by place). Nobody else
 * includes it. */
#ifndef KAFKA_MEMBER_H
#define KAFKA_MEMBER_H

#include <stdatomic.h>

#include <librdkafka/rdkafka.h>

#include "core/rare.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_statistics.h"
#include "source/kafka/kafka_topics.h"
#include "source/kafka/kafka_workarounds.h"

struct kafka_source {
    struct source base;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *commits; /* answers to those that nobody waits for */
    bool commit_out;           /* one is not answered yet */
    struct source_events events;
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    size_t index;
    char lane[24];
    int wake_fd;
    struct kafka_nudge nudge;
    struct kafka_topics *topics;
    rd_kafka_topic_partition_list_t *subscribed; /* NULL: none yet */
    int64_t look_us;                             /* between two looks for topics */
    int64_t giving_until_us;                     /* partitions are being taken away */
    int partitions;     /* of the topics subscribed to, as of the last look; 0: not known */
    int listed;         /* the same, but also none, where topics are gone */
    int assigned;       /* how many of them it has */
    int unshared;       /* looks that found partitions which no member has, one after the other */
    int64_t next_share_us; /* when it is looked for such; 0: it has partitions */
    int tell_again;     /* so often the subscription is to be given once more */
    bool may_join;      /* kafka_join() was called */
    bool was_assigned;  /* at least once */
    bool is_static;     /* group.instance.id is set */
    bool closing;       /* kafka_leave() has come to the consumer itself */
    char cluster[CLUSTER_BYTES]; /* its id, as of the last look; "": not known */
    bool cluster_in_doubt;       /* a connection broke: what answers now may be another one */
    bool must_leak; /* left without ever having been assigned anything, or another cluster has come
                       under the same name: not closed */
    atomic_bool joined, away, without_topics;
    struct kafka_statistics statistics;
    struct rare trouble, missing_topic;
    atomic_bool in_doubt; /* a connection broke: are there brokers at all? */
    int64_t next_probe_us, next_look_us, next_prod_us;
    atomic_int_fast64_t joining_us; /* wall clock: since when its group owes it an answer; 0: it
                                       does not */
    _Atomic(const char *) hindrance; /* what most likely keeps the answer back; NULL: not known */
    struct rare unsettled;
};

#define LOG_FIELDS(source)                                                                         \
    ((const char *const[]){"pipeline", (source)->pipeline->name, "lane", (source)->lane, NULL})

/* kafka.c: partitions that can't be sought are assigned anew, and paused. */
void kafka_assign_again(struct kafka_source *source, rd_kafka_topic_partition_list_t *partitions);

/* Anew, for so many partitions; before it has subscribed to anything. False: the error is set, and
 * the client is the old one. */
bool kafka_fit(struct kafka_source *source, int partitions, struct error *error);

/* kafka_join.c */
void kafka_join(struct source *source);
void kafka_leave(struct source *source);
bool kafka_is_member(const struct kafka_source *source);
/* Its group is to answer, from now on; it has answered. */
void kafka_is_joining(struct kafka_source *source);
void kafka_has_joined(struct kafka_source *source);
void kafka_watch_joining(struct kafka_source *source); /* says it when that takes long */
void kafka_look_for_topics(struct kafka_source *source, int64_t now_us);
void kafka_join_anew(struct kafka_source *source); /* while it has no partition */

/* kafka_shares.c: joins anew where the group has left partitions out; while there are none, it asks
 * once a minute, for two seconds at most. */
void kafka_watch_shares(struct kafka_source *source, int64_t now_us);

/* kafka_places.c; those of struct source_ops */
void kafka_pause(struct source *source, const struct place *places, size_t count);
enum ods_status kafka_start(struct source *source, struct place *places, size_t count,
                            struct error *error);
void kafka_ack(struct source *source, const struct place *places, size_t count, int wait_ms);
enum ods_status kafka_acked(struct source *source, struct place *places, size_t count,
                            struct error *error);
enum ods_status kafka_ends(struct source *source, const char *topic, int32_t partition,
                           int64_t *low, int64_t *high, struct error *error);
enum ods_status kafka_offsets_at(struct source *source, struct place *places, size_t count,
                                 struct error *error);
enum ods_status kafka_partitions(struct source *source, const char *topic, int32_t *count,
                                 struct error *error);
int64_t kafka_known_end(struct source *source, const char *topic, int32_t partition);
void kafka_cluster(struct source *source, char name[CLUSTER_BYTES]);
void kafka_take_commits(struct kafka_source *source); /* answers that have come */

/* kafka_membership.c */
enum ods_status kafka_membership(struct source *source, struct buffer *out, struct error *error);

#endif
