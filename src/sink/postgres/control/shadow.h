/* A table that is made again while others still read the old one. See ods/control.h and
 * sql/ods_sink.sql. */
#ifndef POSTGRES_SHADOW_H
#define POSTGRES_SHADOW_H

#include <ods/control.h>

#include "sink/postgres/wire/conn.h"

enum ods_status shadow_make(struct conn *conn, const char *group, struct shadow *shadow,
                            bool *begun, struct error *error);
enum ods_status shadow_count(struct conn *conn, const struct shadow *shadow, int64_t *old,
                             int64_t *new, struct error *error);
enum ods_status shadow_keep(struct conn *conn, const struct shadow *shadow, const char *operation,
                            struct error *error);
enum ods_status shadow_exchange(struct conn *conn, const char *group, const struct shadow *shadow,
                                const struct control_request *request, int64_t held,
                                enum exchange *exchange, int64_t *number, struct error *error);
enum ods_status shadow_drop(struct conn *conn, const struct shadow *shadow, bool *there,
                            struct error *error);

#endif
