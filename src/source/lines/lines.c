/* Lines from a socket, settled by count: the sender keeps the lines that are not committed yet.
 *
 * A sender connects, gets a number, and sends the lines of its stream from that number on (the
 * first line is 0). Each time the target has committed more, the sender gets the new number: it
 * need not keep the lines below it. When either side ends the connection, the sender connects
 * again, and gets a number again. A line's number is its offset, which the target stores together
 * with the rows. So a line that is sent again has the same offset as before, and is dropped if it
 * was applied.
 *
 * There is one sender at a time; others wait until it is gone. When the lane needs lines again, as
 * its batch was dropped, the source hangs up. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "source/lines/peer.h"

struct lines_settings {
    struct peer_settings peer;
    bool keyed;
};

struct lines_source {
    struct source base;
    struct source_events events;
    const struct lines_settings *settings;
    struct place place; /* the one partition, */
    bool assigned;      /* which is the first lane's */
    struct peer peer;
    bool started;
    atomic_bool joined;
    int64_t settled; /* lines below it are committed; OFFSET_NONE before the first start */
    int64_t next;    /* number of the peer's next line */
    bool untold;     /* the peer does not know `settled` yet */
};

extern const struct source_ops lines_source_ops;

#define AT(member) offsetof(struct lines_settings, member)

static const struct setting rows[] = {
    {"listen", SETTING_STRING, AT(peer.listen), .min = 1, .max = 107, .flags = SETTING_REQUIRED,
     .doc = PEER_LISTEN_DOC},
    {"keyed", SETTING_BOOL, AT(keyed), "false",
     .doc = "A line is a record's key, a tab and its value (as `kcat -K '\\t'` writes them); one "
            "without value is a tombstone. Else it is the value alone."},
    {"max_line_bytes", SETTING_BYTES, AT(peer.max_line_bytes), "16777216", .min = 1024,
     .max = INT64_C(1) << 30, .doc = "A longer line stops the lane."},
};

static const struct setting_group settings_group = {
    .title = "input of type `lines`",
    .intro = "A record a line, from one sender at a time, under the one topic that `topics` names. "
             "The sender connects and is told a number; it sends the lines of its stream from that "
             "one on, the first being 0, and is told a new number, in a line of its own, whenever "
             "more of them are committed in the target. Until then it keeps them, and when the "
             "connection ends it connects again. Then each line is applied exactly once where the "
             "target's guarantee is exact. A sender that goes on elsewhere has its lines taken for "
             "others. Of several `lanes` one works. Dead letters go where "
             "`dead_letter` says.",
    .size = sizeof(struct lines_settings),
    SETTING_ROWS(rows),
};

/* Sends the number. If the sender can't take it now, it gets it later, or when it connects
 * again. */
static void tell(struct lines_source *lines)
{
    char number[24];
    int length = snprintf(number, sizeof number, "%lld\n", (long long) lines->settled);
    ssize_t sent = peer_send(&lines->peer, number, (size_t) length);
    lines->untold = sent == 0;
    if (sent > 0 && sent != length)
        peer_hang_up(&lines->peer);
}

static bool take_peer(struct lines_source *lines)
{
    if (lines->peer.fd >= 0)
        return true;
    if (!peer_accept(&lines->peer))
        return false;
    lines->next = lines->settled;
    tell(lines);
    return lines->peer.fd >= 0;
}

/* The record's bytes are record->owner, to be freed. False: memory is out. */
static bool make_record(const struct lines_source *lines, const char *line, size_t length,
                        struct record *record)
{
    char *bytes = malloc(length + 1);
    if (!bytes)
        return false;
    memcpy(bytes, line, length);
    const char *tab = lines->settings->keyed ? memchr(bytes, '\t', length) : NULL;
    size_t key_length = tab ? (size_t) (tab - bytes) : 0, value_at = tab ? key_length + 1 : 0;
    *record = (struct record){.topic = lines->place.topic,
                              .offset = lines->next,
                              .timestamp_ms = -1,
                              .key = tab ? bytes : NULL,
                              .key_length = key_length,
                              .value = length > value_at ? bytes + value_at : NULL,
                              .value_length = length - value_at,
                              .owner = bytes};
    return true;
}

