/* Which topics a pipeline reads: names, and patterns that begin with ^ (POSIX extended regular
 * expressions), less those that are kept out. */
#ifndef KAFKA_TOPICS_H
#define KAFKA_TOPICS_H

#include <librdkafka/rdkafka.h>

#include "config/settings.h"

struct kafka_topics;

/* NULL: out of memory. */
struct kafka_topics *kafka_topics_new(const struct settings *settings,
                                      const struct pipeline_settings *pipeline);
void kafka_topics_free(struct kafka_topics *topics); /* NULL is fine */

bool kafka_topics_match(const struct kafka_topics *topics, const char *topic);

/* Those that the brokers have now, and of `known` (sorted, may be NULL) those that are there in
 * whatever condition. The caller's to destroy; NULL: no answer within timeout_ms. *partitions: how
 * many the known ones have, without `known` those that were found; 0: it is not told. */
rd_kafka_topic_partition_list_t *kafka_topics_look(const struct kafka_topics *topics,
                                                   rd_kafka_t *rk,
                                                   rd_kafka_topic_partition_list_t *known,
                                                   int *partitions, int timeout_ms);

/* The next name among the settings, from *at on, that is not in the sorted list; NULL: no more. */
const char *kafka_topics_missing(const struct kafka_topics *topics,
                                 rd_kafka_topic_partition_list_t *list, size_t *at);

#endif
