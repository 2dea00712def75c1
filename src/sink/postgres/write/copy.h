/* New rows by COPY, where that is possible. See copy.c. */
#ifndef COPY_H
#define COPY_H

#include "sink/postgres/write/attempt.h"

/* Sends a group by COPY where that is possible, else by attempt_rows(). When a row is refused,
 * attempt->suspect is the one that PostgreSQL names. */
enum ods_status copy_rows(struct attempt *attempt, struct group *group, uint32_t first,
                          uint32_t last);

#endif
