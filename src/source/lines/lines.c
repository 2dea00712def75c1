/* Lines from a socket, settled by count: a source whose sender keeps what is not committed yet.
 *
 * A sender connects, is told a number, and sends the lines of its stream from that one on (the first
 * is 0). Whenever the target has committed more, it is told the new number: the lines below it need
 * not be kept any more. When the connection ends, whoever ends it, it connects again, and so on. A
 * line's number is its offset in the target, which stores the number together with the rows: so a
 * line that is sent again has the offset that it had before and is dropped if it was applied.
 *
 * One sender at a time; others wait until it is gone. Where the lane has to have lines again (its
 * batch was dropped) the source hangs up. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ods/buffer.h>
#include <ods/pipeline.h>
#include <ods/source.h>

#define RECEIVE_BYTES 65536
#define PATIENCE_MS   1000

struct lines_settings {
    const char *listen;
    bool keyed;
    int64_t max_line_bytes;
};

struct lines_source {
    struct source base;
    struct source_events events;
    const struct lines_settings *settings;
    struct place place; /* the one partition, */
    bool assigned;      /* which is the first lane's */
    int listener, peer; /* -1: none */
    bool started, bound; /* bound: a socket's file is ours to remove */
    atomic_bool joined;
    int64_t settled;   /* lines below it are committed; OFFSET_NONE before the first start */
    int64_t next;      /* number of the peer's next line */
    bool untold;       /* the peer does not know `settled` yet */
    struct buffer in;  /* received: */
    size_t at, looked; /* delivered up to here, looked for an end of line up to there */
};

extern const struct source_ops lines_source_ops;

#define AT(member) offsetof(struct lines_settings, member)

static const struct setting rows[] = {
    {"listen", SETTING_STRING, AT(listen), .min = 1, .max = 107, .flags = SETTING_REQUIRED,
     .doc = "Where senders connect: `127.0.0.1:port`, or the absolute path of a Unix socket, which "
            "is made with mode 0600. Nothing else: senders are not asked who they are."},
    {"keyed", SETTING_BOOL, AT(keyed), "false",
     .doc = "A line is a record's key, a tab and its value (as `kcat -K '\\t'` writes them); one "
            "without value is a tombstone. Else it is the value alone."},
    {"max_line_bytes", SETTING_BYTES, AT(max_line_bytes), "16777216", .min = 1024,
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
             "others. Of several `lanes` one works. Dead letters go to Kafka all the same.",
    .size = sizeof(struct lines_settings),
    SETTING_ROWS(rows),
};

union address {
    struct sockaddr any;
    struct sockaddr_in internet;
    struct sockaddr_un path;
};

/* Its length; 0: it is none that will do. */
static socklen_t parse_address(const char *listen, union address *address)
{
    char host[16] = "", *end = "";
    const char *colon = strrchr(listen, ':');
    memset(address, 0, sizeof *address);
    if (*listen == '/' && strlen(listen) < sizeof address->path.sun_path) {
        address->path.sun_family = AF_UNIX;
        strcpy(address->path.sun_path, listen);
        return sizeof address->path;
    }
    if (colon && (size_t) (colon - listen) < sizeof host)
        memcpy(host, listen, (size_t) (colon - listen));
    unsigned long port = *host ? strtoul(colon + 1, &end, 10) : 0;
    address->internet.sin_family = AF_INET;
    address->internet.sin_port = htons((uint16_t) port);
    if (*end || !port || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &address->internet.sin_addr) != 1 ||
        ntohl(address->internet.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return 0;
    return sizeof address->internet;
}

/* A socket's file that nobody listens at is what an earlier process has left. */
static void remove_left(const union address *address, socklen_t length)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0 && connect(probe, &address->any, length) && errno == ECONNREFUSED)
        unlink(address->path.sun_path);
    if (probe >= 0)
        close(probe);
}

static enum ods_status check_settings(const struct source_config *config, union address *address,
                                      socklen_t *length, struct error *error)
{
    const struct lines_settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    *length = parse_address(settings->listen, address);
    if (!*length)
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": input.listen \"%s\" is neither 127.0.0.1:port nor the "
                         "absolute path of a socket",
                         pipeline->name, settings->listen);
    if (pipeline->topics.count != 1 || *pipeline->topics.items[0] == '^')
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": with input type \"lines\" topics is one name, which its "
                         "lines get",
                         pipeline->name);
    return ODS_OK;
}

