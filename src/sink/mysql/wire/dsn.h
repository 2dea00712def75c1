/* Where the server is and who we are there. */
#ifndef MYSQL_DSN_H
#define MYSQL_DSN_H

#include <stdbool.h>

#include <mariadb/mysql.h>

#include <ods/status.h>

/* Connects by the dsn: "host=… port=… user=… password=… dbname=…", or a URI that begins with
 * mysql:// or mariadb://, in libpq's forms of both; sslmode is disable, prefer, require, verify-ca
 * or verify-full. *failed: the server or the network refused, and mysql_errno() says why. ODS_FATAL
 * without it: the dsn can't be read. */
enum ods_status mysql_dsn_connect(MYSQL *mysql, const char *dsn, unsigned long flags, bool *failed,
                                  struct error *error);

#endif
