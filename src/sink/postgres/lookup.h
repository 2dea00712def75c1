/* One row of the target by its key. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "sink/postgres/conn.h"
#include "sink/postgres/plan.h"

/* "$1", "$2" … against the key's columns. */
void lookup_where(struct buffer *sql, const struct plan *plan);

/* Run such a query for a key as fold_key() writes it. *rows is the caller's to PQclear. */
enum ods_status lookup_row(struct conn *conn, const char *sql, const struct plan *plan,
                           const struct buffer *key, PGresult **rows, struct error *error);

#endif
