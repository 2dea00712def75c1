/* What is to be done about a SQLSTATE. */
#ifndef SQLSTATE_H
#define SQLSTATE_H

#include <stdbool.h>

#include <ods/status.h>

enum sqlstate_meaning {
    SQLSTATE_ROW,          /* a row is at fault: it is searched for, and set aside */
    SQLSTATE_TABLE,        /* the table has changed: it is read again; a second time, stop */
    SQLSTATE_TABLE_OR_ROW, /* the same; but a second time, a row is at fault */
    SQLSTATE_OUTAGE,       /* the target is away or busy: wait, and try again until it works */
    SQLSTATE_STOP,         /* the configuration or ods-sink is at fault: the lane stops */
    SQLSTATE_FENCE,        /* another writer has the partition */
    SQLSTATE_UNKNOWN,      /* not in the table of codes: the lane stops */
};

enum sqlstate_meaning sqlstate_meaning(const char *sqlstate);

/* The same as a status, for a statement that calls no trigger or other function of the target's
 * users. "" stands for a lost connection. */
enum ods_status sqlstate_status(const char *sqlstate);

/* The same as the fault that all targets share. */
enum fault sqlstate_fault(const char *sqlstate);

/* For a statement that writes rows, and for the commit. casts: the input functions of their types
 * read some of the values. */
enum ods_status sqlstate_for_rows(const struct error *error, bool casts);

/* May one row be the cause of this outage, met by a statement that writes rows? A trigger may raise
 * the code each time the row comes, or take longer than statement_timeout. */
bool sqlstate_is_doubtful(const struct error *error, bool statement_timeout);

bool sqlstate_is_stale_catalog(const char *sqlstate);
bool sqlstate_wants_partner(const char *sqlstate);
bool sqlstate_is_of_table(const char *sqlstate); /* for a statement that makes or changes one */

#endif
