/* A connection to a broker. See amqp_connection.h. */
#include "source/amqp/amqp_connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/time.h"
#include "source/amqp/amqp_lookup.h"

#define RETRY_MS     INT64_C(200)
#define RETRY_MAX_MS INT64_C(5000)
#define BUSY_MS      INT64_C(10)  /* between two looks while something is on its way */
#define IDLE_MS      INT64_C(500) /* and otherwise, for heartbeats */
#define FRAME_BYTES  (64 * 1024)
#define LITTLE_BYTES ((size_t) 1024) /* of a read by which a connection stays alive */

static void close_socket(struct amqp_connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
}

static bool drives(const struct amqp_connection *connection)
{
    return connection->state >= AMQP_OPENING;
}

/* Gives up what there is of it, and sets the time of the next try: the next url at once, all of
 * them again after a pause. */
static void lose(struct amqp_connection *connection, const char *why)
{
    bool was_up = connection->state == AMQP_UP, drove = drives(connection);
    size_t urls = connection->broker->urls.count;
    connection->state = AMQP_WAITING;
    connection->events.down(connection->events.context, was_up, why);
    if (drove)
        pn_connection_driver_destroy(&connection->driver);
    connection->session = NULL;
    connection->output_waits = false;
    close_socket(connection);
    amqp_lookup_free(connection->lookup);
    connection->lookup = NULL;
    connection->address = NULL;
    connection->url = (connection->url + 1) % urls;
    connection->tried++;
    int64_t wait_ms = connection->tried < urls ? 0 : backoff_next_ms(&connection->backoff);
    if (connection->tried >= urls)
        connection->tried = 0;
    connection->due_us = time_monotonic_us() + wait_ms * 1000;
}

static void lose_for(struct amqp_connection *connection, const char *what, int code)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s", what, strerror(code));
    lose(connection, text);
}

/* --- reaching the server ---------------------------------------------------------------------- */

/* The url is checked already: amqp[s]://host[:port]. */
static void split_url(struct amqp_connection *connection, char *port, size_t size)
{
    const char *url = connection->broker->urls.items[connection->url];
    connection->secure = strncmp(url, "amqps://", 8) == 0;
    const char *host = url + (connection->secure ? 8 : 7);
    bool bracket = *host == '[';
    host += bracket;
    size_t length = strcspn(host, bracket ? "]" : ":");
    const char *rest = host + length + (bracket && host[length]);
    snprintf(connection->host, sizeof connection->host, "%.*s", (int) length, host);
    snprintf(port, size, "%s", *rest == ':' ? rest + 1 : connection->secure ? "5671" : "5672");
    snprintf(connection->place, sizeof connection->place, "%s:%s", connection->host, port);
}

static void look_up(struct amqp_connection *connection)
{
    char port[8];
    split_url(connection, port, sizeof port);
    connection->why[0] = '\0';
    connection->due_us = time_monotonic_us() + connection->broker->connect_timeout_ms * 1000;
    connection->lookup = amqp_lookup_new(connection->host, port);
    if (connection->lookup)
        connection->state = AMQP_LOOKING_UP;
    else
        lose(connection, "out of memory");
}

/* Tries the addresses one after the other until one does not fail at once. */
static void connect_next(struct amqp_connection *connection)
{
    int code = ECONNREFUSED;
    for (; connection->address; connection->address = connection->address->ai_next) {
        const struct addrinfo *address = connection->address;
        connection->fd = socket(address->ai_family,
                                address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                address->ai_protocol);
        if (connection->fd >= 0 &&
            (connect(connection->fd, address->ai_addr, address->ai_addrlen) == 0 ||
             errno == EINPROGRESS)) {
            connection->state = AMQP_CONNECTING;
            return;
        }
        code = errno;
        close_socket(connection);
    }
    lose_for(connection, "can't connect", code);
}

