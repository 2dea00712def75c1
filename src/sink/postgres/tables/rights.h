/* What the user may do in the target: asked by `check`, before a record needs it. ODS_FATAL names
 * what is missing and the grant that gives it. `target` is the target's name, for that text. */
#ifndef ODS_SINK_POSTGRES_RIGHTS_H
#define ODS_SINK_POSTGRES_RIGHTS_H

#include "sink/postgres/tables/catalog.h"

struct table_settings;

/* To keep rows as the settings say in a table that is there, or history: to add rows to it. */
enum ods_status rights_to_write(struct conn *conn, const char *target, const struct pg_table *table,
                                const struct table_settings *settings, bool history,
                                struct error *error);

/* To make a table in a schema, which may have to be made too. */
enum ods_status rights_to_create(struct conn *conn, const char *target, const char *schema,
                                 struct error *error);

/* On the sink's own schema, which is there. */
enum ods_status rights_on_own(struct conn *conn, const char *target, struct error *error);

#endif
