/* Sends messages to an address of a broker. See amqp_sender.h. */
#include "source/amqp/amqp_sender.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/terminus.h>

#include "core/time.h"
#include "source/amqp/amqp_connection.h"

#define PATIENCE_US INT64_C(30000000) /* without any progress */
#define POLL_MS     50
#define GOODBYE_MS  500

/* Sections and types, as in part 3 and 1 of the standard. */
#define HEADER_DURABLE "\0\x53\x70\xc0\x02\x01\x41"
#define PROPERTIES     "\0\x53\x73\xd0"
#define APPLICATION    "\0\x53\x74\xd1"
#define DATA           "\0\x53\x75\xb0"
#define STRING         "\xb1"
#define NOTHING        "\x40"

/* --- drafts ----------------------------------------------------------------------------------- */

void amqp_draft_init(struct amqp_draft *draft)
{
    buffer_init(&draft->properties);
    buffer_init(&draft->bytes);
    draft->count = 0;
}

void amqp_draft_done(struct amqp_draft *draft)
{
    buffer_done(&draft->properties);
    buffer_done(&draft->bytes);
}

void amqp_draft_reset(struct amqp_draft *draft)
{
    buffer_reset(&draft->properties);
    buffer_reset(&draft->bytes);
    draft->count = 0;
}

static void put_size(struct buffer *out, size_t size)
{
    char bytes[4];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (char) (size >> (24 - 8 * i) & 0xff);
    buffer_add(out, bytes, sizeof bytes);
}

#define PUT_CODE(out, code) buffer_add(out, code, sizeof code - 1)

static void put_string(struct buffer *out, const char *text, size_t length)
{
    PUT_CODE(out, STRING);
    put_size(out, length);
    buffer_add(out, text, length);
}

void amqp_draft_property(struct amqp_draft *draft, const char *name, const char *value,
                         size_t length)
{
    put_string(&draft->properties, name, strlen(name));
    if (value)
        put_string(&draft->properties, value, length);
    else
        PUT_CODE(&draft->properties, NOTHING);
    draft->count += 2;
}

bool amqp_draft_end(struct amqp_draft *draft, const char *id, const char *body, size_t length)
{
    struct buffer *out = &draft->bytes;
    PUT_CODE(out, HEADER_DURABLE);
    PUT_CODE(out, PROPERTIES);
    put_size(out, 4 + 5 + strlen(id));
    put_size(out, 1);
    put_string(out, id, strlen(id));
    PUT_CODE(out, APPLICATION);
    put_size(out, 4 + draft->properties.length);
    put_size(out, draft->count);
    buffer_add(out, draft->properties.bytes, draft->properties.length);
    if (body) {
        PUT_CODE(out, DATA);
        put_size(out, length);
        buffer_add(out, body, length);
    }
    return !draft->properties.failed && !out->failed;
}

/* --- sending ---------------------------------------------------------------------------------- */

struct amqp_sender {
    struct amqp_connection connection;
    const char *address;
    pn_link_t *link; /* NULL: not attached */
    bool attached;
    size_t waiting, refused; /* sent, and not answered; answered by no */
    uint64_t tag;
    int64_t moved_us;  /* the last progress */
    int64_t turned_us; /* the last step */
    atomic_bool interrupted;
    char why[400];
};

static void on_up(void *context)
{
    struct amqp_sender *sender = context;
    sender->link = pn_sender(sender->connection.session, "ods-sink:letters");
    pn_terminus_set_address(pn_link_target(sender->link), sender->address);
    pn_link_set_snd_settle_mode(sender->link, PN_SND_UNSETTLED);
    pn_link_open(sender->link);
}

static void on_down(void *context, bool was_up, const char *why)
{
    struct amqp_sender *sender = context;
    sender->refused += sender->waiting;
    sender->waiting = 0;
    sender->link = NULL;
    sender->attached = false;
    snprintf(sender->why, sizeof sender->why, "%.200s: %.190s", sender->connection.place, why);
}

static void take_outcome(struct amqp_sender *sender, pn_delivery_t *delivery)
{
    bool *delivered = pn_delivery_get_context(delivery);
    uint64_t state = pn_delivery_remote_state(delivery);
    if (!delivered || (!state && !pn_delivery_settled(delivery)))
        return;
    *delivered = state == PN_ACCEPTED;
    if (!*delivered) {
        sender->refused++;
        amqp_condition_text(pn_disposition_condition(pn_delivery_remote(delivery)), sender->why,
                            sizeof sender->why);
        if (!*sender->why)
            snprintf(sender->why, sizeof sender->why, "the broker did not accept it");
    }
    sender->waiting--;
    sender->moved_us = time_monotonic_us();
    pn_delivery_settle(delivery);
}