static void take_addresses(struct amqp_connection *connection)
{
    const char *why;
    connection->address = amqp_lookup_addresses(connection->lookup, &why);
    if (connection->address)
        connect_next(connection);
    else
        lose(connection, why);
}

/* --- TLS, SASL, open -------------------------------------------------------------------------- */

static bool make_domain(struct amqp_connection *connection)
{
    const struct broker_settings *broker = connection->broker;
    if (connection->domain)
        return true;
    connection->domain = pn_ssl_domain(PN_SSL_MODE_CLIENT);
    bool good = connection->domain &&
                pn_ssl_domain_set_peer_authentication(connection->domain, PN_SSL_VERIFY_PEER_NAME,
                                                      NULL) == 0;
    if (good && *broker->ca)
        good = pn_ssl_domain_set_trusted_ca_db(connection->domain, broker->ca) == 0;
    if (good && *broker->certificate)
        good = pn_ssl_domain_set_credentials(connection->domain, broker->certificate,
                                             *broker->key ? broker->key : broker->certificate,
                                             NULL) == 0;
    if (!good && connection->domain) {
        pn_ssl_domain_free(connection->domain);
        connection->domain = NULL;
    }
    return good;
}

static bool begin_tls(struct amqp_connection *connection)
{
    if (!connection->secure)
        return true;
    pn_ssl_t *ssl = make_domain(connection) ? pn_ssl(connection->driver.transport) : NULL;
    return ssl && pn_ssl_init(ssl, connection->domain, NULL) == 0 &&
           pn_ssl_set_peer_hostname(ssl, connection->host) == 0;
}

/* The driver is there; false: TLS can't be had with the files that are named. */
static bool set_up(struct amqp_connection *connection)
{
    const struct broker_settings *broker = connection->broker;
    pn_transport_t *transport = connection->driver.transport;
    pn_connection_t *own = connection->driver.connection;
    pn_transport_set_idle_timeout(transport, (pn_millis_t) broker->idle_timeout_ms);
    pn_transport_set_max_frame(transport, FRAME_BYTES);
    pn_connection_set_container(own, connection->container);
    pn_connection_set_hostname(own, *broker->virtual_host ? broker->virtual_host
                                                          : connection->host);
    amqp_sasl_use(&connection->sasl, transport);
    if (!begin_tls(connection))
        return false;
    pn_connection_open(own);
    connection->session = pn_session(own);
    pn_session_open(connection->session);
    return true;
}

static void open_driver(struct amqp_connection *connection)
{
    int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (pn_connection_driver_init(&connection->driver, NULL, NULL) != 0) {
        lose(connection, "out of memory");
        return;
    }
    connection->state = AMQP_OPENING;
    if (!set_up(connection))
        lose(connection, "TLS can't be set up: look at the files of ca, certificate and key");
}

static void end_connecting(struct amqp_connection *connection)
{
    struct pollfd ready = {.fd = connection->fd, .events = POLLOUT};
    int code = 0;
    socklen_t size = sizeof code;
    if (poll(&ready, 1, 0) < 1)
        return;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        code = errno;
    if (code == 0) {
        open_driver(connection);
        return;
    }
    assert(connection->address); /* as long as it is connecting */
    close_socket(connection);
    connection->address = connection->address->ai_next;
    if (connection->address)
        connect_next(connection);
    else
        lose_for(connection, "can't connect", code);
}

/* --- what the library says -------------------------------------------------------------------- */

void amqp_condition_text(pn_condition_t *condition, char *text, size_t size)
{
    const char *name = condition ? pn_condition_get_name(condition) : NULL;
    const char *description = name ? pn_condition_get_description(condition) : NULL;
    snprintf(text, size, "%s%s%s", name ? name : "", description ? ": " : "",
             description ? description : "");
    for (char *at = text; *at; at++)
        if ((unsigned char) *at < ' ')
            *at = ' ';
}

static void note(struct amqp_connection *connection, pn_condition_t *condition)
{
    if (!connection->why[0])
        amqp_condition_text(condition, connection->why, sizeof connection->why);
}

