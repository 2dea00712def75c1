/* The sender to a source that listens on a socket for lines: one at a time, others wait until it is
 * gone. The sources `lines` and `messages` share this. */
#ifndef PEER_H
#define PEER_H

#include <sys/types.h>

#include <ods/buffer.h>
#include <ods/source.h>

/* The settings of both; the first member of a source's settings. */
struct peer_settings {
    const char *listen;
    int64_t max_line_bytes;
};

#define PEER_LISTEN_DOC                                                                            \
    "Where senders connect: `127.0.0.1:port`, or the absolute path of a Unix socket, which is "   \
    "made with mode 0600. Nothing else: senders are not asked who they are."

#define PEER_TURN_MS 1000 /* how often a sender that takes nothing is tried again */

struct peer {
    const struct peer_settings *settings;
    int listener, fd;  /* -1: none */
    bool bound;        /* the socket has a file that is to be removed */
    struct buffer in;  /* received: */
    size_t at, looked; /* up to where it is handed out, and searched for a line end */
};

enum peer_line { PEER_LINE, PEER_NOTHING, PEER_TOO_LONG };

void peer_init(struct peer *peer, const struct peer_settings *settings);
void peer_done(struct peer *peer);

/* Checks the configuration: it needs an address, and exactly one topic. */
enum ods_status peer_check(const struct source_config *config, struct error *error);
enum ods_status peer_listen(struct peer *peer, struct error *error);
/* Accepts the next sender. False: there is none. */
bool peer_accept(struct peer *peer);
void peer_hang_up(struct peer *peer);

/* The next line, without its line end. It stays the same until it is taken. Never waits. */
enum peer_line peer_next(struct peer *peer, const char **line, size_t *length);
static inline void peer_take(struct peer *peer, size_t length)
{
    peer->at = peer->looked = peer->at + length + 1;
}

/* How many bytes of the text the peer takes now; below 0: it has hung up. */
ssize_t peer_send(struct peer *peer, const char *text, size_t length);
/* The descriptor to wait for. */
static inline int peer_poll_fd(const struct peer *peer)
{
    return peer->fd >= 0 ? peer->fd : peer->listener;
}

#endif
