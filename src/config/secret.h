/* What must not be printed: passwords in connection strings, secret properties. */
#ifndef SECRET_H
#define SECRET_H

#include <stdbool.h>

#include "config/pool.h"

#define SECRET_MASK "***"

/* Does a property of this name hold a secret (sasl.password, ssl.key.pem, …)? */
bool secret_name(const char *name);

/* The connection string (conninfo or URI) with every password replaced by ***. If it can't be
 * parsed, all of it is ***. *literal (may be NULL): does it hold a password that is not a ${…}?
 * NULL: memory is out. */
const char *secret_redact_dsn(struct pool *pool, const char *dsn, bool *literal);

#endif
