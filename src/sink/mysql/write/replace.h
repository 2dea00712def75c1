/* Upserts by LOAD DATA … REPLACE, where that does what an upsert does. See replace.c. */
#ifndef MYSQL_REPLACE_H
#define MYSQL_REPLACE_H

#include "sink/mysql/write/attempt.h"

/* *may: the group's rows may be tried so. */
enum ods_status mysql_replace_ask(struct mysql_attempt *attempt, const struct mysql_group *group,
                                  bool *may);
/* Upserts: rows that say they are new join others of the same columns, to go by one load. */
enum ods_status mysql_replace_join(struct mysql_attempt *attempt, struct mysql_group *groups);
/* Before a load and behind it, in one transaction; `replaced`: rows that it has met. Unless *right
 * the load has to be taken back. */
enum ods_status mysql_replace_begin(struct mysql_attempt *attempt, const struct mysql_group *group,
                                    uint64_t *deletes);
enum ods_status mysql_replace_confirm(struct mysql_attempt *attempt,
                                      const struct mysql_group *group, uint64_t replaced,
                                      uint64_t deletes, bool *right);
/* The server does not let the user: not again before it is asked again. */
void mysql_replace_refused(struct mysql_table *table);

#endif
