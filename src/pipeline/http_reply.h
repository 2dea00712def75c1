/* An answer of the daemon's HTTP server. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include <microhttpd.h>

#include <ods/buffer.h>

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_JSON "application/json"

/* `challenge` goes with a 401: how to sign in; NULL: a browser is to ask nobody. */
enum MHD_Result http_reply(struct MHD_Connection *connection, unsigned code, const char *type,
                           struct buffer *body, const char *challenge);

#endif
