/* Configurations of Kafka clients, for consumers, dead letters and checks. */
#ifndef KAFKA_CONF_H
#define KAFKA_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include <ods/status.h>
#include "config/settings.h"

/* A client configuration with the user's properties and then `owned` (name and value in turn,
 * NULL-terminated), which the user can't change. NULL with the error filled. */
rd_kafka_conf_t *kafka_conf(const struct kafka_settings *kafka, const char *const *defaults,
                            const char *const *owned, struct error *error);

/* rd_kafka_new(), with tokens that are asked for where the configuration says so. */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t size);

/* `partitions`, here and below: so many has the whole group to share; 0: it is not known yet. */

/* Are they so many that a client is to be made for them? */
bool kafka_are_many(int partitions);
/* Time between two looks for topics; not above 0: once there are some, no more. */
int64_t kafka_look_ms(const struct kafka_settings *kafka, int partitions);
/* So long a member may be silent. */
int64_t kafka_session_ms(const struct kafka_settings *kafka, int partitions);

/* For lane number `lane` of the pipeline. NULL with the error filled. */
rd_kafka_conf_t *kafka_consumer_conf(const struct settings *settings,
                                     const struct pipeline_settings *pipeline, size_t lane,
                                     int partitions, struct error *error);

#endif
