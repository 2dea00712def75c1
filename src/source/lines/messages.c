/* Messages from a socket, sent by a small queue whose records have no number that is still valid
 * after the connection.
 *
 * A sender connects, gets the number of settled lines of this connection (0), and sends lines: an
 * identity, a tab and the contents. Each time the target has committed more, the sender gets the
 * new number; before that it gets "rejected" and the line's number in the connection for each line
 * that became a dead letter. Lines that are not settled when the connection ends are sent again in
 * the next one, in which counting begins at 0 again: the target recognizes them by their
 * identities.
 *
 * There is one sender at a time; others wait until it is gone. When the lane needs lines again, as
 * its batch was dropped, the source hangs up. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "source/lines/peer.h"

#define OUT_BYTES ((size_t) 1 << 20) /* the source hangs up on a sender that reads nothing */

struct messages_settings {
    struct peer_settings peer;
    bool keyed;
};

struct messages_source {
    struct source base;
    struct source_events events;
    const struct messages_settings *settings;
    struct place place; /* the one partition, */
    bool assigned;      /* which is the first lane's */
    struct peer peer;
    bool started;
    atomic_bool joined;
    int64_t next;      /* number of the next delivery, counted over all connections */
    int64_t begun;     /* number of the present connection's first line */
    int64_t settled;   /* deliveries below it are committed */
    int64_t told;      /* how many settled lines of the connection the sender knows of */
    struct buffer out; /* what is to be sent to it */
};

extern const struct source_ops messages_source_ops;

#define AT(member) offsetof(struct messages_settings, member)

static const struct setting rows[] = {
    {"listen", SETTING_STRING, AT(peer.listen), .min = 1, .max = 107, .flags = SETTING_REQUIRED,
     .doc = PEER_LISTEN_DOC},
    {"keyed", SETTING_BOOL, AT(keyed), "false",
     .doc = "A line is an identity, a tab, a record's key, a tab and its value; one without value "
            "is a tombstone. Else it is an identity, a tab and the value."},
    {"max_line_bytes", SETTING_BYTES, AT(peer.max_line_bytes), "16777216", .min = 1024,
     .max = INT64_C(1) << 30, .doc = "A longer line stops the lane."},
};

static const struct setting_group settings_group = {
    .title = "input of type `messages`",
    .intro =
        "As a queue delivers: a record a line, each an identity, a tab and the value, from one "
        "sender at a time, under the one topic that `topics` names. The sender is told in a line "
        "of its own how many lines of its connection are settled, 0 at first, and before that, of "
        "each that became a dead letter, `rejected` and its place in the connection, from 0 on. "
        "When the connection ends it connects again and sends what was not settled once more, "
        "before newer lines of the same keys. The target drops what it has already by the "
        "identities, for as long and as many as it keeps: see `delivered` in its settings. A line "
        "without identity is a dead letter. Of several `lanes` one works. Dead letters go where "
        "`dead_letter` says.",
    .size = sizeof(struct messages_settings),
    SETTING_ROWS(rows),
};

/* --- what the sender is told ------------------------------------------------------------------ */

/* True: everything is sent. */
static bool flush(struct messages_source *messages)
{
    struct buffer *out = &messages->out;
    if (messages->peer.fd < 0)
        return true;
    ssize_t sent = out->length ? peer_send(&messages->peer, out->bytes, out->length) : 0;
    if (sent > 0) {
        memmove(out->bytes, out->bytes + sent, out->length - (size_t) sent);
        out->length -= (size_t) sent;
    }
    if (messages->peer.fd >= 0 && (out->failed || out->length > OUT_BYTES))
        peer_hang_up(&messages->peer);
    return messages->peer.fd < 0 || !out->length;
}

static bool take_peer(struct messages_source *messages)
{
    if (messages->peer.fd >= 0)
        return true;
    if (!peer_accept(&messages->peer))
        return false;
    messages->begun = messages->next;
    messages->told = 0;
    buffer_reset(&messages->out);
    buffer_puts(&messages->out, "0\n");
    flush(messages);
    return messages->peer.fd >= 0;
}

/* Lines of an earlier connection can't be settled any more: the sender sends them again. */
static bool is_of_peer(const struct messages_source *messages, int64_t number)
{
    return messages->peer.fd >= 0 && number >= messages->begun;
}

static void messages_reject(struct source *source, const struct place *place)
{
    struct messages_source *messages = (struct messages_source *) source;
    if (is_of_peer(messages, place->offset))
        buffer_printf(&messages->out, "rejected %lld\n",
                      (long long) (place->offset - messages->begun));
}

static void messages_ack(struct source *source, const struct place *places, size_t count,
                         int wait_ms)
{
    struct messages_source *messages = (struct messages_source *) source;
    int64_t settled = places->offset - messages->begun;
    if (places->offset > messages->settled)
        messages->settled = places->offset;
    if (is_of_peer(messages, places->offset) && settled > messages->told) {
        messages->told = settled;
        buffer_printf(&messages->out, "%lld\n", (long long) settled);
    }
    if (flush(messages))
        messages->events.acknowledged(messages->events.context, places, count);
}

/* --- what it sends ---------------------------------------------------------------------------- */

/* The part before the next tab; *at is then the place after the tab. NULL: there is no tab. */
static const char *take_part(const char *bytes, size_t length, size_t *at, size_t *part)
{
    const char *begin = bytes + *at, *tab = memchr(begin, '\t', length - *at);
    *part = tab ? (size_t) (tab - begin) : 0;
    *at += tab ? *part + 1 : 0;
    return tab ? begin : NULL;
}

