/* The Authorization header. */
#ifndef AUTHORIZE_H
#define AUTHORIZE_H

#include "sink/http/http_sink.h"

/* Make sure that http->authorization is good for now: a file is read again when it has changed, a
 * token is asked for before it expires. ODS_RETRY: there is none now. */
enum ods_status authorize(struct http_sink *http, struct error *error);
/* The server has refused it. */
void authorize_forget(struct http_sink *http);
void authorize_done(struct http_sink *http);

#endif
