/* A connection to a broker, that is made again when it is lost: the broker's urls are tried in
 * turn. One thread, which is never kept waiting: whoever owns it calls amqp_connection_turn() often
 * and amqp_connection_pump() when the descriptor is readable. */
#ifndef AMQP_CONNECTION_H
#define AMQP_CONNECTION_H

#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/connection_driver.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/transport.h>

#include <ods/status.h>
#include "config/settings.h"
#include "core/backoff.h"
#include "source/amqp/amqp_sasl.h"

struct amqp_lookup;

/* Called from turn(), pump() and close(). */
struct amqp_events {
    /* The broker has accepted the connection: links may be made. */
    void (*up)(void *context);
    /* It is lost, or could not be made; why has no secrets. All that belongs to it (links,
     * deliveries) is gone when this returns. was_up: up() was called for it. */
    void (*down)(void *context, bool was_up, const char *why);
    /* What happened to a link or a delivery. */
    void (*event)(void *context, pn_event_t *event);
    void *context;
};

enum amqp_state {
    AMQP_WAITING, /* until the next try */
    AMQP_LOOKING_UP,
    AMQP_CONNECTING,
    AMQP_OPENING, /* TLS, SASL, open */
    AMQP_UP,
};

struct amqp_connection {
    const struct broker_settings *broker;
    const char *container; /* outlives it */
    struct amqp_events events;
    enum amqp_state state;
    struct backoff backoff;
    size_t url, tried; /* the next one; how many of them since one served */
    int64_t due_us;    /* of a try, or by when it must have succeeded */
    struct amqp_lookup *lookup;
    const struct addrinfo *address;
    int fd; /* -1: none */
    bool output_waits;
    int64_t heard_us; /* when something was read last */
    char place[320]; /* host:port, or the url where that is not known */
    char host[256];
    bool secure;
    pn_connection_driver_t driver; /* from AMQP_OPENING on */
    pn_session_t *session;
    pn_ssl_domain_t *domain;
    struct amqp_sasl sasl;
    char why[512]; /* what went wrong first */
};

void amqp_connection_init(struct amqp_connection *connection, const struct broker_settings *broker,
                          const char *container, const struct amqp_events *events);
/* Connects, keeps alive, sends what waits. Returns how many milliseconds may pass until the next
 * call. */
int64_t amqp_connection_turn(struct amqp_connection *connection);
/* Handles what has come, one read of it, unless `hear` is false; and sends. True: something came.
 */
bool amqp_connection_pump(struct amqp_connection *connection, bool hear);
/* In place of pump() while its owner has no room: when half of idle_timeout_ms has passed since
 * something was read, a little of what has come is. So a server that lives is not taken for dead.
 */
void amqp_connection_stay(struct amqp_connection *connection);
/* It does what it is for: when it is lost, the next try comes soon. (Some brokers accept a
 * connection before they refuse its user.) */
void amqp_connection_serves(struct amqp_connection *connection);
/* Sends what waits, and waits for it, for that long at most. */
void amqp_connection_flush(struct amqp_connection *connection, int64_t at_most_ms);
/* Ends it as it is; the next turn begins a new one. */
void amqp_connection_drop(struct amqp_connection *connection);
/* Ends it as it is, and begins a new one with the same server at the next turn. */
void amqp_connection_renew(struct amqp_connection *connection);
/* Says goodbye, as far as that goes within the time. Calls down() for one that is up. */
void amqp_connection_close(struct amqp_connection *connection, int64_t at_most_ms);

/* "name: description", or "" where there is none. */
void amqp_condition_text(pn_condition_t *condition, char *text, size_t size);

#endif
