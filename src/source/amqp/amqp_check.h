/* Is what the configuration names there, and what does the broker offer? */
#ifndef AMQP_CHECK_H
#define AMQP_CHECK_H

#include <proton/connection.h>

#include <ods/source.h>

/* What two settings say together, before anything is opened. */
enum ods_status amqp_check_settings(const struct source_config *config, struct error *error);

/* What of them is hardly meant: messages without a key, or without an identity. */
bool amqp_doubts_settings(const struct source_config *config, struct error *why);

/* Connects, attaches to each queue without taking anything, and says what it finds. */
enum ods_status amqp_check(const struct source_config *config,
                           void (*report)(void *context, const char *line), void *context,
                           struct error *error);

/* "product version" of a broker that says so, else "". */
void amqp_check_product(pn_connection_t *connection, char *text, size_t size);

#endif
