/* A sender of lines at a socket. See peer.h. */
#include "source/lines/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ods/pipeline.h>

#define RECEIVE_BYTES 65536

union address {
    struct sockaddr any;
    struct sockaddr_in internet;
    struct sockaddr_un path;
};

/* The length of the address; 0: it can't be used. */
static socklen_t parse_address(const char *listen, union address *address)
{
    char host[16] = "", *end = "";
    const char *colon = strrchr(listen, ':');
    size_t length = strlen(listen);
    memset(address, 0, sizeof *address);
    if (*listen == '/' && length < sizeof address->path.sun_path) {
        address->path.sun_family = AF_UNIX;
        memcpy(address->path.sun_path, listen, length);
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

/* Removes a socket's file on which nobody listens: an earlier process has left it. */
static void remove_left(const union address *address, socklen_t length)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0 && connect(probe, &address->any, length) && errno == ECONNREFUSED)
        unlink(address->path.sun_path);
    if (probe >= 0)
        close(probe);
}

enum ods_status peer_check(const struct source_config *config, struct error *error)
{
    const struct peer_settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    union address address;
    if (!parse_address(settings->listen, &address))
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": input.listen \"%s\" is neither 127.0.0.1:port nor the "
                         "absolute path of a socket",
                         pipeline->name, settings->listen);
    if (pipeline->topics.count != 1 || *pipeline->topics.items[0] == '^')
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": with input type \"%s\" topics is one name, which its "
                         "lines get",
                         pipeline->name, pipeline->input.type);
    return ODS_OK;
}

enum ods_status peer_listen(struct peer *peer, struct error *error)
{
    const int on = 1;
    union address address;
    socklen_t length = parse_address(peer->settings->listen, &address);
    bool local = address.any.sa_family == AF_UNIX;
    if (local)
        remove_left(&address, length);
    peer->listener =
        socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = peer->listener >= 0 &&
                (local ||
                 !setsockopt(peer->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) &&
                !bind(peer->listener, &address.any, length);
    peer->bound = good && local;
    if (good && (!local || !chmod(address.path.sun_path, 0600)) && !listen(peer->listener, 16))
        return ODS_OK;
    return error_set(error, ODS_FATAL, "input.listen: can't listen at %s: %s",
                     peer->settings->listen, strerror(errno));
}

void peer_hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->at = peer->looked = 0;
    buffer_reset(&peer->in);
}

bool peer_accept(struct peer *peer)
{
    peer->fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return peer->fd >= 0;
}

ssize_t peer_send(struct peer *peer, const char *text, size_t length)
{
    ssize_t sent = send(peer->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return 0;
    peer_hang_up(peer);
    return -1;
}

static bool receive(struct peer *peer)
{
    struct buffer *in = &peer->in;
    if (in->bytes && peer->at)
        memmove(in->bytes, in->bytes + peer->at, in->length - peer->at);
    in->length -= peer->at;
    peer->looked -= peer->at;
    peer->at = 0;
    char *room = buffer_take(in, RECEIVE_BYTES);
    if (!room) {
        in->failed = false;
        return false;
    }
    in->length -= RECEIVE_BYTES;
    ssize_t got = recv(peer->fd, room, RECEIVE_BYTES, MSG_DONTWAIT);
    if (got > 0)
        in->length += (size_t) got;
    else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        peer_hang_up(peer);
    return got > 0;
}

enum peer_line peer_next(struct peer *peer, const char **line, size_t *length)
{
    struct buffer *in = &peer->in;
    if (!in->bytes && !receive(peer))
        return PEER_NOTHING;
    for (;;) {
        const char *end = memchr(in->bytes + peer->looked, '\n', in->length - peer->looked);
        *line = in->bytes + peer->at;
        *length = end ? (size_t) (end - *line) : in->length - peer->at;
        if (*length > (size_t) peer->settings->max_line_bytes)
            return PEER_TOO_LONG;
        if (end)
            return PEER_LINE;
        peer->looked = in->length;
        if (!receive(peer))
            return PEER_NOTHING;
    }
}

void peer_init(struct peer *peer, const struct peer_settings *settings)
{
    *peer = (struct peer){.settings = settings, .listener = -1, .fd = -1};
    buffer_init(&peer->in);
}

void peer_done(struct peer *peer)
{
    peer_hang_up(peer);
    if (peer->listener >= 0)
        close(peer->listener);
    if (peer->bound)
        unlink(peer->settings->listen);
    buffer_done(&peer->in);
}
