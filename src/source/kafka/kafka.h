/* Kafka as a source: one group member (a consumer) per lane (struct source_ops kafka_source_ops),
 * and what commands ask of it. Nothing of librdkafka is seen here. */
#ifndef KAFKA_H
#define KAFKA_H

#include <ods/source.h>
#include <ods/status.h>
#include "config/settings.h"

extern const struct source_ops kafka_source_ops;

/* Threads of a consumer that could not be closed still run: what exit() takes down (OpenSSL's
 * tables) they may be using, so the process must end by _exit(). */
bool kafka_left_running(void);

/* For batches of Kafka's records. */
void kafka_release(void *owner);
size_t kafka_headers(const struct record *record, struct header *headers, size_t max);
/* The last header of that name, or NULL. */
const char *kafka_header(const struct record *record, const char *name, size_t *length);

/* How much a lane's consumer keeps of records that nobody has taken yet: what may wait, and one
 * answer that is on its way. */
int64_t kafka_queue_bytes(const struct kafka_settings *kafka);

/* Is the broker reachable, which topics match, is the dead-letter topic there? Changes nothing. */
enum ods_status kafka_check(const struct source_config *config,
                            void (*report)(void *context, const char *line), void *context,
                            struct error *error);

#endif
