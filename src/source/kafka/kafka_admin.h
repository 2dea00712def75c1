/* What commands ask of a cluster as a whole, and have it do: topics, where many partitions stand,
 * topics' settings. One thread; each call waits for its answer, with a time limit. */
#ifndef KAFKA_ADMIN_H
#define KAFKA_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/status.h>
#include "config/settings.h"

struct kafka_admin;

/* `group`: whose committed offsets are asked for. ODS_FATAL: the configuration does not do. */
enum ods_status kafka_admin_open(struct kafka_admin **admin, const struct settings *settings,
                                 const char *group, struct error *error);
void kafka_admin_close(struct kafka_admin *admin); /* NULL is fine */

/* How long an answer may take, ten seconds unless it is said. */
void kafka_admin_patience(struct kafka_admin *admin, int answer_ms);

/* Every topic of the cluster, and how many brokers it has (may be NULL). */
enum ods_status kafka_admin_topics(struct kafka_admin *admin,
                                   void (*take)(void *context, const char *topic,
                                                int32_t partitions),
                                   void *context, int *brokers, struct error *error);

/* Where a partition begins and ends, and what the group has committed. */
struct kafka_extent {
    const char *topic;
    int32_t partition;
    int64_t low, high; /* first and next-to-be-written offset; -1: the brokers do not say */
    int64_t committed; /* -1: none */
};
enum ods_status kafka_admin_extents(struct kafka_admin *admin, struct kafka_extent *extents,
                                    size_t count, struct error *error);

/* When a record was written. */
struct kafka_moment {
    const char *topic;
    int32_t partition;
    int64_t offset;  /* of this record, or the next one that there is */
    int64_t time_ms; /* -1: there is none, or it has no time */
};
enum ods_status kafka_admin_moments(struct kafka_admin *admin, struct kafka_moment *moments,
                                    size_t count, struct error *error);

/* One setting of a topic as it holds, at most `size` bytes of it; "": it has none of that name, or
 * there is no such topic. */
enum ods_status kafka_admin_setting(struct kafka_admin *admin, const char *topic, const char *name,
                                    char *value, size_t size, struct error *error);

/* The same of the brokers as a whole: of the one that leads them. */
enum ods_status kafka_admin_broker_setting(struct kafka_admin *admin, const char *name, char *value,
                                           size_t size, struct error *error);

/* The cluster's own name; "": the brokers do not tell it. */
enum ods_status kafka_admin_cluster(struct kafka_admin *admin, char *id, size_t size,
                                    struct error *error);

/* What the brokers say of one topic: its partitions, or -1 where it is not there. ODS_FATAL: it may
 * not be described. */
enum ods_status kafka_admin_topic(struct kafka_admin *admin, const char *topic, int32_t *partitions,
                                  struct error *error);

/* Make a topic; one that is there stays as it is. replicas -1: the brokers' default. Settings are
 * names and values in turn, NULL-terminated. */
enum ods_status kafka_admin_create(struct kafka_admin *admin, const char *topic,
                                   int32_t partitions, int replicas, const char *const *settings,
                                   struct error *error);
/* Could it be made? Changes nothing. */
enum ods_status kafka_admin_may_create(struct kafka_admin *admin, const char *topic,
                                       int32_t partitions, int replicas,
                                       const char *const *settings, struct error *error);

/* Delete a topic, or a consumer group without members; one that is not there is fine. */
enum ods_status kafka_admin_delete_topic(struct kafka_admin *admin, const char *topic,
                                         struct error *error);
enum ods_status kafka_admin_delete_group(struct kafka_admin *admin, const char *group,
                                         struct error *error);

#endif
