/* A host's addresses, looked up in a thread of its own: whoever asks never waits. */
#ifndef AMQP_LOOKUP_H
#define AMQP_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>

struct amqp_lookup;

/* NULL: memory or threads are out. */
struct amqp_lookup *amqp_lookup_new(const char *host, const char *port);
/* Is the answer there? */
bool amqp_lookup_done(const struct amqp_lookup *lookup);
/* Of one that is done. NULL: *why says why. They live as long as the lookup. */
const struct addrinfo *amqp_lookup_addresses(const struct amqp_lookup *lookup, const char **why);
/* NULL is fine. One that is not done ends by itself. */
void amqp_lookup_free(struct amqp_lookup *lookup);

#endif
