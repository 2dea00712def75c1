/* Sends messages to an address of a broker and waits until each is accepted. One thread, which
 * waits; amqp_sender_interrupt() alone is for any. */
#ifndef AMQP_SENDER_H
#define AMQP_SENDER_H

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct amqp_sender;

/* What is sent; built part by part, in this order. */
struct amqp_draft {
    struct buffer properties, bytes;
    uint32_t count;
};

void amqp_draft_init(struct amqp_draft *draft);
void amqp_draft_done(struct amqp_draft *draft);
void amqp_draft_reset(struct amqp_draft *draft);
/* An application property, as text; value NULL: a null. */
void amqp_draft_property(struct amqp_draft *draft, const char *name, const char *value,
                         size_t length);
/* The whole message: durable, with the properties up to now; body NULL: none. False: memory is out.
 */
bool amqp_draft_end(struct amqp_draft *draft, const char *id, const char *body, size_t length);

/* Does not connect; all strings outlive it. NULL: memory is out. */
struct amqp_sender *amqp_sender_new(const struct broker_settings *broker, const char *address,
                                    const char *container);
void amqp_sender_free(struct amqp_sender *sender); /* NULL is fine */

/* Sends a message; what: whose it is. ODS_RETRY: it can't be sent now. */
enum ods_status amqp_sender_send(struct amqp_sender *sender, const struct amqp_draft *draft,
                                 bool *delivered, struct error *error);
/* Waits for what was sent: *delivered of each that the broker accepted is true then. ODS_RETRY: not
 * all were; the connection is closed, so that nothing is on its way any more. */
enum ods_status amqp_sender_wait(struct amqp_sender *sender, struct error *error);
void amqp_sender_interrupt(struct amqp_sender *sender, bool interrupted);

#endif
