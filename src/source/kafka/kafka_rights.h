/* Which rights the user lacks in Kafka to read a pipeline's topics, as far as brokers tell of them
 * to who only looks. */
#ifndef KAFKA_RIGHTS_H
#define KAFKA_RIGHTS_H

#include <librdkafka/rdkafka.h>

#include <ods/status.h>
#include "config/settings.h"

/* `rk`: a consumer of the pipeline's group that tells of ends of partitions; `metadata`: of all
 * topics that the user may see. The first right that lacks is the error, any other one a line, as
 * is one that the pipeline can do without. Commits nothing. */
enum ods_status kafka_rights_check(rd_kafka_t *rk, const struct settings *settings,
                                   const struct pipeline_settings *pipeline,
                                   const struct rd_kafka_metadata *metadata,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error);

#endif