static enum source_event lines_next(struct source *source, struct record *record,
                                    struct error *error)
{
    struct lines_source *lines = (struct lines_source *) source;
    const char *line;
    size_t length;
    if (!lines->started || !take_peer(lines))
        return SOURCE_NOTHING;
    switch (peer_next(&lines->peer, &line, &length)) {
    case PEER_NOTHING:
        break;
    case PEER_TOO_LONG:
        error_set(error, ODS_FATAL,
                  "topic %s: line %lld is longer than input.max_line_bytes allows: %lld bytes",
                  lines->place.topic, (long long) lines->next,
                  (long long) lines->settings->peer.max_line_bytes);
        return SOURCE_FAILED;
    case PEER_LINE:
        if (!make_record(lines, line, length, record))
            break; /* the next turn tries again */
        lines->next++;
        peer_take(&lines->peer, length);
        return SOURCE_RECORD;
    }
    return SOURCE_NOTHING;
}

static enum ods_status lines_start(struct source *source, struct place *places, size_t count,
                                   struct error *error)
{
    struct lines_source *lines = (struct lines_source *) source;
    int64_t from = places->offset < 0 ? 0 : places->offset;
    if (lines->settled == OFFSET_NONE || from < lines->settled)
        lines->settled = from;
    if (from < lines->next)
        peer_hang_up(&lines->peer);
    lines->started = true;
    return ODS_OK;
}

static void lines_pause(struct source *source, const struct place *places, size_t count)
{
    ((struct lines_source *) source)->started = false;
}

static void lines_ack(struct source *source, const struct place *places, size_t count, int wait_ms)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (places->offset > lines->settled)
        lines->settled = places->offset;
    if (lines->peer.fd >= 0)
        tell(lines);
    lines->events.acknowledged(lines->events.context, places, count);
}

static void lines_close(struct source *source)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (!lines)
        return;
    peer_done(&lines->peer);
    free(lines);
}

static enum ods_status lines_open(struct source **source, const struct source_config *config,
                                  struct error *error)
{
    enum ods_status status = peer_check(config, error);
    struct lines_source *lines = calloc(1, sizeof *lines);
    *source = NULL;
    if (!lines)
        return error_set(error, ODS_FATAL, "out of memory for a source");
    lines->base.ops = &lines_source_ops;
    lines->events = config->events;
    lines->settings = config->settings;
    lines->place.topic = config->pipeline->topics.items[0];
    lines->assigned = config->lane == 0;
    lines->settled = OFFSET_NONE;
    peer_init(&lines->peer, &lines->settings->peer);
    if (status == ODS_OK && lines->assigned)
        status = peer_listen(&lines->peer, error);
    if (status == ODS_OK)
        *source = &lines->base;
    else
        lines_close(&lines->base);
    return status;
}

static void lines_join(struct source *source)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (lines->assigned)
        lines->events.assigned(lines->events.context, &lines->place, 1);
    atomic_store(&lines->joined, true);
}

static void lines_leave(struct source *source)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (lines->assigned)
        lines->events.revoked(lines->events.context, &lines->place, 1, false);
    peer_hang_up(&lines->peer);
}

static int64_t lines_turn(struct source *source)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (lines->untold && lines->peer.fd >= 0)
        tell(lines);
    return PEER_TURN_MS;
}

static int lines_poll_fd(const struct source *source)
{
    const struct lines_source *lines = (const struct lines_source *) source;
    return lines->started ? peer_poll_fd(&lines->peer) : -1;
}

static void lines_look(const struct source *source, struct source_state *state)
{
    const struct lines_source *lines = (const struct lines_source *) source;
    *state = (struct source_state){.joined = atomic_load(&lines->joined)};
}

static enum ods_status lines_check(const struct source_config *config,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error)
{
    if (config->pipeline->lanes > 1)
        report(context, "of several lanes only the first has something to do");
    return peer_check(config, error);
}

const struct source_ops lines_source_ops = {
    .type = "lines",
    .summary = "lines of one sender at a socket, settled by count",
    .settings = &settings_group,
    .kind = SOURCE_NUMBERED,
    .provided = "its sender goes on with the line whose number it is told, and keeps lines until a "
                "higher number settles them",
    .awaits_acks = true,
    .open = lines_open,
    .join = lines_join,
    .next = lines_next,
    .start = lines_start,
    .pause = lines_pause,
    .ack = lines_ack,
    .turn = lines_turn,
    .poll_fd = lines_poll_fd,
    .look = lines_look,
    .release = free,
    .leave = lines_leave,
    .close = lines_close,
    .check = lines_check,
};
