/* Defaults of the source's columns for the columns that the sink makes. See ddl_default.c. */
#ifndef DDL_DEFAULT_H
#define DDL_DEFAULT_H

#include "sink/postgres/tables/ddl.h"

/* The default that the record's schema names for a column, as text that PostgreSQL reads as the
 * column's type. Runs in ddl_begin()'s transaction. *text stays NULL where there is no default, or
 * none that can be taken. The caller frees it. */
enum ods_status ddl_default(struct ddl *ddl, const struct ddl_column *column, char **text,
                            struct error *error);

#endif