static void on_event(void *context, pn_event_t *event)
{
    struct amqp_sender *sender = context;
    pn_link_t *link = pn_event_link(event);
    if (!link || link != sender->link)
        return;
    switch (pn_event_type(event)) {
    case PN_LINK_REMOTE_OPEN:
        sender->attached = pn_terminus_get_type(pn_link_remote_target(link)) != PN_UNSPECIFIED;
        if (sender->attached)
            amqp_connection_serves(&sender->connection);
        break;
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH:
        amqp_condition_text(pn_link_remote_condition(link), sender->connection.why,
                            sizeof sender->connection.why);
        pn_connection_close(sender->connection.driver.connection);
        break;
    case PN_DELIVERY:
        take_outcome(sender, pn_event_delivery(event));
        break;
    default:
        break;
    }
}

/* A step, in which at most POLL_MS pass. False: it is interrupted, or nothing moves. */
static bool step(struct amqp_sender *sender)
{
    struct amqp_connection *connection = &sender->connection;
    sender->turned_us = time_monotonic_us();
    amqp_connection_turn(connection);
    struct pollfd ready = {.fd = connection->fd, .events = POLLIN};
    if (!amqp_connection_pump(connection, true))
        poll(&ready, 1, connection->state == AMQP_UP ? POLL_MS : 1);
    if (atomic_load(&sender->interrupted))
        snprintf(sender->why, sizeof sender->why, "it was interrupted");
    else if (time_monotonic_us() - sender->moved_us > PATIENCE_US && !*sender->why)
        snprintf(sender->why, sizeof sender->why, "%s: no answer", connection->place);
    return !atomic_load(&sender->interrupted) &&
           time_monotonic_us() - sender->moved_us <= PATIENCE_US;
}

/* Ends the connection, so that nothing is on its way, and says what went wrong. */
static enum ods_status give_up(struct amqp_sender *sender, struct error *error)
{
    char why[sizeof sender->why];
    snprintf(why, sizeof why, "%s", sender->why);
    if (sender->connection.state == AMQP_UP)
        pn_connection_close(sender->connection.driver.connection);
    amqp_connection_drop(&sender->connection);
    sender->refused = sender->waiting = 0;
    return error_set(error, ODS_RETRY, "the address \"%s\" does not take it: %s", sender->address,
                     why);
}

struct amqp_sender *amqp_sender_new(const struct broker_settings *broker, const char *address,
                                    const char *container)
{
    struct amqp_sender *sender = calloc(1, sizeof *sender);
    const struct amqp_events events = {on_up, on_down, on_event, sender};
    if (!sender)
        return NULL;
    sender->address = address;
    amqp_connection_init(&sender->connection, broker, container, &events);
    return sender;
}

void amqp_sender_free(struct amqp_sender *sender)
{
    if (!sender)
        return;
    amqp_connection_close(&sender->connection, GOODBYE_MS);
    free(sender);
}

/* Nobody turns the connection between two letters, so one of them may find it dead: for want of our
 * heartbeats, or of the broker's. After half the time that either side allows it is made anew. */
static bool is_stale(const struct amqp_sender *sender)
{
    const struct amqp_connection *connection = &sender->connection;
    int64_t ours_ms = connection->broker->idle_timeout_ms;
    int64_t theirs_ms = pn_transport_get_remote_idle_timeout(connection->driver.transport);
    int64_t allowed_ms = theirs_ms && theirs_ms < ours_ms ? theirs_ms : ours_ms;
    return time_monotonic_us() - sender->turned_us > allowed_ms * 1000 / 2;
}

static void freshen(struct amqp_sender *sender)
{
    while (!sender->waiting && amqp_connection_pump(&sender->connection, true))
        ; /* also the end, if it came meanwhile */
    if (sender->connection.state == AMQP_UP && !sender->waiting && is_stale(sender))
        amqp_connection_renew(&sender->connection);
}

enum ods_status amqp_sender_send(struct amqp_sender *sender, const struct amqp_draft *draft,
                                 bool *delivered, struct error *error)
{
    freshen(sender);
    sender->moved_us = time_monotonic_us();
    sender->why[0] = '\0';
    while (!sender->attached || pn_link_credit(sender->link) < 1)
        if (!step(sender) || sender->refused || *sender->why)
            return give_up(sender, error);
    pn_delivery_t *delivery = pn_delivery(
        sender->link, pn_dtag((const char *) &sender->tag, sizeof sender->tag));
    sender->tag++;
    *delivered = false;
    pn_delivery_set_context(delivery, delivered);
    pn_link_send(sender->link, draft->bytes.bytes, draft->bytes.length);
    pn_link_advance(sender->link);
    sender->waiting++;
    return ODS_OK;
}

enum ods_status amqp_sender_wait(struct amqp_sender *sender, struct error *error)
{
    sender->moved_us = time_monotonic_us();
    while (sender->waiting)
        if (!step(sender))
            break;
    return sender->waiting || sender->refused ? give_up(sender, error) : ODS_OK;
}

void amqp_sender_interrupt(struct amqp_sender *sender, bool interrupted)
{
    atomic_store(&sender->interrupted, interrupted);
}
