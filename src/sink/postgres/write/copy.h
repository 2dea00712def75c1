/* New rows by COPY, where that is possible. See copy.c. */
#ifndef COPY_H
#define COPY_H

#include "sink/postgres/write/attempt.h"

/* The most rows of one COPY. Each costs PostgreSQL as much as some hundred rows do, whatever it
 * brings (docs/performance.md), so there are as few as a batch allows; but what one row that is
 * refused makes PostgreSQL repeat is bounded, and so is what a statement_timeout has to be for. */
#define COPY_ROWS 10000

/* Would so many rows of the group go by COPY? */
bool copy_takes(const struct attempt *attempt, const struct group *group, uint32_t rows);

/* Sends a group by COPY where that is possible, else by attempt_rows(). When a row is refused,
 * attempt->suspect is the one that PostgreSQL names. */
enum ods_status copy_rows(struct attempt *attempt, struct group *group, uint32_t first,
                          uint32_t last);

#endif
