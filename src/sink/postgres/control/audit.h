/* What people did, kept in the sink's own schema. See ods/control.h. */
#ifndef POSTGRES_AUDIT_H
#define POSTGRES_AUDIT_H

#include <ods/control.h>

#include "sink/postgres/wire/conn.h"

enum ods_status audit_begin(struct conn *conn, const char *group, const struct audit *audit,
                            int64_t *id, struct error *error);
enum ods_status audit_end(struct conn *conn, int64_t id, const char *answer, struct error *error);

#endif
