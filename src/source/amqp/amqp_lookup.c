/* A host's addresses. See amqp_lookup.h. */
#include "source/amqp/amqp_lookup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct amqp_lookup {
    atomic_uint owners; /* who asks, and the thread; the last one frees it */
    atomic_bool done;
    char *host, *port;
    struct addrinfo *addresses;
    int code; /* getaddrinfo()'s */
};

static void let_go(struct amqp_lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->owners, 1) != 1)
        return;
    if (lookup->addresses)
        freeaddrinfo(lookup->addresses);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void *look_up(void *context)
{
    struct amqp_lookup *lookup = context;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    lookup->code = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->addresses);
    atomic_store(&lookup->done, true);
    let_go(lookup);
    return NULL;
}

struct amqp_lookup *amqp_lookup_new(const char *host, const char *port)
{
    struct amqp_lookup *lookup = calloc(1, sizeof *lookup);
    pthread_t thread;
    if (!lookup)
        return NULL;
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    atomic_init(&lookup->owners, 2);
    if (lookup->host && lookup->port && pthread_create(&thread, NULL, look_up, lookup) == 0) {
        pthread_detach(thread);
        return lookup;
    }
    atomic_store(&lookup->owners, 1);
    let_go(lookup);
    return NULL;
}

bool amqp_lookup_done(const struct amqp_lookup *lookup)
{
    return atomic_load(&lookup->done);
}

const struct addrinfo *amqp_lookup_addresses(const struct amqp_lookup *lookup, const char **why)
{
    *why = lookup->code ? gai_strerror(lookup->code) : NULL;
    return lookup->code ? NULL : lookup->addresses;
}

void amqp_lookup_free(struct amqp_lookup *lookup)
{
    if (lookup)
        let_go(lookup);
}
