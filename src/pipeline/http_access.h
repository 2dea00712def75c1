/* Who may ask the daemon, and by which means: a bearer token, and files for TLS. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/status.h>

struct MHD_Connection;

/* Does the request bring the token? "": nobody has to. */
bool http_access_granted(struct MHD_Connection *connection, const char *token);

/* The text of a file of keys or certificates, terminated. ODS_FATAL: it can't be read, or is none
 * in PEM; `setting` names it in the error. */
enum ods_status http_access_read(struct buffer *pem, const char *setting, const char *path,
                                 struct error *error);

#endif
