/* Who may ask the daemon, and by which means: a bearer token, a client's
 * certificate, and files for TLS. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/status.h>

struct MHD_Connection;

/* Takes as long for a wrong token as for the right one. */
bool http_access_same(const char *given, const char *token);

/* Does the request bring the token? "": nobody has one. */
bool http_access_has_token(struct MHD_Connection *connection, const char *token);

/* Has the client shown a certificate that an authority of http.client_ca vouches for, and that is
 * good for a client? Else *error says why not. */
bool http_access_certified(struct MHD_Connection *connection, struct error *error);

/* The text of a file of keys or certificates, terminated. ODS_FATAL: it can't be read, or is none
 * in PEM; `setting` names it in the error. */
enum ods_status http_access_read(struct buffer *pem, const char *setting, const char *path,
                                 struct error *error);

#endif
