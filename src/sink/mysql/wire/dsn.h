/* Where the server is and who we are there. */
#ifndef MYSQL_DSN_H
#define MYSQL_DSN_H

#include <stdbool.h>

#include <libpq-fe.h> /* it parses the dsn */
#include <mariadb/mysql.h>

#include <ods/status.h>

/* For PQconninfoFree(); a URI that begins with mysql:// or mariadb:// has the parts of one that
 * begins with postgresql://. NULL: it can't be read, or memory is out; why is not said, since the
 * words may quote the password. */
PQconninfoOption *mysql_dsn_parse(const char *dsn);
/* NULL: it is not set. */
const char *mysql_dsn_option(const PQconninfoOption *options, const char *name);

/* Connects by the dsn: "host=… port=… user=… password=… dbname=…", or a URI that begins with
 * mysql:// or mariadb://, in libpq's forms of both; sslmode is disable, prefer, require, verify-ca
 * or verify-full. *failed: the server or the network refused, and mysql_errno() says why. ODS_FATAL
 * without it: the dsn can't be read. */
enum ods_status mysql_dsn_connect(MYSQL *mysql, const char *dsn, unsigned long flags, bool *failed,
                                  struct error *error);

#endif
