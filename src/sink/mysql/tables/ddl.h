/* The DDL that the sink issues: tables from shapes, columns that appear later or change.
 *
 * Every statement of DDL commits by itself, so all of it runs in a session of its own, before the
 * batch's transaction begins: a crash in between leaves a table or a column that the records, which
 * are read again, find as it should be. A named lock of the server keeps two daemons apart; under
 * it the table is read once more. */
#ifndef MYSQL_DDL_H
#define MYSQL_DDL_H

#include "sink/mysql/tables/plan.h"
#include "sink/mysql/tables/types.h"

enum mysql_ddl_kind {
    MYSQL_DDL_KEEP,   /* rename a column to `kept`, so that a new one can have its name */
    MYSQL_DDL_ADD,    /* a new column */
    MYSQL_DDL_RETYPE, /* give a column the type `type` */
    MYSQL_DDL_RELAX,  /* let a column be NULL */
};

struct mysql_ddl_change {
    enum mysql_ddl_kind kind;
    const char *name;
    const struct source_column *source; /* NULL for the sink's own cdc columns */
    const struct mysql_column *there;   /* RETYPE, RELAX, KEEP: the column as it is now */
    const char *kept;
    char type[MYSQL_TYPE_BYTES];
    bool key;
    bool unfilled; /* gets no default, as older rows have their values elsewhere */
    bool relaxes;  /* RETYPE: the column may also be NULL from now on */
};

struct mysql_ddl {
    struct mysql_conn *conn;
    const struct mysql_plan *plan;
    const struct mysql_plan_listener *listener;
    bool shared; /* rows of several sources, which may have different columns */
};

/* Waits until no other session of ods-sink changes tables. mysql_ddl_end() must follow. */
enum ods_status mysql_ddl_begin(struct mysql_ddl *ddl, struct error *error);
void mysql_ddl_end(struct mysql_ddl *ddl);

/* Makes the table, and its database where that is missing; or changes it. ODS_REJECT: MySQL can't
 * have such a table or such columns, whoever makes them. */
enum ods_status mysql_ddl_create(struct mysql_ddl *ddl, const struct mysql_ddl_change *changes,
                                 size_t count, struct error *error);
enum ods_status mysql_ddl_alter(struct mysql_ddl *ddl, const struct mysql_ddl_change *changes,
                                size_t count, struct error *error);

#endif
