/* What `check --connect` says of the target. */
#ifndef MYSQL_CHECK_H
#define MYSQL_CHECK_H

#include "sink/mysql/write/attempt.h"

enum ods_status mysql_check_target(struct mysql_sink *sink,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error);

#endif
