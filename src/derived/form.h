/* A derived table in the target: looked at, made, and made to have its query's columns. */
#ifndef FORM_H
#define FORM_H

#include "derived/kept.h"

/* The definition can't be used: what is wrong with it, or with the target. */
struct form_change {
    bool made;    /* the table was made */
    bool altered; /* its columns were changed */
    bool marked;  /* all of it is computed anew */
};

/* Reads what the query gives and compiles the statements; changes nothing. The table need not be
 * there. ODS_FATAL: the query, or what it depends on, is not as the configuration says. */
enum ods_status form_look(struct kept *kept, struct conn *conn, struct error *error);
/* The same, and sees to it that the table is there and is as the query says. Called by who has the
 * lock, outside a transaction. */
enum ods_status form(struct kept *kept, struct conn *conn, struct form_change *change,
                     struct error *error);

/* What the tables that it depends on look like, in the present snapshot; and of the table itself
 * how many keys failed and how many wait. */
struct form_state {
    bool same; /* as when it was formed */
    int64_t errors, todo;
};

enum ods_status form_state(struct kept *kept, struct conn *conn, struct form_state *state,
                           struct error *error);

#endif
