/* How large values of a column that the sink makes are compressed. */
#ifndef DDL_COMPRESSION_H
#define DDL_COMPRESSION_H

#include "sink/postgres/tables/making.h"
#include "sink/postgres/wire/conn.h"

/* Does the server have lz4 (PostgreSQL 14 or later, built with it), and may it be used? */
enum ods_status ddl_compression_ask(struct conn *conn, enum toast_compression compression,
                                    bool *lz4, struct error *error);

/* May values of this type (as format_type() writes it) be so large that they are compressed? */
bool ddl_compression_serves(const char *type);

#endif
