/* How we say to a broker who we are: SCRAM, PLAIN, EXTERNAL or ANONYMOUS (RFC 5802, 4616, 4422,
 * 4505). The library's own part has no SCRAM. */
#ifndef AMQP_SASL_H
#define AMQP_SASL_H

#include <proton/transport.h>

#include <ods/buffer.h>
#include "config/settings.h"

struct amqp_sasl {
    const struct broker_settings *broker;
    const struct amqp_mechanism *mechanism; /* NULL: none is chosen */
    struct buffer out;                      /* what is sent; lives until the next step */
    struct buffer first, reply;             /* of SCRAM: our first message and the server's */
    char nonce[33];
    unsigned char proof_key[64]; /* of SCRAM: what proves that the server knows the password */
    bool proven;
    char offered[256]; /* the broker's mechanisms */
    const char *problem;
};

void amqp_sasl_init(struct amqp_sasl *sasl, const struct broker_settings *broker);
void amqp_sasl_done(struct amqp_sasl *sasl);
/* For a connection that begins. */
void amqp_sasl_use(struct amqp_sasl *sasl, pn_transport_t *transport);
const char *amqp_sasl_name(const struct amqp_sasl *sasl); /* of the chosen mechanism, or "" */

#endif
