/* A consumer that never subscribes, for commands: what kafka_tool.h and kafka_admin.h share. */
#ifndef KAFKA_ASKER_H
#define KAFKA_ASKER_H

#include <librdkafka/rdkafka.h>

#include <ods/status.h>
#include "config/settings.h"

struct kafka_asker {
    rd_kafka_t *rk;
    const char *servers; /* for messages */
    int answer_ms;       /* how long an answer may take: ten seconds at first */
};

/* `defaults` (may be NULL) as for kafka_conf(); fetch_bytes: how much one fetch may bring, NULL: as
 * the settings say. ODS_FATAL: the configuration does not do. */
enum ods_status kafka_asker_init(struct kafka_asker *asker, const struct settings *settings,
                                 const char *group, const char *const *defaults,
                                 const char *fetch_bytes, struct error *error);
void kafka_asker_done(struct kafka_asker *asker);

/* ODS_RETRY, with "Kafka at …: <question>: <reason>". */
enum ods_status kafka_asker_failed(const struct kafka_asker *asker, const char *question,
                                   const char *reason, struct error *error);

/* Every topic of the cluster, and how many brokers it has (may be NULL). It asks for all: to ask
 * for one by name may create it. */
enum ods_status kafka_asker_topics(const struct kafka_asker *asker,
                                   void (*take)(void *context, const char *topic,
                                                int32_t partitions),
                                   void *context, int *brokers, struct error *error);

/* rd_kafka_offsets_for_times(), asked again, for as long as an answer may take, while the leader of
 * a partition is being chosen. Errors of single partitions that stay are left in the list. */
rd_kafka_resp_err_t kafka_asker_offsets(const struct kafka_asker *asker,
                                        rd_kafka_topic_partition_list_t *list);

#endif
