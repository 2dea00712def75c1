/* The DDL that the sink issues: tables from shapes, columns that appear later or change.
 *
 * Runs in a transaction of its own before the batch's, under an advisory lock. The table is read
 * again under the lock, so that two daemons that meet the same new column both succeed. The same
 * transaction stores the statements in ods_sink.schema_history.
 */
#ifndef DDL_H
#define DDL_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/making.h"
#include "sink/source_column.h"

#define DDL_TYPE_BYTES 96

/* A column to make, in target terms. */
struct ddl_column {
    const char *name;                   /* in the target */
    const struct source_column *source; /* NULL for the sink's own cdc columns */
    const char *type;                   /* of those; otherwise the source column decides */
    const struct value *sample; /* a value, for columns whose record has no schema; may be NULL */
    bool key;
    bool unfilled; /* gets no default: older rows have their values in the column that was kept */
};

struct ddl_table {
    const char *schema, *name;
    const struct shape *shape;
    const char *connector; /* "mysql", "postgresql", …; "" unknown */
    const bool *extras;    /* the catalog's: which types of extensions the target has */
    bool shared;           /* rows of several sources, which may have different columns */
    enum toast_compression compression;
    /* Of a history: */
    const char *const *added; /* the names of its columns beside the source's */
    bool parted;              /* partitioned by cdc_timestamp */
};

enum ddl_kind {
    DDL_REKEY,  /* give the table another primary key: `text` has the SQL */
    DDL_KEEP,   /* rename a column to `kept`, so that a new one can have its name */
    DDL_ADD,    /* a new column */
    DDL_RETYPE, /* give a column the type `type` */
    DDL_RELAX,  /* let a column be NULL */
};

struct ddl_change {
    enum ddl_kind kind;
    struct ddl_column column;
    const struct pg_column *there; /* RETYPE, RELAX, KEEP: the column as it is now */
    const char *kept;
    const char *text;
    char type[DDL_TYPE_BYTES];
};

/* The type of a column that the sink makes, as format_type() writes it; never "". */
const char *ddl_type(const struct ddl_table *table, const struct ddl_column *column, char *room,
                     size_t room_bytes);

/* One transaction. */
struct ddl {
    struct conn *conn;
    const struct ddl_table *table;
    const struct record *cause; /* the record that makes it necessary */
    bool lz4;                   /* large values of new columns are compressed by lz4 */
    struct buffer script;
    struct buffer statements; /* those for the history, each terminated */
    const struct ddl_change *changes; /* what ddl_alter() was given */
    size_t count;
};

/* Begins, and waits until no other session changes tables. ddl_commit() or ddl_abort() must
 * follow. */
/* Adds a statement: it is run, stored in the history, and kept for the log. */
void ddl_put_statement(struct ddl *ddl, struct buffer *statement);
void ddl_put_name(struct buffer *sql, const char *name);
void ddl_put_table(struct buffer *sql, const struct ddl_table *table);

enum ods_status ddl_begin(struct ddl *ddl, struct conn *conn, const struct ddl_table *table,
                          const struct record *cause, struct error *error);
enum ods_status ddl_create(struct ddl *ddl, const struct ddl_change *changes, size_t count,
                           struct error *error);
enum ods_status ddl_alter(struct ddl *ddl, const struct ddl_change *changes, size_t count,
                          struct error *error);
/* ODS_REJECT: PostgreSQL can't have such a table or such columns, whoever makes them. */
enum ods_status ddl_commit(struct ddl *ddl, struct error *error);
void ddl_abort(struct ddl *ddl);
void ddl_done(struct ddl *ddl);

#endif
