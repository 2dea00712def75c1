/* How the processes of a group are, kept in the sink's own schema. See ods/control.h. */
#ifndef POSTGRES_FLEET_H
#define POSTGRES_FLEET_H

#include <ods/control.h>

#include "sink/postgres/control/control.h"

enum ods_status fleet_beat(struct watching *watching, struct conn *conn, const char *group,
                           const struct fleet_member *self, struct fleet_members *all,
                           struct error *error);
enum ods_status fleet_part(struct conn *conn, const char *group, const char *name,
                           struct error *error);

#endif
