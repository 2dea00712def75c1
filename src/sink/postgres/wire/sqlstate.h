/* What a SQLSTATE asks for. */
#ifndef SQLSTATE_H
#define SQLSTATE_H

#include <stdbool.h>

#include <ods/status.h>

enum sqlstate_meaning {
    SQLSTATE_ROW,          /* a row is at fault: it is searched for, and put aside */
    SQLSTATE_TABLE,        /* the table changed: it is read again; what stays stops the lane */
    SQLSTATE_TABLE_OR_ROW, /* the same; what stays is of a row */
    SQLSTATE_OUTAGE,       /* the target is away or busy: wait, and try again until it works */
    SQLSTATE_STOP,         /* configuration, or an error of ours: the lane stops */
    SQLSTATE_FENCE,        /* another writer has the partition */
    SQLSTATE_UNKNOWN,      /* not in the table: the lane stops */
};

enum sqlstate_meaning sqlstate_meaning(const char *sqlstate);

/* The same as a status, for a statement that meets no function of the target's; "" is a lost
 * connection. */
enum ods_status sqlstate_status(const char *sqlstate);

/* The same in the words that all targets share. */
enum fault sqlstate_fault(const char *sqlstate);

/* For a statement that writes rows, and for the commit. casts: values are read by input functions
 * of their types. */
enum ods_status sqlstate_for_rows(const struct error *error, bool casts);

/* Such an outage, of a statement that writes rows, may be one row's fault: a trigger that raises
 * this code whenever the row comes, or that takes longer than statement_timeout. */
bool sqlstate_is_doubtful(const struct error *error, bool statement_timeout);

bool sqlstate_is_stale_catalog(const char *sqlstate);
bool sqlstate_wants_partner(const char *sqlstate);
bool sqlstate_is_of_table(const char *sqlstate); /* for a statement that makes or changes one */

#endif