static void come_up(struct amqp_connection *connection)
{
    if (connection->sasl.problem) {
        pn_connection_close(connection->driver.connection);
        return;
    }
    connection->state = AMQP_UP;
    connection->events.up(connection->events.context);
}

static void take_event(struct amqp_connection *connection, pn_event_t *event)
{
    switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_OPEN:
        come_up(connection);
        break;
    case PN_CONNECTION_REMOTE_CLOSE:
        note(connection, pn_connection_remote_condition(connection->driver.connection));
        pn_connection_close(connection->driver.connection);
        break;
    case PN_SESSION_REMOTE_CLOSE:
        note(connection, pn_session_remote_condition(pn_event_session(event)));
        pn_connection_close(connection->driver.connection);
        break;
    case PN_TRANSPORT_ERROR:
        note(connection, pn_transport_condition(connection->driver.transport));
        break;
    default:
        if (connection->state == AMQP_UP)
            connection->events.event(connection->events.context, event);
    }
}

static void take_events(struct amqp_connection *connection)
{
    pn_event_t *event;
    while ((event = pn_connection_driver_next_event(&connection->driver)))
        take_event(connection, event);
}

static void send_what_waits(struct amqp_connection *connection)
{
    pn_bytes_t out;
    connection->output_waits = false;
    while ((out = pn_connection_driver_write_buffer(&connection->driver)).size) {
        ssize_t sent = send(connection->fd, out.start, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            pn_connection_driver_write_done(&connection->driver, (size_t) sent);
            continue;
        }
        connection->output_waits = errno == EAGAIN || errno == EINTR;
        if (connection->output_waits)
            return;
        snprintf(connection->why, sizeof connection->why, "%s", strerror(errno));
        pn_connection_driver_write_close(&connection->driver);
        pn_connection_driver_read_close(&connection->driver);
    }
}

