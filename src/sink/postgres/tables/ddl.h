/* The DDL that the sink issues: tables from shapes, columns that appear later or change.
 *
 * Runs in a transaction of its own before the batch's, under an advisory lock, and after another
 * look at the table: two daemons that meet the same new column both succeed. What it did is in
 * ods_sink.schema_history when it is committed.
 */
#ifndef DDL_H
#define DDL_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/making.h"
#include "sink/postgres/tables/source_column.h"

#define DDL_TYPE_BYTES 96

/* A column to make, in target terms. */
struct ddl_column {
    const char *name;                   /* in the target */
    const struct source_column *source; /* NULL for the sink's own cdc columns */
    const char *type;                   /* for those; else told by the source column */
    const struct value *sample; /* a value, for columns whose record has no schema; may be NULL */
    bool key;
    bool unfilled; /* no default: rows of the older shape have their values in one that was kept */
};

struct ddl_table {
    const char *schema, *name;
    const struct shape *shape;
    const char *connector; /* "mysql", "postgresql", …; "" unknown */
    const bool *extras;    /* of the catalog: types that the target has */
    bool shared;           /* by sources that need not have the same columns */
    enum toast_compression compression;
};

enum ddl_kind {
    DDL_REKEY,  /* another primary key: `text` says how */
    DDL_KEEP,   /* rename a column to `kept`, so that another can have its name */
    DDL_ADD,    /* a new column */
    DDL_RETYPE, /* give a column the type `type` */
    DDL_RELAX,  /* let a column be NULL */
};

struct ddl_change {
    enum ddl_kind kind;
    struct ddl_column column;
    const struct pg_column *there; /* RETYPE, RELAX, KEEP: as it is now */
    const char *kept;
    const char *text;
    char type[DDL_TYPE_BYTES];
};

/* The type of a column that the sink makes, as format_type() writes it; "" never. */
const char *ddl_type(const struct ddl_table *table, const struct ddl_column *column, char *room,
                     size_t room_bytes);

/* One transaction. */
struct ddl {
    struct conn *conn;
    const struct ddl_table *table;
    const struct record *cause; /* the record that made it necessary */
    bool lz4;                    /* for large values of columns that are made */
    struct buffer script;
    struct buffer statements; /* those of the history, each terminated */
};

/* Begin, and wait for others that change tables; ddl_commit() or ddl_abort() must follow. */
enum ods_status ddl_begin(struct ddl *ddl, struct conn *conn, const struct ddl_table *table,
                          const struct record *cause, struct error *error);
enum ods_status ddl_create(struct ddl *ddl, const struct ddl_change *changes, size_t count,
                           struct error *error);
enum ods_status ddl_alter(struct ddl *ddl, const struct ddl_change *changes, size_t count,
                          struct error *error);
/* ODS_REJECT: PostgreSQL has no such table or columns, for any user. */
enum ods_status ddl_commit(struct ddl *ddl, struct error *error);
void ddl_abort(struct ddl *ddl);
void ddl_done(struct ddl *ddl);

#endif
