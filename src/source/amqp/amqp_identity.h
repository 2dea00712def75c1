/* By what a message is known when it is delivered again. */
#ifndef AMQP_IDENTITY_H
#define AMQP_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#define AMQP_IDENTITY_BYTES 64

/* From the contents of a Debezium envelope: a digest of its source block (the position in the
 * source's log, the table), operation and images, so that a record which was sent twice has the
 * same. False: it has no source block, so that two equal records need not be one change; or memory
 * is out. */
bool amqp_identity_of_content(const char *value, size_t length, char identity[AMQP_IDENTITY_BYTES]);

#endif