static enum ods_status start_listening(struct lines_source *lines, const union address *address,
                                       socklen_t length, struct error *error)
{
    const int on = 1;
    bool local = address->any.sa_family == AF_UNIX;
    if (local)
        remove_left(address, length);
    lines->listener =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = lines->listener >= 0 &&
                (local || !setsockopt(lines->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) &&
                !bind(lines->listener, &address->any, length);
    lines->bound = good && local;
    if (good && (!local || !chmod(address->path.sun_path, 0600)) && !listen(lines->listener, 16))
        return ODS_OK;
    return error_set(error, ODS_FATAL, "input.listen: can't listen at %s: %s",
                     lines->settings->listen, strerror(errno));
}

static void hang_up(struct lines_source *lines)
{
    if (lines->peer >= 0)
        close(lines->peer);
    lines->peer = -1;
    lines->at = lines->looked = 0;
    buffer_reset(&lines->in);
}

/* What it can't take now it is told later, and in any case when it connects again. */
static void tell(struct lines_source *lines)
{
    char number[24];
    int length = snprintf(number, sizeof number, "%lld\n", (long long) lines->settled);
    ssize_t sent = send(lines->peer, number, (size_t) length, MSG_DONTWAIT | MSG_NOSIGNAL);
    lines->untold = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (sent != length && !lines->untold)
        hang_up(lines);
}

static bool take_peer(struct lines_source *lines)
{
    if (lines->peer >= 0)
        return true;
    lines->peer = accept4(lines->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (lines->peer < 0)
        return false;
    lines->next = lines->settled;
    tell(lines);
    return lines->peer >= 0;
}

static bool receive(struct lines_source *lines)
{
    struct buffer *in = &lines->in;
    if (lines->at)
        memmove(in->bytes, in->bytes + lines->at, in->length - lines->at);
    in->length -= lines->at;
    lines->looked -= lines->at;
    lines->at = 0;
    char *room = buffer_take(in, RECEIVE_BYTES);
    if (!room) {
        in->failed = false;
        return false;
    }
    in->length -= RECEIVE_BYTES;
    ssize_t got = recv(lines->peer, room, RECEIVE_BYTES, MSG_DONTWAIT);
    if (got > 0)
        in->length += (size_t) got;
    else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        hang_up(lines);
    return got > 0;
}

/* Its bytes are the owner. False: out of memory. */
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
    struct buffer *in = &lines->in;
    if (!lines->started || !take_peer(lines) || (!in->bytes && !receive(lines)))
        return SOURCE_NOTHING;
    for (;;) {
        const char *line = in->bytes + lines->at;
        const char *end = memchr(in->bytes + lines->looked, '\n', in->length - lines->looked);
        size_t length = end ? (size_t) (end - line) : in->length - lines->at;
        if (length > (size_t) lines->settings->max_line_bytes) {
            error_set(error, ODS_FATAL,
                      "topic %s: line %lld is longer than input.max_line_bytes allows: %lld bytes",
                      lines->place.topic, (long long) lines->next,
                      (long long) lines->settings->max_line_bytes);
            return SOURCE_FAILED;
        }
        if (end && !make_record(lines, line, length, record))
            return SOURCE_NOTHING; /* tried again in the next turn */
        if (end) {
            lines->next++;
            lines->at = lines->looked = lines->at + length + 1;
            return SOURCE_RECORD;
        }
        lines->looked = in->length;
        if (!receive(lines))
            return SOURCE_NOTHING;
    }
}

static enum ods_status lines_start(struct source *source, struct place *places, size_t count,
                                   struct error *error)
{
    struct lines_source *lines = (struct lines_source *) source;
    int64_t from = places->offset < 0 ? 0 : places->offset;
    if (lines->settled == OFFSET_NONE || from < lines->settled)
        lines->settled = from;
    if (from < lines->next)
        hang_up(lines);
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
    if (lines->peer >= 0)
        tell(lines);
    lines->events.acknowledged(lines->events.context, places, count);
}

static void lines_close(struct source *source)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (!lines)
        return;
    hang_up(lines);
    if (lines->listener >= 0)
        close(lines->listener);
    if (lines->bound)
        unlink(lines->settings->listen);
    buffer_done(&lines->in);
    free(lines);
}

static enum ods_status lines_open(struct source **source, const struct source_config *config,
                                  struct error *error)
{
    union address address;
    socklen_t length;
    enum ods_status status = check_settings(config, &address, &length, error);
    struct lines_source *lines = calloc(1, sizeof *lines);
    *source = NULL;
    if (!lines)
        return error_set(error, ODS_FATAL, "out of memory for a source");
    lines->base.ops = &lines_source_ops;
    lines->events = config->events;
    lines->settings = config->settings;
    lines->place.topic = config->pipeline->topics.items[0];
    lines->assigned = config->lane == 0;
    lines->listener = lines->peer = -1;
    lines->settled = OFFSET_NONE;
    buffer_init(&lines->in);
    if (status == ODS_OK && lines->assigned)
        status = start_listening(lines, &address, length, error);
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
    hang_up(lines);
}

static int64_t lines_turn(struct source *source)
{
    struct lines_source *lines = (struct lines_source *) source;
    if (lines->untold && lines->peer >= 0)
        tell(lines);
    return PATIENCE_MS;
}

static int lines_poll_fd(const struct source *source)
{
    const struct lines_source *lines = (const struct lines_source *) source;
    return !lines->started ? -1 : lines->peer >= 0 ? lines->peer : lines->listener;
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
    union address address;
    socklen_t length;
    if (config->pipeline->lanes > 1)
        report(context, "of several lanes only the first has something to do");
    return check_settings(config, &address, &length, error);
}

const struct source_ops lines_source_ops = {
    .type = "lines",
    .summary = "lines of one sender at a socket, settled by count",
    .settings = &settings_group,
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
