/* One derived table (ods/derived.h) as its refresher knows it: its columns, and the statements made
 * for them. Entered by one thread. */
#ifndef KEPT_H
#define KEPT_H

#include <ods/buffer.h>
#include <ods/derived.h>
#include "sink/postgres/wire/conn.h"

struct kept_column {
    char *name, *quoted;
    char *type;     /* as it is declared */
    char *bare;     /* without length or precision */
};

struct kept_source {
    const struct derived_source *settings;
    char *quoted;    /* "schema"."table" */
    char **types;    /* of the columns `by`, bare */
};

struct kept {
    const struct derived_settings *settings;
    const struct derived_settings *all; /* of the configuration: some depend on this one */
    size_t all_count;
    char *name;   /* schema.table */
    char *quoted; /* "schema"."table" */
    char *own;    /* the sink's own schema, quoted */
    char *query;  /* without a semicolon behind it */
    char definition[40]; /* what of the configuration decides about its rows, hashed */

    /* As the target was when it was last looked at; see form.h. */
    bool formed;
    bool awaits;               /* a table that it depends on is not there */
    unsigned generation;       /* of the connection that has the lock and formed it */
    char *version;             /* of the columns of the tables that it depends on */
    char *bases;               /* which tables those are */
    struct kept_column *columns; /* the query's */
    size_t column_count;
    struct kept_source *sources;
    char *take, *compute, *halve, *heal, *finish, *look;
};

enum ods_status kept_init(struct kept *kept, const struct derived_settings *settings,
                          const struct derived_settings *all, size_t all_count,
                          const char *own_schema, struct error *error);
void kept_done(struct kept *kept);
/* Forgets what the target looked like. */
void kept_forget(struct kept *kept);

/* The query's column of that name, -1: none. */
int kept_column(const struct kept *kept, const char *name);

#endif