/* Reads once, so many bytes at most. True: something came, even if it is the end. */
static bool hear(struct amqp_connection *connection, size_t most)
{
    pn_rwbytes_t room = pn_connection_driver_read_buffer(&connection->driver);
    if (!room.size)
        return false;
    size_t size = room.size < most ? room.size : most;
    ssize_t got = recv(connection->fd, room.start, size, MSG_DONTWAIT);
    if (got > 0) {
        connection->heard_us = time_monotonic_us();
        pn_connection_driver_read_done(&connection->driver, (size_t) got);
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (!connection->why[0])
        snprintf(connection->why, sizeof connection->why, "%s",
                 got ? strerror(errno) : "it has ended the connection");
    pn_connection_driver_read_close(&connection->driver);
    return true;
}

static void look_whether_ended(struct amqp_connection *connection)
{
    pn_connection_driver_t *driver = &connection->driver;
    bool finished = pn_connection_driver_finished(driver);
    bool deaf = pn_connection_driver_read_closed(driver);
    char why[sizeof connection->why];
    if (!finished && !deaf)
        return;
    snprintf(why, sizeof why, "%s",
             connection->sasl.problem ? connection->sasl.problem
             : connection->why[0]     ? connection->why
                                      : "the connection is closed");
    lose(connection, why);
}

void amqp_connection_serves(struct amqp_connection *connection)
{
    connection->tried = 0;
    backoff_reset(&connection->backoff);
}

static bool pump(struct amqp_connection *connection, size_t most)
{
    if (!drives(connection))
        return false;
    take_events(connection);
    bool heard = most && hear(connection, most);
    take_events(connection);
    send_what_waits(connection);
    take_events(connection);
    look_whether_ended(connection);
    return heard;
}

bool amqp_connection_pump(struct amqp_connection *connection, bool listen)
{
    return pump(connection, listen ? SIZE_MAX : 0);
}

void amqp_connection_stay(struct amqp_connection *connection)
{
    int64_t half_us = connection->broker->idle_timeout_ms * 1000 / 2;
    if (time_monotonic_us() - connection->heard_us >= half_us)
        pump(connection, LITTLE_BYTES);
}

/* How long until the next look at heartbeats: idle_timeout_ms may be short. */
static int64_t idle_ms(const struct amqp_connection *connection)
{
    int64_t quarter_ms = connection->broker->idle_timeout_ms / 4;
    return quarter_ms < IDLE_MS ? quarter_ms : IDLE_MS;
}

int64_t amqp_connection_turn(struct amqp_connection *connection)
{
    int64_t now_us = time_monotonic_us();
    if (connection->state == AMQP_WAITING && now_us >= connection->due_us)
        look_up(connection);
    if (connection->state == AMQP_LOOKING_UP && amqp_lookup_done(connection->lookup))
        take_addresses(connection);
    if (connection->state == AMQP_CONNECTING)
        end_connecting(connection);
    if (connection->state == AMQP_OPENING)
        while (amqp_connection_pump(connection, true))
            ;
    if (drives(connection)) {
        pn_transport_tick(connection->driver.transport, now_us / 1000);
        amqp_connection_pump(connection, false);
    }
    if (connection->state != AMQP_WAITING && connection->state != AMQP_UP &&
        now_us >= connection->due_us)
        lose(connection, "it did not answer within connect_timeout_ms");
    if (connection->state == AMQP_UP)
        return connection->output_waits ? BUSY_MS : idle_ms(connection);
    int64_t left_ms = (connection->due_us - time_monotonic_us()) / 1000;
    return connection->state != AMQP_WAITING ? BUSY_MS : left_ms < 1 ? 1 : left_ms;
}

void amqp_connection_flush(struct amqp_connection *connection, int64_t at_most_ms)
{
    int64_t end_us = time_monotonic_us() + at_most_ms * 1000;
    amqp_connection_pump(connection, false);
    while (drives(connection) && connection->output_waits && time_monotonic_us() < end_us) {
        struct pollfd ready = {.fd = connection->fd, .events = POLLOUT};
        poll(&ready, 1, (int) BUSY_MS);
        amqp_connection_pump(connection, false);
    }
}

void amqp_connection_drop(struct amqp_connection *connection)
{
    if (connection->state == AMQP_WAITING)
        return;
    amqp_connection_pump(connection, false);
    if (connection->state != AMQP_WAITING)
        lose(connection, "we have ended the connection");
}

void amqp_connection_renew(struct amqp_connection *connection)
{
    size_t url = connection->url;
    if (connection->state == AMQP_UP)
        pn_connection_close(connection->driver.connection);
    amqp_connection_drop(connection);
    connection->url = url;
    connection->due_us = time_monotonic_us();
    amqp_connection_serves(connection);
}

void amqp_connection_close(struct amqp_connection *connection, int64_t at_most_ms)
{
    int64_t end_us = time_monotonic_us() + at_most_ms * 1000;
    if (connection->state == AMQP_UP)
        pn_connection_close(connection->driver.connection);
    while (connection->state == AMQP_UP && time_monotonic_us() < end_us) {
        struct pollfd ready = {.fd = connection->fd, .events = POLLIN};
        amqp_connection_pump(connection, true);
        if (connection->state == AMQP_UP)
            poll(&ready, 1, (int) BUSY_MS);
    }
    if (connection->state != AMQP_WAITING)
        lose(connection, "we have ended the connection");
    connection->due_us = INT64_MAX;
    if (connection->domain)
        pn_ssl_domain_free(connection->domain);
    connection->domain = NULL;
    amqp_sasl_done(&connection->sasl);
}

void amqp_connection_init(struct amqp_connection *connection, const struct broker_settings *broker,
                          const char *container, const struct amqp_events *events)
{
    *connection = (struct amqp_connection){
        .broker = broker, .container = container, .events = *events, .fd = -1};
    backoff_init(&connection->backoff, RETRY_MS, RETRY_MAX_MS);
    amqp_sasl_init(&connection->sasl, broker);
}
