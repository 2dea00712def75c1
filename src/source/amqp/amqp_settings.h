/* Settings of the source `amqp`, beside `type` in a pipeline's `input`. */
#ifndef AMQP_SETTINGS_H
#define AMQP_SETTINGS_H

#include <ods/setting.h>

/* How the message of a dead letter is settled. */
enum amqp_letters { AMQP_REJECTED, AMQP_MODIFIED, AMQP_ACCEPTED };

/* Who reads a queue: a lane of one process, or several processes whose changes the target puts in
 * order. */
enum amqp_consumers { AMQP_ONE, AMQP_MERGED };

struct amqp_settings {
    const char *broker;
    const char *address, *subscription;
    const char *identity, *key;
    enum amqp_letters letters;
    enum amqp_consumers consumers;
    int64_t credit, prefetch_bytes, max_message_bytes;
};

extern const struct setting_group amqp_settings_group;

#endif
