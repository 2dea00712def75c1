/* What the copy of a table does not tell about a change of it: rights, views and others that use a
 * column, foreign keys, rows that share a new key. Each is refused as PostgreSQL refuses it, with
 * its code. */
#ifndef REHEARSAL_LOOK_H
#define REHEARSAL_LOOK_H

#include "sink/postgres/tables/ddl.h"

/* A table of a rehearsal, and its copy. */
struct stand_in {
    char *schema, *table; /* the table's own names */
    char *quoted;         /* "schema"."table" */
    char *name;           /* the copy's, in the session's temporary schema */
    char *copy;           /* pg_temp."name" */
    bool is_new;
    bool owner; /* or may act as the owner; else there is no copy, since nothing can be changed */
    int64_t bytes, rows;
    struct buffer said; /* the statements, each terminated */
    struct stand_in *next;
};

/* May the table be made? *makes_schema: its schema is made with it. */
enum ods_status rehearsal_may_create(struct ddl *ddl, bool *makes_schema, struct error *error);
/* May the change be made? *also: tables that a foreign key ties to what changes, as JSON. Heap. */
enum ods_status rehearsal_look(struct ddl *ddl, const struct stand_in *stand_in, char **also,
                               struct error *error);

#endif
