/* The DDL that the sink issues: tables from shapes, columns that appear later.
 *
 * Runs outside the batch's transaction, under an advisory lock, and is idempotent: two daemons that
 * meet the same new column both succeed.
 */
#ifndef DDL_H
#define DDL_H

#include <ods/change.h>
#include "sink/postgres/conn.h"

/* A column to make, in target terms. */
struct ddl_column {
    const char *name;            /* in the target */
    const struct column *source; /* NULL for the sink's own cdc columns */
    const char *type;            /* for those; else told by the source column */
    const struct value *sample;  /* a value, for columns whose record has no schema; may be NULL */
    bool key;
};

struct ddl_table {
    const char *schema, *name;
    const struct shape *shape;
    const char *connector; /* "mysql", "postgresql", …; "" unknown */
    const struct ddl_column *columns;
    size_t count;
};

/* The type of a column that the sink makes; "" never. `connector` settles what differs by source.
 */
const char *ddl_type(const struct ddl_column *column, const char *connector, char *room,
                     size_t room_bytes);

/* *made is false when another lane or process has made it meanwhile; its columns may differ. */
enum ods_status ddl_create_table(struct conn *conn, const struct ddl_table *table, bool *made,
                                 struct error *error);
/* Add table->columns to the table that is there. */
enum ods_status ddl_add_columns(struct conn *conn, const struct ddl_table *table,
                                struct error *error);

#endif
