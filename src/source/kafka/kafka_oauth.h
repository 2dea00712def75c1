/* Tokens for SASL/OAUTHBEARER by client credentials (OpenID Connect), under the names that
 * librdkafka has for it: not every build of it can, and Debian's can't. */
#ifndef KAFKA_OAUTH_H
#define KAFKA_OAUTH_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include <ods/status.h>
#include "config/settings.h"

/* Whether a property is one that kafka_oauth_conf() takes in librdkafka's place. */
bool kafka_oauth_takes(const struct kafka_settings *kafka, const char *property);

/* Has `conf` ask for tokens where the properties say so. The settings outlive the client. */
enum ods_status kafka_oauth_conf(const struct kafka_settings *kafka, rd_kafka_conf_t *conf,
                                 struct error *error);

/* Has librdkafka's own thread ask, so that who uses the client needs not poll for it. */
void kafka_oauth_begin(rd_kafka_t *rk);

#endif
