/* An AMQP 1.0 message: what its sections say, by pointers into its bytes. */
#ifndef AMQP_MESSAGE_H
#define AMQP_MESSAGE_H

#include "source/amqp/amqp_type.h"

struct amqp_message {
    uint32_t deliveries; /* that failed before, as the broker counts them */
    /* Of the properties; AMQP_NULL where it has none. */
    struct amqp_value message_id, correlation_id, subject, group_id, content_encoding, created;
    struct amqp_value annotations, properties; /* maps: the broker's, and the application's */
    struct amqp_bytes body;                    /* `at` is NULL: a message without body */
    const char *refusal; /* why the body is no record's; it is then as it was encoded. NULL: it is
                            one's. static */
};

/* Reads a whole message. Where the body is in several pieces they are put together in its bytes.
 * False: it is malformed; then the message has what stands before. */
bool amqp_message_read(struct amqp_message *message, char *bytes, size_t length);

/* Where a message has something: "message-id", "correlation-id", "subject", "group-id",
 * "property:NAME" or "annotation:NAME". False: the name is none of these. */
bool amqp_place_is_good(const char *place);
/* What the message has there. False: nothing. */
bool amqp_message_find(const struct amqp_message *message, const char *place,
                       struct amqp_value *value);

#endif
