/* The SQL of a group's rows. */
#ifndef MYSQL_STATEMENT_H
#define MYSQL_STATEMENT_H

#include "sink/mysql/write/attempt.h"

/* A row's value for a column of its group: from the key, the stamp or the image. */
enum ods_status mysql_statement_value(struct mysql_attempt *attempt, const struct mysql_row *row,
                                      uint32_t column, struct mysql_out *out, struct error *why);
void mysql_statement_put(struct buffer *sql, const struct mysql_out *out);

/* Rows from `first` on into sink->sql, until it is as large as a statement should be; *next is the
 * first that has no place. ODS_REJECT: the row *next can't be encoded, and is not in it: those
 * before it are. */
enum ods_status mysql_statement_rows(struct mysql_attempt *attempt,
                                     const struct mysql_group *group, uint32_t first, uint32_t last,
                                     uint32_t *next, struct error *why);

/* "`a` = 1 and `b` = 'x'", of a row's key. */
void mysql_statement_key(struct buffer *sql, const struct mysql_row *row);

/* In the words of the error by which an upsert answers that it has met another row: see
 * put_key_guard(). */
#define MYSQL_GUARD "7091062"
/* Does the table have a unique key by which an upsert might meet another row than its own? */
bool mysql_statement_is_guarded(const struct mysql_plan *plan);
/* Do the rows bring all that the table has, so that they can be deleted and made again? */
bool mysql_statement_is_complete(const struct mysql_group *group);

#endif