/* The record's bytes are record->owner, to be freed. False: memory is out. */
static bool make_record(const struct messages_source *messages, const char *line, size_t length,
                        struct record *record)
{
    char *bytes = malloc(length + 1);
    size_t at = 0, identity_length = 0, key_length = 0;
    if (!bytes)
        return false;
    memcpy(bytes, line, length);
    const char *identity = take_part(bytes, length, &at, &identity_length), *key = NULL;
    if (identity && messages->settings->keyed)
        key = take_part(bytes, length, &at, &key_length);
    *record = (struct record){.topic = messages->place.topic,
                              .offset = messages->next,
                              .timestamp_ms = -1,
                              .identity = identity_length ? identity : NULL,
                              .identity_length = (uint32_t) identity_length,
                              .key = key,
                              .key_length = key_length,
                              .value = length > at ? bytes + at : NULL,
                              .value_length = length - at,
                              .owner = bytes};
    return true;
}

static enum source_event messages_next(struct source *source, struct record *record,
                                       struct error *error)
{
    struct messages_source *messages = (struct messages_source *) source;
    const char *line;
    size_t length;
    if (!messages->started || !take_peer(messages))
        return SOURCE_NOTHING;
    switch (peer_next(&messages->peer, &line, &length)) {
    case PEER_NOTHING:
        break;
    case PEER_TOO_LONG:
        error_set(error, ODS_FATAL,
                  "topic %s: line %lld of its connection is longer than input.max_line_bytes "
                  "allows: %lld bytes",
                  messages->place.topic, (long long) (messages->next - messages->begun),
                  (long long) messages->settings->peer.max_line_bytes);
        return SOURCE_FAILED;
    case PEER_LINE:
        if (!make_record(messages, line, length, record))
            break; /* the next turn tries again */
        messages->next++;
        peer_take(&messages->peer, length);
        return SOURCE_RECORD;
    }
    return SOURCE_NOTHING;
}

/* --- where it goes on ------------------------------------------------------------------------- */

static enum ods_status messages_start(struct source *source, struct place *places, size_t count,
                                      struct error *error)
{
    struct messages_source *messages = (struct messages_source *) source;
    int64_t from = places->offset < 0 ? messages->settled : places->offset;
    if (from < messages->next && messages->next > messages->begun)
        peer_hang_up(&messages->peer);
    messages->started = true;
    return ODS_OK;
}

static void messages_pause(struct source *source, const struct place *places, size_t count)
{
    ((struct messages_source *) source)->started = false;
}

static void messages_close(struct source *source)
{
    struct messages_source *messages = (struct messages_source *) source;
    if (!messages)
        return;
    peer_done(&messages->peer);
    buffer_done(&messages->out);
    free(messages);
}

static enum ods_status messages_open(struct source **source, const struct source_config *config,
                                     struct error *error)
{
    enum ods_status status = peer_check(config, error);
    struct messages_source *messages = calloc(1, sizeof *messages);
    *source = NULL;
    if (!messages)
        return error_set(error, ODS_FATAL, "out of memory for a source");
    messages->base.ops = &messages_source_ops;
    messages->events = config->events;
    messages->settings = config->settings;
    messages->place.topic = config->pipeline->topics.items[0];
    messages->assigned = config->lane == 0;
    peer_init(&messages->peer, &messages->settings->peer);
    buffer_init(&messages->out);
    if (status == ODS_OK && messages->assigned)
        status = peer_listen(&messages->peer, error);
    if (status == ODS_OK)
        *source = &messages->base;
    else
        messages_close(&messages->base);
    return status;
}

static void messages_join(struct source *source)
{
    struct messages_source *messages = (struct messages_source *) source;
    if (messages->assigned)
        messages->events.assigned(messages->events.context, &messages->place, 1);
    atomic_store(&messages->joined, true);
}

static void messages_leave(struct source *source)
{
    struct messages_source *messages = (struct messages_source *) source;
    if (messages->assigned)
        messages->events.revoked(messages->events.context, &messages->place, 1, false);
    peer_hang_up(&messages->peer);
}

static int64_t messages_turn(struct source *source)
{
    flush((struct messages_source *) source);
    return PEER_TURN_MS;
}

static int messages_poll_fd(const struct source *source)
{
    const struct messages_source *messages = (const struct messages_source *) source;
    return messages->started ? peer_poll_fd(&messages->peer) : -1;
}

static void messages_look(const struct source *source, struct source_state *state)
{
    const struct messages_source *messages = (const struct messages_source *) source;
    *state = (struct source_state){.joined = atomic_load(&messages->joined)};
}

static enum ods_status messages_check(const struct source_config *config,
                                      void (*report)(void *context, const char *line),
                                      void *context, struct error *error)
{
    if (config->pipeline->lanes > 1)
        report(context, "of several lanes only the first has something to do");
    return peer_check(config, error);
}

const struct source_ops messages_source_ops = {
    .type = "messages",
    .summary = "messages of one sender at a socket, each with an identity, settled by count",
    .settings = &settings_group,
    .kind = SOURCE_DELIVERIES,
    .provided = "its sender gives each message an identity of its own, sends what is not settled "
                "again, with the same identity, and before newer messages of the same key",
    .awaits_acks = true,
    .open = messages_open,
    .join = messages_join,
    .next = messages_next,
    .start = messages_start,
    .pause = messages_pause,
    .ack = messages_ack,
    .reject = messages_reject,
    .turn = messages_turn,
    .poll_fd = messages_poll_fd,
    .look = messages_look,
    .release = free,
    .leave = messages_leave,
    .close = messages_close,
    .check = messages_check,
};
